"""Sums by days, so that long periods are cheap; the values of each label, so that one with too many is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MEASURES = [
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
OF_CALLS = ("errors", "latency_us")
CALLS = "(1, 2)"  # the reserved keys of llm_call and embedding


def upgrade() -> None:
    dimensions = ("provider", "model", "agent_id", "environment")
    _create("rollup_day", "day", *dimensions, sums=MEASURES)
    of_calls = [f"CASE WHEN event_type IN {CALLS} THEN {name} ELSE 0 END" for name in OF_CALLS]
    sums = dict(zip(MEASURES, MEASURES, strict=True)) | dict(zip(OF_CALLS, of_calls, strict=True))
    _fill("rollup_day", "rollup_hour", {"day": "hour / 24", **{name: name for name in dimensions}}, sums)
    _create("rollup_label_day", "label", "day", "value", sums=MEASURES)
    by_day = {"label": "label", "day": "hour / 24", "value": "value"}
    _fill("rollup_label_day", "rollup_label", by_day, dict(zip(MEASURES, MEASURES, strict=True)))
    _create("label_value", "label", "value", sums=[])
    op.execute("INSERT INTO label_value (label, value) SELECT DISTINCT label, value FROM rollup_label")
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("relation", recreate="always", table_kwargs={"sqlite_with_rowid": False}):
            pass


def _create(name: str, *keys: str, sums: list[str]) -> None:
    op.create_table(
        name,
        *(sa.Column(measure, sa.BigInteger, nullable=False) for measure in sums),
        *(sa.Column(key, sa.Integer, primary_key=True, autoincrement=False) for key in keys),
        sqlite_with_rowid=False,
    )


def _fill(name: str, source: str, keys: "dict[str, str]", sums: "dict[str, str]") -> None:
    """Sum an hourly table up by day; what would be zero throughout is left out."""
    columns = ", ".join([*keys, *sums])
    summed = [f"sum({expression})" for expression in sums.values()]
    op.execute(
        f"INSERT INTO {name} ({columns}) SELECT {', '.join([*keys.values(), *summed])} FROM {source} "
        f"GROUP BY {', '.join(keys.values())} HAVING {' OR '.join(f'{total} <> 0' for total in summed)}"
    )
