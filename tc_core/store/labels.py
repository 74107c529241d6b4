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
from tc_core.store.dialect import Database
from tc_core.store.interning import Dimensions, Term
from tc_core.store.tables import LabelValue, RollupLabel, RollupLabelDay, table

MOST_VALUES = 1_000
"""How many values a label may have before it is no longer rolled up."""

_MOST_KEPT = 50_000
_VALUES = table(LabelValue)

log = logging.getLogger("tc_core")

Pair = tuple[str, str]
"""A label and a value."""
PairKeys = dict[Pair, tuple[int, int]]


class RolledLabels:
    """The keys of labels and their values, for those that are rolled up; kept from batch to batch."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._database = database
        self._dimensions = dimensions
        self._kept: PairKeys = {}
        self._generation = dimensions.generation

    def of(self, connection: Connection, pairs: set[Pair]) -> "BatchLabels":
        """Return the keys of those pairs that are rolled up, and make a label wide that gets too many values."""
        if self._generation != self._dimensions.generation:  # the keys are those of another database
            self._generation, self._kept = self._dimensions.generation, {}
        wide = wide_labels(connection, self._dimensions)
        rolled = {pair for pair in pairs if label_text(pair[0]) not in wide} if wide else pairs
        found = {pair: self._kept[pair] for pair in rolled if pair in self._kept}
        batch = BatchLabels(found)
        if len(found) < len(rolled):
            self._add_new(connection, rolled - found.keys(), batch)
        return batch

    def keep(self, batch: "BatchLabels") -> None:
        """Take up a batch whose transaction is committed."""
        self._dimensions.keep(batch.terms)
        if len(self._kept) > _MOST_KEPT:
            self._kept = {}
        self._kept.update(batch.keys)
        for label in batch.widened:
            log.warning("token-calculator: %s", said_of(label))

    def _add_new(self, connection: Connection, new: set[Pair], batch: "BatchLabels") -> None:
        terms = {term for label, value in new for term in (("label", label), ("label_value", value))}
        keys = batch.terms = self._dimensions.keys(connection, terms)
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


def said_of(label: str) -> str:
    """Say what it means that a label is wide, and what to do."""
    return (
        f"the label {label!r} has more than {MOST_VALUES:,} values: questions for it read all events of their period; "
        "put what differs from call to call into metadata"
    )


def wide_labels(connection: Connection, dimensions: Dimensions) -> dict[str, int]:
    """Return the labels that are not rolled up, and since when (us UTC)."""
    found = connection.exec_driver_sql("SELECT label, since FROM wide_label").all()
    texts = dimensions.values(connection, {label for label, _ in found}) if found else {}
    return {texts[label]: since for label, since in found}
