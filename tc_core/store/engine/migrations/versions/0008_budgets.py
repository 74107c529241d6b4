"""Budgets: limits, who changed them, what was booked by hand, and their books."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("period", "filters")),
        sa.Column("hard", sa.SmallInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("unit", "tz", "thresholds", "unpriced")),
        sa.Column("max_override", sa.Float, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("extra", "extra_until")),
    )
    op.create_table(
        "budget_change",
        sa.Column("key", KEY, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("by", sa.Text),
        sa.Column("why", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("ix_budget_change_name", "budget_change", ["name"])
    op.create_table(
        "budget_usage",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("budget", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_budget_usage_budget", "budget_usage", ["budget", "at"])
    op.create_table(
        "settlement",
        sa.Column("seq", KEY, primary_key=True, autoincrement=False),
        sa.Column("ids", sa.Text, nullable=False),
        sa.Column("sums", sa.Text, nullable=False),
    )
    op.create_table(
        "budget_period",
        sa.Column("budget", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("period", sa.Text, primary_key=True),
        *(sa.Column(name, sa.BigInteger) for name in ("start_at", "end_at")),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("amount", "extra", "extra_until", "spent", "reserved", "since_seq")
        ),
    )
    op.create_table(
        "reservation",
        sa.Column("event", sa.LargeBinary, primary_key=True),
        sa.Column("budget", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
    )
    op.create_index("ix_reservation_expires", "reservation", ["expires"])
