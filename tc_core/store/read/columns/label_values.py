"""Label sets by small numbers, and the values of a label by these: read once from each set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sqlalchemy import Connection, select

from tc_core.store.engine.database import Database
from tc_core.store.read.columns.blocks import Numbers
from tc_core.store.read.columns.keeper import DoubtError
from tc_core.store.schema.tables import LabelSet, table

_LABEL_SET = table(LabelSet)
_MOST_LISTED = 2_000

_VALUE_BYTES = 150
"""What a value takes about: its text, and its place among the others."""


@dataclass(frozen=True)
class LabelSets:
    """The label sets that events have, numbered in the order in which they were met; number 0 is none."""

    keys: Numbers = field(default_factory=lambda: np.zeros(1, np.int64))
    """The keys of their rows, by number."""

    @property
    def bytes(self) -> int:
        """What they take in memory."""
        return 3 * self.keys.nbytes

    def numbers(self, keys: Numbers) -> Numbers:
        """Return the numbers of sets that are known."""
        return self._order[np.searchsorted(self._sorted, keys)]

    def with_keys(self, keys: Numbers) -> "LabelSets":
        """Return them with those that are new."""
        new = np.setdiff1d(keys, self._sorted)
        return LabelSets(np.concatenate([self.keys, new])) if len(new) else self

    @cached_property
    def _order(self) -> Numbers:
        return np.argsort(self.keys, kind="stable").astype(np.int32)

    @cached_property
    def _sorted(self) -> Numbers:
        return self.keys[self._order]


@dataclass(frozen=True)
class LabelValues:
    """The values of one label; 0 stands for none."""

    of_sets: Numbers = field(default_factory=lambda: np.zeros(1, np.int32))
    """The number of the value that each label set has."""
    texts: Mapping[str, int] = field(default_factory=dict)
    """The numbers of the values, from 1."""

    @property
    def bytes(self) -> int:
        """What they take in memory."""
        return self.of_sets.nbytes + _VALUE_BYTES * len(self.texts)

    @cached_property
    def in_order(self) -> tuple[list[str | None], Numbers]:
        """The values in the order in which the database has them, none first, and each number's place among them."""
        texts = sorted(self.texts, key=lambda text: text.encode("utf-8", "surrogatepass"))
        places = np.zeros(len(texts) + 1, np.int64)
        places[[self.texts[text] for text in texts]] = np.arange(1, len(texts) + 1)
        return [None, *texts], places

    def with_sets(self, connection: Connection, database: Database, label: str, sets: LabelSets) -> "LabelValues":
        """Return them with what the sets say that have come since; raise DoubtError for what is no label."""
        new = sets.keys[len(self.of_sets) :]
        if not len(new):
            return self
        found = _read(connection, database, label, new)
        texts = dict(self.texts)
        try:
            added = [
                0 if (text := found[key]) is None else texts.setdefault(text, len(texts) + 1) for key in new.tolist()
            ]
        except KeyError:
            raise DoubtError from None
        if not all(isinstance(text, str) for text in texts):
            raise DoubtError
        return LabelValues(np.concatenate([self.of_sets, np.array(added, np.int32)]), texts)


def _read(connection: Connection, database: Database, label: str, keys: Numbers) -> dict[int, str | None]:
    value = database.label_value(_LABEL_SET.c.body, label)
    question = select(_LABEL_SET.c.id, value)
    if len(keys) <= _MOST_LISTED:
        question = question.where(_LABEL_SET.c.id.in_(database.listed(keys.tolist())))
    return {key: text for key, text in connection.execute(question)}  # noqa: C416  # rows are not pairs
