"""Model calls in bulk, with no more of each than what it costs depends on."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from tc_core.model.ports import CallFacts, Filters
from tc_core.model.usage import Usage
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.read.filters import EVENT, ORPHAN, PARENT, ROOT, Conditions, is_label, label_name
from tc_core.store.read.row_measures import IS_UNPRICED
from tc_core.store.schema.tables import CALLS, INTERNED, SEED_KEYS, LabelSet, table

_LABEL_SET = table(LabelSet)
_TEXTS = ("model", "served_model", "provider", "service_tier", "usage_source", "price_source")
_PLAIN = ("at", *Usage._fields, "charges", "cost_nanos")
_OPEN = SEED_KEYS["status", "open"]


class CallReader:
    """Reads the calls of a question page by page, in the order in which they were stored."""

    def __init__(
        self, connection: Connection, database: Database, interned: InternedTexts, names: Sequence[str]
    ) -> None:
        self._connection, self._database, self._interned = connection, database, interned
        self._names = names
        for name in names:
            if name not in INTERNED and not is_label(name):
                raise ValueError(f"calls cannot be grouped by {name!r}: use a dimension or a label")

    def page(
        self, filters: Filters, span: tuple[int | None, int | None], after_key: int, limit: int
    ) -> tuple[int, list[CallFacts]]:
        """Return the key of the last row, and its calls; no call is behind the last page."""
        columns = [EVENT.c.key, *(EVENT.c[name] for name in (*_PLAIN, *_TEXTS)), *map(self._group, self._names)]
        tables = EVENT.outerjoin(_LABEL_SET, _LABEL_SET.c.id == EVENT.c.labels) if self._has_labels() else EVENT
        if {"parent_id", "root_id"} & filters.keys():
            tables = tables.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent).outerjoin(
                ROOT, ROOT.c.key == EVENT.c.root
            )
            tables = tables.outerjoin(ORPHAN, ORPHAN.c.event == EVENT.c.key)
        counts = EVENT.c.event_type.in_(CALLS) & (EVENT.c.status != _OPEN)
        has_price = EVENT.c.cost_nanos.is_not(None) | IS_UNPRICED
        conditions = Conditions(self._connection, self._database, self._interned).of(filters, *span)
        question = (
            select(*columns)
            .select_from(tables)
            .where(EVENT.c.key > after_key, counts, has_price, *conditions)
            .order_by(EVENT.c.key)
            .limit(limit)
        )
        found = self._connection.execute(question).all()
        return (found[-1][0] if found else after_key), list(self._facts(found))

    def _has_labels(self) -> bool:
        return any(name not in INTERNED for name in self._names)

    def _group(self, name: str) -> ColumnElement[Any]:
        if name in INTERNED:
            return EVENT.c[name]
        return self._database.label_value(_LABEL_SET.c.body, label_name(name)).label(f"label_{name}")

    def _facts(self, found: Sequence[Any]) -> Iterator[CallFacts]:
        if not found:
            return iter(())
        by_column = list(zip(*found, strict=True))
        first = 1 + len(_PLAIN)
        at, usage, charges, cost = by_column[1], by_column[2 : first - 2], by_column[first - 2], by_column[first - 1]
        texts, groups = by_column[first : first + len(_TEXTS)], by_column[first + len(_TEXTS) :]
        interned = [column for name, column in zip(self._names, groups, strict=True) if name in INTERNED]
        known = self._interned.values(self._connection, {*chain(*texts, *interned)} - {None})
        named = [
            map(known.get, column) if name in INTERNED else column
            for name, column in zip(self._names, groups, strict=True)
        ]
        keys = zip(*named, strict=True) if named else repeat((), len(found))
        usages = map(Usage._make, zip(*usage, strict=True))
        return map(CallFacts, keys, at, usages, charges, cost, *(map(known.get, column) for column in texts))
