"""The tables: what the migrations create and the queries read.

Texts that repeat (models, agents, sessions, ...) are interned: a row holds the small key of a row in
`dimension`. Label sets and metadata are kept once each, under a key made from their text. Money is
integer nano-dollars, time integer microseconds UTC.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from tc_core.model.event import CALL_TYPES, EVENT_TYPES, STATUSES, USAGE_SOURCES
from tc_core.model.provenance import RELATION_SOURCES, RELATIONS
from tc_core.model.scope import DIMENSIONS

KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite's row id must be spelled INTEGER

MOST_COUNTED = 1 << 40
"""Keys that are counted stay below it; those that older versions made from texts may be any number of 64 bits."""

_BLOCK = 20  # keys are reserved in blocks, so that a kind can grow without moving another's keys
_SEEDED_KINDS = {
    "event_type": EVENT_TYPES,
    "status": STATUSES,
    "usage_source": USAGE_SOURCES,
    "relation": RELATIONS,
    "relation_source": RELATION_SOURCES,
}

SEED = tuple(
    (block * _BLOCK + place, kind, value)
    for block, (kind, values) in enumerate(_SEEDED_KINDS.items())
    for place, value in enumerate(values, start=1)
)
"""Rows that every store has from the start, so that their keys are the same everywhere. Append only."""

SEED_KEYS = {(kind, value): key for key, kind, value in SEED}
OPEN = SEED_KEYS["status", "open"]
CALLS = tuple(SEED_KEYS["event_type", value] for value in sorted(CALL_TYPES))

INTERNED = (
    "event_type",
    "name",
    "model",
    "served_model",
    "service_tier",
    "provider",
    *DIMENSIONS,
    "status",
    "error_type",
    "usage_source",
    "price_source",
)
"""Columns of `event` that hold keys of `dimension`; the column's name is the kind."""


CUBE = ("event_type", "provider", "model", "agent_id", "environment")
"""The dimensions of `rollup_hour`, after the hour; those of `rollup_day` are the same without the event type."""


REFERS_TO = "refers_to"


def refers_to(column: str, **further: Any) -> dict[str, Any]:
    """Say that a column holds keys of another one, written `table.column`: see `references`."""
    return {"info": {REFERS_TO: column}, **further}


LEAVES_BY = "leaves_by"


def leaves_by(**further: Any) -> dict[str, Any]:
    """Say that rows leave with the events of their time: the column holds microseconds since 1970. See `dated`."""
    return {"info": {LEAVES_BY: True}, **further}


class StoreTable(SQLModel, registry=registry()):
    """What all our tables are made from: their `MetaData` is our own, so that a host's tables may have any names."""


class Dimension(StoreTable, table=True):
    """An interned text."""

    __tablename__ = "dimension"
    __table_args__ = (UniqueConstraint("kind", "value"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=Integer)
    kind: str = Field(sa_type=Text)
    value: str = Field(sa_type=Text)


class LabelSet(StoreTable, table=True):
    """The labels of an event as canonical JSON, and a hash of the text; keys are small, and given once.

    In a store that an older version made, the key of a set is that hash.
    """

    __tablename__ = "label_set"
    __table_args__ = (Index("ix_label_set_hash", "hash", unique=True),)
    id: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    body: str = Field(sa_type=Text)
    hash: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class MetadataBody(StoreTable, table=True):
    """The metadata of an event as canonical JSON; the key is made from the text."""

    __tablename__ = "metadata_body"
    id: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    body: str = Field(sa_type=Text)


class Event(StoreTable, table=True):
    """One recorded operation; `key`, `parent` and `root` are keys of rows, `id` is what users know.

    `charges` is canonical JSON, kind -> count; it is None where there are none.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_id", "id", unique=True),
        Index("ix_event_at", "at", postgresql_using="brin", postgresql_with={"pages_per_range": 16}),
        Index("ix_event_root", "root"),
        Index("ix_event_run", "at", sqlite_where=text("parent IS NULL"), postgresql_where=text("parent IS NULL")),
    )
    key: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    id: bytes = Field(sa_type=LargeBinary(16))
    at: int = Field(sa_type=BigInteger)
    parent: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("event.key"))
    root: int = Field(sa_type=BigInteger, sa_column_kwargs=refers_to("event.key"))
    depth: int = Field(sa_type=Integer)
    event_type: int = Field(sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    name: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    model: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    served_model: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    service_tier: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    provider: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    agent_id: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    agent_type: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    task_type: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    intent: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    workflow_id: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    session_id: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    environment: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    labels: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("label_set.id"))
    status: int = Field(sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    error_type: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    latency_us: int | None = Field(default=None, sa_type=BigInteger)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cached_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_write_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    audio_input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    audio_output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_write_1h_tokens: int | None = Field(default=None, sa_type=BigInteger)
    charges: str | None = Field(default=None, sa_type=Text)
    usage_source: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    cost_nanos: int | None = Field(default=None, sa_type=BigInteger)
    charges_nanos: int | None = Field(default=None, sa_type=BigInteger)
    price_source: int | None = Field(default=None, sa_type=Integer, sa_column_kwargs=refers_to("dimension.id"))
    price_day: int | None = Field(default=None, sa_type=Integer)
    details: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("metadata_body.id"))


class ExternalId(StoreTable, table=True):
    """The text of an id that is not a UUID, such as `req_123`; also of parents that have no row yet."""

    __tablename__ = "external_id"
    id: bytes = Field(primary_key=True, sa_type=LargeBinary(16))
    value: str = Field(sa_type=Text)


class Orphan(StoreTable, table=True):
    """An event whose parent has not been recorded (yet); it is adopted when the parent comes."""

    __tablename__ = "orphan"
    __table_args__ = (Index("ix_orphan_parent", "parent_id"),)
    event: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("event.key", autoincrement=False))
    parent_id: bytes = Field(sa_type=LargeBinary(16))


class RelationRow(StoreTable, table=True):
    """A typed relation from the newer event to the older."""

    __tablename__ = "relation"
    __table_args__ = (Index("ix_relation_target", "target"), {"sqlite_with_rowid": False})
    source: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("event.key", autoincrement=False))
    relation: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    target: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("event.key", autoincrement=False))
    origin: int = Field(sa_type=Integer)
    confidence: float
    details: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("metadata_body.id"))


class AttemptRow(StoreTable, table=True):
    """One HTTP request of an event; see `model.attempt`."""

    __tablename__ = "attempt"
    event: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("event.key", autoincrement=False))
    number: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    retry: int = Field(sa_type=Integer)
    status: int | None = Field(default=None, sa_type=Integer)
    latency_us: int | None = Field(default=None, sa_type=BigInteger)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)


class _Measures(StoreTable):
    """The sums that every roll-up keeps; the names of `model.totals.Totals`."""

    calls: int = Field(sa_type=BigInteger)
    priced: int = Field(sa_type=BigInteger)
    unpriced: int = Field(sa_type=BigInteger)
    estimated: int = Field(sa_type=BigInteger)
    errors: int = Field(sa_type=BigInteger)
    input_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cached_tokens: int = Field(sa_type=BigInteger)
    cache_write_tokens: int = Field(sa_type=BigInteger)
    reasoning_tokens: int = Field(sa_type=BigInteger)
    audio_tokens: int = Field(sa_type=BigInteger)
    cost_nanos: int = Field(sa_type=BigInteger)
    charges_nanos: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    latency_us: int = Field(sa_type=BigInteger)


class RollupHour(_Measures, table=True):
    """Sums by hour and the five dimensions that most questions name; 0 stands for none."""

    __tablename__ = "rollup_hour"
    __table_args__ = ({"sqlite_with_rowid": False},)
    hour: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    event_type: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    provider: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    model: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    agent_id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    environment: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})


class RollupDay(_Measures, table=True):
    """Sums by day (UTC, counted from 1970) and four dimensions, 0 for none; errors and latency of calls alone."""

    __tablename__ = "rollup_day"
    __table_args__ = ({"sqlite_with_rowid": False},)
    day: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    provider: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    model: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    agent_id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    environment: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})


class RollupLabel(_Measures, table=True):
    """Sums by label and hour; errors and latency of calls alone."""

    __tablename__ = "rollup_label"
    __table_args__ = ({"sqlite_with_rowid": False},)
    label: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    hour: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    value: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})


class RollupLabelDay(_Measures, table=True):
    """The same by day."""

    __tablename__ = "rollup_label_day"
    __table_args__ = ({"sqlite_with_rowid": False},)
    label: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    day: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    value: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})


class LabelValue(StoreTable, table=True):
    """The values that a label has in the roll-ups; those of a label with too many are not kept (see `WideLabel`)."""

    __tablename__ = "label_value"
    __table_args__ = ({"sqlite_with_rowid": False},)
    label: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    value: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})


class Spool(StoreTable, table=True):
    """How far each spool file has been written to this store."""

    __tablename__ = "spool"
    file: str = Field(primary_key=True, sa_type=Text)
    position: int = Field(sa_type=BigInteger)


class Fault(StoreTable, table=True):
    """How often a hook met an error that it swallowed."""

    __tablename__ = "fault"
    fault: str = Field(primary_key=True, sa_type=Text)
    count: int = Field(sa_type=BigInteger)


class HashKey(StoreTable, table=True):
    """A key that short ids and content hashes were made with, by its own id, and since when (us UTC)."""

    __tablename__ = "hash_key"
    id: str = Field(primary_key=True, sa_type=Text)
    since: int = Field(sa_type=BigInteger)


class WideLabel(StoreTable, table=True):
    """A label with too many values for the roll-ups, and since when (us UTC): questions for it read the rows."""

    __tablename__ = "wide_label"
    label: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    since: int = Field(sa_type=BigInteger)


class Removal(StoreTable, table=True):
    """How many events of a day (UTC, days since 1970) are no longer in the store; their roll-ups are."""

    __tablename__ = "removal"
    day: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    events: int = Field(sa_type=BigInteger)


class ArchiveFile(StoreTable, table=True):
    """A Parquet file that an archive wrote; until it is `whole`, its events are still in the store."""

    __tablename__ = "archive_file"
    path: str = Field(primary_key=True, sa_type=Text)
    day: int = Field(sa_type=Integer)
    events: int = Field(sa_type=BigInteger)
    whole: int = Field(sa_type=Integer)


def table(model: type[SQLModel]) -> Table:
    """Return the table that SQLModel made for a model."""
    made: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    return made


def canonical_json(value: Mapping[str, Any]) -> str:
    """Write JSON so that equal values give equal text; what JSON cannot hold is written as its text."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, or a number beyond 64 bits
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def body_key(body: str) -> int:
    """Return the hash of a text that is kept once: the same in every process."""
    digest = blake2b(body.encode("utf-8", "surrogatepass"), digest_size=8, person=b"tc-body").digest()
    return int.from_bytes(digest, signed=True)
