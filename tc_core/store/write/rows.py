"""An event as a row: from a record to columns, and from columns to what users see."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import Row

from tc_core.model import event
from tc_core.model.event import EventRecord
from tc_core.model.ports import Priced
from tc_core.model.scope import DIMENSIONS
from tc_core.model.totals import measures
from tc_core.model.usage import Usage
from tc_core.store.engine.interning import Term
from tc_core.store.schema.days import day_of
from tc_core.store.schema.tables import CUBE, SEED, Event, body_key, canonical_json, table
from tc_core.store.write.shared_columns import STATUS, WHAT, OwnColumns, ScopeColumns

COLUMNS: tuple[str, ...] = tuple(table(Event).columns.keys())
IDENTITY = ("key", "id", "at", "parent", "root", "depth")
"""What a revision never changes."""

REVISED = COLUMNS[len(IDENTITY) :]

USAGE_COLUMNS = Usage._fields
_WRITTEN = (
    *WHAT,
    *DIMENSIONS,
    "labels",
    *STATUS,
    "latency_us",
    *USAGE_COLUMNS,
    "charges",
    "usage_source",
    "cost_nanos",
    "charges_nanos",
    "price_source",
    "price_day",
    "details",
)
if _WRITTEN != REVISED:  # else each value would land in another column
    raise AssertionError(f"`values` writes {_WRITTEN}, the table has {REVISED}")

PRICE = ("cost_nanos", "charges_nanos", "price_source", "price_day")
_COST, _USAGE_SOURCE = map(REVISED.index, ("cost_nanos", "usage_source"))
_OF_COST = tuple(map(REVISED.index, PRICE))
_OF_USAGE = (REVISED.index("charges"), *_OF_COST)
_STATUS, _ERROR = map(REVISED.index, ("status", "error_type"))
_cube = itemgetter(*(REVISED.index(name) for name in CUBE))
_SEED_VALUES = {key: value for key, _, value in SEED}
_NO_USAGE = Usage()

Values = tuple[Any, ...]
"""The columns of `REVISED`, in their order."""


def values(
    record: EventRecord,
    own: OwnColumns,
    scope: ScopeColumns,
    labels: int | None,
    bodies: dict[int, str],
    identity: Values = (),
) -> Values:
    """Return the columns of `REVISED` for a record, behind those of `IDENTITY` where these are given.

    `labels` is the key of its label set. The text of its metadata goes into `bodies`, by its key.
    """
    details, since = None, record.price_date
    if record.metadata:
        body = canonical_json(record.metadata)
        details = body_key(body)
        bodies[details] = body
    return (  # in the order of `_WRITTEN`
        *identity,
        *own.what,
        *scope.dimensions,
        labels,
        *own.status,
        record.latency_us,
        *(record.usage or _NO_USAGE),
        canonical_json(record.charges) if record.charges else None,
        own.usage_source,
        record.cost_nanos,
        record.charges_nanos,
        own.price_source,
        None if since is None else day_of(since),
        details,
    )


def revisable(row: Row[Any]) -> Values:
    """Return the columns of `REVISED` of a whole row."""
    return tuple(row)[len(IDENTITY) :]


def cube(row: Values) -> tuple[int | None, ...]:
    """Return the dimensions of the hourly roll-up."""
    columns: tuple[int | None, ...] = _cube(row)
    return columns


def measures_of(row: Values) -> tuple[int, ...]:
    """Return what a row adds to the sums."""
    column = dict(zip(REVISED, row, strict=True))
    usage = Usage(*(column[name] for name in USAGE_COLUMNS))
    return measures(
        _SEED_VALUES.get(column["event_type"], ""),
        _SEED_VALUES[column["status"]],
        usage if usage.input_tokens is not None or usage.output_tokens is not None else None,
        _SEED_VALUES.get(column["usage_source"]),
        column["cost_nanos"],
        column["latency_us"],
        column["charges_nanos"],
    )


def rank_of(row: Row[Any]) -> int:
    """Return how final a stored row is."""
    return event.rank(_SEED_VALUES[row.status], _SEED_VALUES.get(row.usage_source))


def merged(old: Values, new: Values) -> Values:
    """Lay a revision over a row; what the revision does not know stays, but for the error of another end.

    Where it knows the tokens, what they cost and what is charged beside them are its own too, unknown or not.
    """
    row = [before if after is None else after for before, after in zip(old, new, strict=True)]
    for place in _OF_USAGE if new[_USAGE_SOURCE] is not None else _OF_COST if new[_COST] is not None else ():
        row[place] = new[place]
    if new[_STATUS] != old[_STATUS]:
        row[_ERROR] = new[_ERROR]
    return tuple(row)


def price_columns(price: Priced, keys: Mapping[Term, int]) -> Values:
    """Return the columns of `PRICE`."""
    return price.cost_nanos, price.charges_nanos, keys["price_source", price.source], day_of(price.since)


def with_price(row: Values, price: Priced, keys: Mapping[Term, int]) -> Values:
    """Return the columns of `REVISED` with another price."""
    column = dict(zip(REVISED, row, strict=True)) | dict(zip(PRICE, price_columns(price, keys), strict=True))
    return tuple(column.values())
