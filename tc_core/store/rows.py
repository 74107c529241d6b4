"""An event as a row: from a record to columns, and from columns to what users see."""

from collections.abc import Iterable, Mapping
from datetime import date
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Row

from tc_core.model import event
from tc_core.model.event import EventRecord
from tc_core.model.ports import Priced
from tc_core.model.scope import DIMENSIONS, Scope
from tc_core.model.totals import measures
from tc_core.model.usage import Usage
from tc_core.store.interning import Term
from tc_core.store.rollups import CUBE
from tc_core.store.tables import INTERNED, SEED, Event, body_key, canonical_json, table

COLUMNS: tuple[str, ...] = tuple(table(Event).columns.keys())
IDENTITY = ("key", "id", "at", "parent", "root", "depth")
"""What a revision never changes."""

REVISED = COLUMNS[len(IDENTITY) :]

PRICE = ("cost_nanos", "price_source", "price_day")
USAGE_COLUMNS = Usage._fields
_OWN_INTERNED = tuple(name for name in INTERNED if name not in DIMENSIONS)
_own_texts = attrgetter(*_OWN_INTERNED)
_dimensions = attrgetter(*DIMENSIONS)
_cube = itemgetter(*(REVISED.index(name) for name in CUBE))
_SEED_VALUES = {key: value for key, _, value in SEED}
_DAY_ZERO = date(1970, 1, 1).toordinal()
_NO_USAGE = Usage()

Values = tuple[Any, ...]
"""The columns of `REVISED`, in their order."""


class ScopeColumns:
    """The interned columns of scopes; events share scopes, so each is worked out once."""

    def __init__(self, keys: Mapping[Term, int]) -> None:
        self.label_sets: dict[int, str] = {}
        """The bodies of the label sets met so far, by their keys."""
        self._keys = keys
        self._columns: dict[Scope, tuple[int | None, ...]] = {}

    def of(self, scope: Scope) -> tuple[int | None, ...]:
        """Return the keys of the dimensions and of the label set."""
        columns = self._columns.get(scope)
        if columns is None:
            columns = self._columns[scope] = (
                *(_key(self._keys, name, getattr(scope, name)) for name in DIMENSIONS),
                self._label_set(scope.labels),
            )
        return columns

    def _label_set(self, labels: Mapping[str, str]) -> int | None:
        if not labels:
            return None
        body = canonical_json(labels)
        key = body_key(body)
        self.label_sets[key] = body
        return key


def terms(records: Iterable[EventRecord]) -> set[Term]:
    """Return every text of the records that is interned."""
    found: set[tuple[str, str | None]] = set()
    scopes: set[Scope] = set()
    for record in records:
        scopes.add(record.scope)
        found.update(zip(_OWN_INTERNED, _own_texts(record), strict=True))
    for scope in scopes:
        found.update(zip(DIMENSIONS, _dimensions(scope), strict=True))
    return {(kind, value) for kind, value in found if value is not None}


def values(record: EventRecord, keys: Mapping[Term, int], scopes: ScopeColumns) -> Values:
    """Return the columns of `REVISED` for a record."""
    usage = record.usage or _NO_USAGE
    name, model, served, provider = record.name, record.model, record.served_model, record.provider
    tier = record.service_tier
    error, source, price = record.error_type, record.usage_source, record.price_source
    return (
        keys["event_type", record.event_type],
        None if name is None else keys["name", name],
        None if model is None else keys["model", model],
        None if served is None else keys["served_model", served],
        None if tier is None else keys["service_tier", tier],
        None if provider is None else keys["provider", provider],
        *scopes.of(record.scope),
        keys["status", record.status],
        None if error is None else keys["error_type", error],
        record.latency_us,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.audio_input_tokens,
        usage.audio_output_tokens,
        usage.cache_write_1h_tokens,
        None if source is None else keys["usage_source", source],
        record.cost_nanos,
        None if price is None else keys["price_source", price],
        None if record.price_date is None else record.price_date.toordinal() - _DAY_ZERO,
        body_key(canonical_json(record.metadata)) if record.metadata else None,
    )


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
    )


def rank_of(row: Row[Any]) -> int:
    """Return how final a stored row is."""
    return event.rank(_SEED_VALUES[row.status], _SEED_VALUES.get(row.usage_source))


def merged(old: Values, new: Values) -> Values:
    """Lay a revision over a row; what the revision does not know stays."""
    return tuple(before if after is None else after for before, after in zip(old, new, strict=True))


def price_columns(price: Priced, keys: Mapping[Term, int]) -> Values:
    """Return the columns of `PRICE`."""
    day = None if price.since is None else price.since.toordinal() - _DAY_ZERO
    return price.cost_nanos, keys["price_source", price.source], day


def with_price(row: Values, price: Priced, keys: Mapping[Term, int]) -> Values:
    """Return the columns of `REVISED` with another price."""
    column = dict(zip(REVISED, row, strict=True)) | dict(zip(PRICE, price_columns(price, keys), strict=True))
    return tuple(column.values())


def date_of(price_day: int | None) -> date | None:
    """Return the date that a `price_day` counts to."""
    return None if price_day is None else date.fromordinal(price_day + _DAY_ZERO)


def _key(keys: Mapping[Term, int], kind: str, value: str | None) -> int | None:
    return None if value is None else keys[kind, value]
