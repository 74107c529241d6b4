"""What the branches keep: quotations, texts, health, budgets, alerts, A/B tests, policies, who has read what.

The view `events`, which is wider, is made anew after every migration.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _quotations()
    _health()
    _budgets()
    _alerts()
    _ab_tests()
    _policies()
    _explorer()


def _quotations() -> None:
    op.create_table(
        "quotable",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("blocks", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_quotable_segment", "quotable", ["segment"], unique=True)
    op.create_table(
        "quoted",
        sa.Column("segment", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("source", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_quoted_source", "quoted", ["source"])
    op.create_table(
        "content",
        sa.Column("segment", KEY, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_content_day", "content", ["day"])


def _health() -> None:
    op.create_table(
        "context_health",
        sa.Column("event", KEY, primary_key=True, autoincrement=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("usage", sa.SmallInteger),
        sa.Column("rot", sa.SmallInteger, nullable=False),
        sa.Column("repetition", sa.SmallInteger, nullable=False),
        sa.Column("topic_coherence", sa.SmallInteger, nullable=False),
        sa.Column("injection_risk", sa.SmallInteger, nullable=False),
        sa.Column("staleness", sa.SmallInteger, nullable=False),
        sa.Column("overhead_share", sa.SmallInteger, nullable=False),
    )


def _budgets() -> None:
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


def _alerts() -> None:
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


def _ab_tests() -> None:
    op.create_table(
        "ab_test",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("model_a", "model_b", "unit")),
        sa.Column("split", sa.Float, nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("agent_id", sa.Text),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("hash_key", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("start_us", "end_us")),
        sa.Column("stopped_us", sa.BigInteger),
        sa.Column("keep", sa.Text),
    )
    op.create_table(
        "ab_unit",
        sa.Column("test", KEY, primary_key=True, autoincrement=False),
        sa.Column("unit", sa.LargeBinary, primary_key=True),
        sa.Column("arm", sa.SmallInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("value_us", sa.BigInteger),
        sqlite_with_rowid=False,
    )


def _policies() -> None:
    op.create_table(
        "policy",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "policy_change",
        sa.Column("key", KEY, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_table(
        "policy_unit",
        sa.Column("salt", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("arm", sa.SmallInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("success", sa.SmallInteger),
    )
    op.create_index("ix_policy_unit_outcome", "policy_unit", ["salt", "arm", "success"])
    op.create_table(
        "policy_sum",
        sa.Column("salt", sa.Text, primary_key=True),
        sa.Column("arm", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("calls", "errors", "cost_nanos", "saved_nanos")),
    )


def _explorer() -> None:
    op.create_table(
        "explorer_read",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("who", "what", "asked")),
        sa.Column("status", sa.Integer, nullable=False),
    )
