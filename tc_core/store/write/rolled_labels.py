"""Which labels are rolled up: all but those with so many values that nearly every event would have sums of its own.

A label that has more than `MOST_VALUES` values in a store is *wide* from then on: its sums are deleted, and questions
for it are answered from the rows. That is decided inside the write transaction, so that all processes agree.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, func, select

from tc_core.model.scope import label_text
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts, Term
from tc_core.store.engine.wide_labels import MOST_VALUES, meaning_of, wide_labels
from tc_core.store.schema.tables import LabelValue, RollupLabel, RollupLabelDay, table

_MOST_KEPT = 50_000
_VALUES = table(LabelValue)

log = logging.getLogger("tc_core")

Pair = tuple[str, str]
"""A label and a value."""
PairKeys = dict[Pair, tuple[int, int]]


class RolledLabels:
    """The keys of labels and their values, for those that are rolled up; kept from batch to batch."""

    def __init__(self, database: Database, interned: InternedTexts) -> None:
        self._database = database
        self._interned = interned
        self._kept: PairKeys = {}
        self._generation = interned.generation

    def of(self, connection: Connection, pairs: set[Pair]) -> "BatchLabels":
        """Return the keys of those pairs that are rolled up, and make a label wide that gets too many values."""
        if self._generation != self._interned.generation:  # the keys are those of another database
            self._generation, self._kept = self._interned.generation, {}
        wide = wide_labels(connection, self._interned)
        rolled = {pair for pair in pairs if label_text(pair[0]) not in wide} if wide else pairs
        found = {pair: self._kept[pair] for pair in rolled if pair in self._kept}
        batch = BatchLabels(found)
        if len(found) < len(rolled):
            self._add_new(connection, rolled - found.keys(), batch)
        return batch

    def keep(self, batch: "BatchLabels") -> None:
        """Take up a batch whose transaction is committed."""
        self._interned.keep(batch.terms)
        if len(self._kept) > _MOST_KEPT:
            self._kept = {}
        self._kept.update(batch.keys)
        for label in batch.widened:
            log.warning("token-calculator: %s", meaning_of(label))

    def _add_new(self, connection: Connection, new: set[Pair], batch: "BatchLabels") -> None:
        terms = {term for label, value in new for term in (("label", label), ("label_value", value))}
        keys = batch.terms = self._interned.keys(connection, terms)
        added = {(label, value): (keys["label", label], keys["label_value", value]) for label, value in new}
        self._database.insert_missing(connection, "label_value", ("label", "value"), sorted(set(added.values())))
        for label in sorted({label for label, _ in new}):
            if self._has_too_many(connection, keys["label", label]):
                self._widen(connection, keys["label", label])
                batch.widened.append(label)
        batch.keys.update({pair: both for pair, both in added.items() if pair[0] not in batch.widened})
        for pair in [pair for pair in batch.keys if pair[0] in batch.widened]:
            del batch.keys[pair]

    def _has_too_many(self, connection: Connection, label: int) -> bool:
        counted = select(func.count()).select_from(_VALUES).where(_VALUES.c.label == label)
        return connection.execute(counted).scalar_one() > MOST_VALUES

    def _widen(self, connection: Connection, label: int) -> None:
        self._database.insert_missing(connection, "wide_label", ("label", "since"), [(label, time.time_ns() // 1000)])
        for rolled in (_VALUES, table(RollupLabel), table(RollupLabelDay)):
            connection.execute(delete(rolled).where(rolled.c.label == label))


@dataclass(slots=True)
class BatchLabels:
    """The pairs of one batch that are rolled up, the terms that had to be looked up, and the labels made wide."""

    keys: PairKeys
    terms: Mapping[Term, int] = field(default_factory=dict)
    widened: list[str] = field(default_factory=list)
