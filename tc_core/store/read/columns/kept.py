"""Columns of all events at some moment, and how they are brought up to date.

They are right as long as no event that had ended has changed or gone, which writers note in the database
(`Database.note_edit`), and the newest event that was read is still where it was. What has come since is read, and what
was open and has ended.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, func, select

from tc_core.store.engine.database import Database
from tc_core.store.read.columns import blocks
from tc_core.store.read.columns.blocks import Block, Found
from tc_core.store.read.columns.keeper import DoubtError
from tc_core.store.read.columns.label_values import LabelSets, LabelValues
from tc_core.store.read.filters import EVENT
from tc_core.store.schema.tables import OPEN

MOST_OPEN = 10_000
"""With more open events, each of which is looked at before a question, rows are read."""
MOST_BLOCKS = 512
"""With more, sums might leave 64 bits."""
MOST_LABELS = 32
"""Labels whose values are kept; the one that was asked for first goes."""

_SLACK = 1.5
"""How much larger than what it may be a store must look by its first rows for the others not to be read."""


class Newest(NamedTuple):
    """The newest row that was read."""

    key: int
    id: bytes | None = None


@dataclass(frozen=True)
class Kept:
    """What is kept at some moment; never changed, so that several threads may read it."""

    edition: object
    """What the database said of itself."""
    names: tuple[str, ...]
    """Columns of `event` beside time and measures."""
    last: Newest
    open_keys: frozenset[int] = frozenset()
    blocks: tuple[Block, ...] = ()
    sets: LabelSets = field(default_factory=LabelSets)
    labels: Mapping[str, LabelValues] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        parts: Iterable[Block | LabelSets | LabelValues] = (*self.blocks, self.sets, *self.labels.values())
        return sum(part.bytes for part in parts)

    def is_too_large(self, most_bytes: int) -> bool:
        """Tell whether rows are to be asked instead."""
        return self.bytes > most_bytes or len(self.blocks) > MOST_BLOCKS

    def stands(self, connection: Connection, last: Newest) -> bool:
        """Tell whether the newest row that was read is the one that is there now."""
        if last == self.last:
            return True
        found = connection.execute(select(EVENT.c.id).where(EVENT.c.key == self.last.key)).scalar()
        return found is not None and found == self.last.id

    def with_ended(self, connection: Connection, database: Database) -> "Kept":
        """Return it with the events that were open and have ended; raise DoubtError where too many are open."""
        if not self.open_keys:
            return self
        is_meant = EVENT.c.key.in_(database.listed(sorted(self.open_keys)))
        open_keys = frozenset(connection.execute(select(EVENT.c.key).where(is_meant, EVENT.c.status == OPEN)).scalars())
        if open_keys == self.open_keys:
            return self
        kept = replace(self, open_keys=open_keys)
        for found in blocks.read(connection, self.names, [is_meant, EVENT.c.status != OPEN]):
            kept = kept._with(found)
        return kept

    def with_newer(self, connection: Connection, last: Newest, most_bytes: int) -> "Kept | None":
        """Return it with the rows up to the last one; None where these would take too much memory."""
        if last == self.last:
            return self
        kept = self
        for found in blocks.read(connection, self.names, [EVENT.c.key > self.last.key]):
            kept = kept._with(found)
            if kept.is_too_large(most_bytes):
                return None
            if len(kept.blocks) == 1 and found.last_key > self.last.key:
                read, whole = found.last_key - self.last.key, last.key - self.last.key
                if kept.bytes * (whole / read) > _SLACK * most_bytes:
                    return None
        return replace(kept, last=last)

    def with_labels(self, connection: Connection, database: Database, labels: Collection[str]) -> "Kept":
        """Return it with what all label sets say of some labels; raise DoubtError for what no writer writes."""
        found = dict(self.labels)
        for label in labels:
            values = found.pop(label, None) or LabelValues()
            found[label] = values.with_sets(connection, database, label, self.sets)
        kept = dict(list(found.items())[-MOST_LABELS:]) if len(labels) <= MOST_LABELS else found
        return replace(self, labels=kept)

    def _with(self, found: Found) -> "Kept":
        open_keys = self.open_keys.union(found.open_keys)
        if len(open_keys) > MOST_OPEN:
            raise DoubtError
        if found.block is None:
            return replace(self, open_keys=open_keys)
        columns, sets = dict(found.block.columns), self.sets
        if "labels" in columns:
            keys = columns["labels"]
            sets = sets.with_keys(np.unique(keys))
            columns["labels"] = sets.numbers(keys)
        block = replace(found.block, columns=columns)
        return replace(self, open_keys=open_keys, sets=sets, blocks=blocks.appended(self.blocks, block))


def newest(connection: Connection) -> Newest:
    """Return the newest row; a store without any has key 0."""
    found = connection.execute(select(EVENT.c.key, EVENT.c.id).order_by(EVENT.c.key.desc()).limit(1)).first()
    return Newest(0) if found is None else Newest(found.key, found.id)


def oldest(connection: Connection) -> int:
    """Return the key of the oldest row; 1 where there is none."""
    return connection.execute(select(func.min(EVENT.c.key))).scalar() or 1
