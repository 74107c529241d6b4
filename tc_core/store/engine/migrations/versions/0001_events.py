"""Events, what they refer to, and the roll-ups over them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")

SEED = {
    0: ("event_type", ["llm_call", "embedding", "tool", "retrieval", "agent", "task", "workflow"]),
    20: ("status", ["open", "ok", "error", "cancelled", "closed", "abandoned"]),
    40: ("usage_source", ["provider", "exact", "proxy", "estimate"]),
    60: (
        "relation",
        [
            "triggered_by",
            "part_of",
            "derived_from",
            "retry_of",
            "fallback_for",
            "enhancement_of",
            "validation_of",
            "continuation_of",
        ],
    ),
    80: ("relation_source", ["framework", "content", "user"]),
}


def upgrade() -> None:
    dimension = op.create_table(
        "dimension",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "value"),
    )
    op.bulk_insert(
        dimension,
        [
            {"id": base + place, "kind": kind, "value": value}
            for base, (kind, values) in SEED.items()
            for place, value in enumerate(values, start=1)
        ],
    )
    if op.get_context().dialect.name == "postgresql":  # its sequence does not know of the rows above
        op.execute("SELECT setval(pg_get_serial_sequence('dimension', 'id'), (SELECT max(id) FROM dimension))")
    for name in ("label_set", "metadata_body"):
        op.create_table(name, _key("id"), sa.Column("body", sa.Text, nullable=False))
    _create_event()
    op.create_table(
        "external_id",
        sa.Column("id", sa.LargeBinary(16), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table("orphan", _key("event"), sa.Column("parent_id", sa.LargeBinary(16), nullable=False))
    op.create_index("ix_orphan_parent", "orphan", ["parent_id"])
    op.create_table(
        "relation",
        _key("source"),
        _key("relation", sa.Integer),
        _key("target"),
        sa.Column("origin", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("details", sa.BigInteger),
    )
    op.create_index("ix_relation_target", "relation", ["target"])
    _create_rollup("rollup_hour", "hour", "event_type", "provider", "model", "agent_id", "environment")
    _create_rollup("rollup_label", "label", "hour", "value")
    op.create_table(
        "spool",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "fault",
        sa.Column("fault", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )


def _create_event() -> None:
    small = [
        "name",
        "model",
        "served_model",
        "provider",
        "agent_id",
        "agent_type",
        "task_type",
        "intent",
        "workflow_id",
        "session_id",
        "environment",
    ]
    tokens = [
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "audio_input_tokens",
        "audio_output_tokens",
    ]
    op.create_table(
        "event",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("parent", sa.BigInteger),
        sa.Column("root", sa.BigInteger, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("event_type", sa.Integer, nullable=False),
        *(sa.Column(column, sa.Integer) for column in small),
        sa.Column("labels", sa.BigInteger),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error_type", sa.Integer),
        sa.Column("latency_us", sa.BigInteger),
        *(sa.Column(column, sa.BigInteger) for column in tokens),
        sa.Column("usage_source", sa.Integer),
        sa.Column("cost_nanos", sa.BigInteger),
        sa.Column("price_source", sa.Integer),
        sa.Column("price_day", sa.Integer),
        sa.Column("details", sa.BigInteger),
    )
    op.create_index("ix_event_id", "event", ["id"], unique=True)
    op.create_index("ix_event_at", "event", ["at"], postgresql_using="brin", postgresql_with={"pages_per_range": 16})
    op.create_index("ix_event_root", "event", ["root"])
    is_run = sa.text("parent IS NULL")
    op.create_index("ix_event_run", "event", ["at"], sqlite_where=is_run, postgresql_where=is_run)


def _create_rollup(name: str, *keys: str) -> None:
    measures = [
        "calls",
        "priced",
        "unpriced",
        "estimated",
        "errors",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "cost_nanos",
        "latency_us",
    ]
    op.create_table(
        name,
        *(sa.Column(measure, sa.BigInteger, nullable=False) for measure in measures),
        *(_key(key, sa.Integer) for key in keys),
        sqlite_with_rowid=False,
    )


def _key(name: str, kind: "type[sa.Integer] | sa.types.TypeEngine[int]" = KEY) -> "sa.Column[int]":
    return sa.Column(name, kind, primary_key=True, autoincrement=False)
