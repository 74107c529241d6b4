"""What many events have in common, as columns: worked out once, and kept from batch to batch."""

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import Connection

from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.scope import DIMENSIONS, Scope
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts, Term
from tc_core.store.schema.tables import CUBE, INTERNED, body_key, canonical_json
from tc_core.store.write.label_sets import label_set_keys

Texts = tuple[str | None, ...]
Keys = tuple[int | None, ...]

MOST_KEPT = 2_000

WHAT = ("event_type", "name", "model", "served_model", "service_tier", "provider")
STATUS = ("status", "error_type")
_OWN = tuple(name for name in INTERNED if name not in DIMENSIONS)
_OF_CUBE = tuple(DIMENSIONS.index(name) for name in CUBE if name in DIMENSIONS)
if [name for name in CUBE if name in DIMENSIONS] != list(CUBE[-len(_OF_CUBE) :]):
    raise AssertionError(f"those of the scope are to be the last of {CUBE}")
_dimension_texts = attrgetter(*DIMENSIONS)

own_texts = attrgetter(*_OWN)
"""The interned texts of a record but for its scope's: of a few kinds, so that they come again and again."""


class OwnColumns(NamedTuple):
    """The keys of `own_texts`, in the groups in which they stand in a row."""

    what: Keys
    """Those of `WHAT`."""
    status: Keys
    """Those of `STATUS`."""
    usage_source: int | None
    price_source: int | None
    cube: Keys
    """What they have of the dimensions of the hourly roll-up, which come first there."""


class ScopeColumns(NamedTuple):
    """The keys of a scope's dimensions, and the text of its label set."""

    dimensions: Keys
    label_hash: int | None
    """The hash of that text; None where there are no labels."""
    label_body: str
    cube: Keys
    """The other dimensions of the hourly roll-up."""


class BatchColumns(NamedTuple):
    """What the events of one batch have in common."""

    events: dict[EventId, OwnColumns]
    own: dict[Texts, OwnColumns]
    scopes: dict[Scope, ScopeColumns]
    label_sets: dict[int, int]
    """The keys of the label sets, by the hashes of their texts."""
    keys: Mapping[Term, int]
    """The keys that had to be looked up or made."""

    def label_set(self, scope: ScopeColumns) -> int | None:
        """Return the key of a scope's label set; None where it has no labels."""
        return None if scope.label_hash is None else self.label_sets[scope.label_hash]


class SharedColumns:
    """Works out the columns of batches; keeps those whose transaction is committed, as `InternedTexts` keeps keys."""

    def __init__(self, database: Database, interned: InternedTexts) -> None:
        self._database = database
        self._interned = interned
        self._own: dict[Texts, OwnColumns] = {}
        self._scopes: dict[Scope, ScopeColumns] = {}
        self._generation = interned.generation

    def of(self, connection: Connection, records: Collection[EventRecord]) -> BatchColumns:
        """Return the columns of a batch, interning the texts that are new."""
        if self._generation != self._interned.generation:  # the keys are those of another database
            self._generation = self._interned.generation
            self._own, self._scopes = {}, {}
        each_texts = [own_texts(record) for record in records]
        texts, scopes = set(each_texts), {record.scope for record in records}
        new_texts, new_scopes = texts - self._own.keys(), scopes - self._scopes.keys()
        keys = self._interned.keys(connection, _terms(new_texts, new_scopes))
        own = {each: self._own.get(each) or _own_columns(each, keys) for each in texts}
        bodies: dict[int, str] = {}  # scopes often share their labels
        columns = {each: self._scopes.get(each) or _scope_columns(each, keys, bodies) for each in scopes}
        events = {record.id: own[each] for record, each in zip(records, each_texts, strict=True)}
        texts_of_labels = {each.label_hash: each.label_body for each in columns.values() if each.label_hash is not None}
        label_sets = label_set_keys(connection, self._database, texts_of_labels)
        return BatchColumns(events, own, columns, label_sets, keys)

    def of_terms(self, connection: Connection, terms: set[Term]) -> BatchColumns:
        """Return the keys of single texts."""
        return BatchColumns({}, {}, {}, {}, self._interned.keys(connection, terms))

    def keep(self, batch: BatchColumns) -> None:
        """Take up a batch whose transaction is committed."""
        self._interned.keep(batch.keys)
        if len(self._own) > MOST_KEPT:
            self._own = {}
        if len(self._scopes) > MOST_KEPT:
            self._scopes = {}
        self._own.update(batch.own)
        self._scopes.update(batch.scopes)


def _terms(texts: set[Texts], scopes: set[Scope]) -> set[Term]:
    """Return every text that is to be interned, and its kind."""
    named = [(_OWN, each) for each in texts] + [(DIMENSIONS, _dimension_texts(scope)) for scope in scopes]
    return {
        (kind, value) for kinds, values in named for kind, value in zip(kinds, values, strict=True) if value is not None
    }


def _own_columns(texts: Texts, keys: Mapping[Term, int]) -> OwnColumns:
    found = dict(zip(_OWN, _keys(_OWN, texts, keys), strict=True))
    what, status = (tuple(found[name] for name in names) for names in (WHAT, STATUS))
    cube = tuple(found[name] for name in CUBE if name in found)
    return OwnColumns(what, status, found["usage_source"], found["price_source"], cube)


def _scope_columns(scope: Scope, keys: Mapping[Term, int], bodies: dict[int, str]) -> ScopeColumns:
    labels = scope.labels
    body = bodies.get(id(labels))
    if body is None:
        body = bodies[id(labels)] = canonical_json(labels) if labels else ""
    dimensions = _keys(DIMENSIONS, _dimension_texts(scope), keys)
    cube = tuple([dimensions[place] for place in _OF_CUBE])
    return ScopeColumns(dimensions, body_key(body) if body else None, body, cube)


def _keys(kinds: Sequence[str], values: Texts, keys: Mapping[Term, int]) -> Keys:
    return tuple([None if value is None else keys[kind, value] for kind, value in zip(kinds, values, strict=True)])
