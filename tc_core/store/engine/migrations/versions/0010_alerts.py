"""Alerts: how rules stand, what they fired, what is to be sent, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "alert_state",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("is_firing", sa.Integer, nullable=False),
        sa.Column("is_told", sa.Integer, nullable=False),
        sa.Column("since_us", sa.BigInteger),
        sa.Column("told_us", sa.BigInteger),
        sa.Column("alert", sa.BigInteger),
    )
    op.create_table(
        "alert",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("value", sa.Text),
        sa.Column("fired_us", sa.BigInteger, nullable=False),
        sa.Column("resolved_us", sa.BigInteger),
        sa.Column("acknowledged_us", sa.BigInteger),
        sa.Column("acknowledged_by", sa.Text),
    )
    op.create_index("ix_alert_id", "alert", ["id"], unique=True)
    op.create_index("ix_alert_event", "alert", ["event", "rule"])
    op.create_index("ix_alert_fired", "alert", ["fired_us"])
    op.create_table(
        "alert_silence",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text),
        sa.Column("why", sa.Text),
    )
    op.create_table(
        "alert_outbox",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("alert", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("is_delivered", sa.Integer, nullable=False),
    )
    op.create_index("ix_alert_outbox_id", "alert_outbox", ["id"], unique=True)
    op.create_index("ix_alert_outbox_alert", "alert_outbox", ["alert"])
    waiting = sa.text("ended_us IS NULL")
    op.create_index("ix_alert_outbox_due", "alert_outbox", ["due_us"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "alert_delivery",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("outbox", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("took_us", sa.BigInteger, nullable=False),
        sa.Column("fault", sa.Text),
    )
    op.create_index("ix_alert_delivery_outbox", "alert_delivery", ["outbox"])
