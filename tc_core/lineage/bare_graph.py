"""A lineage as bare numbers: where its events stand, and arrays of who hangs under whom and what came from what.

A million events take some tens of megabytes and answer in milliseconds; as objects they would take a gigabyte.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

NOWHERE = -1
"""Stands for no parent."""


class Steps(NamedTuple):
    """From each node the nodes one step on: those of `n` are `ends[starts[n] : starts[n + 1]]`."""

    starts: Numbers
    ends: Numbers

    @classmethod
    def of(cls, begins: Numbers, ends: Numbers, count: int) -> "Steps":
        """Sort edges by where they begin."""
        starts = np.zeros(count + 1, np.int64)
        np.cumsum(np.bincount(begins, minlength=count), out=starts[1:])
        return cls(starts, ends[np.argsort(begins, kind="stable")])

    def after(self, nodes: Numbers) -> Numbers:
        """Return all nodes one step on from some, with repetitions."""
        begins, counts = self.starts[nodes], self.starts[nodes + 1] - self.starts[nodes]
        before = np.cumsum(counts) - counts
        found: Numbers = self.ends[np.repeat(begins - before, counts) + np.arange(counts.sum())]
        return found

    def reached(self, nodes: Numbers) -> Mask:
        """Return which nodes can be reached from some; these themselves only along a cycle."""
        seen = np.zeros(len(self.starts) - 1, np.bool_)
        while nodes.size:
            found = self.after(nodes)
            nodes = np.unique(found[~seen[found]])
            seen[nodes] = True
        return seen

    def levels(self, nodes: Numbers) -> Numbers:
        """Return how many steps each node is away from the nearest of some; `NOWHERE` for those out of reach."""
        found = np.full(len(self.starts) - 1, NOWHERE, np.int64)
        level, found[nodes] = 0, 0
        while nodes.size:
            level += 1
            following = self.after(nodes)
            nodes = np.unique(following[found[following] == NOWHERE])
            found[nodes] = level
        return found


class BareGraph:
    """Nodes in the order of their keys, and two kinds of edges, from the older to the newer: parents and facts.

    `keys` are those of rows. Elsewhere nodes are named by their places in it.
    """

    def __init__(self, rows: Numbers, facts: Numbers) -> None:
        """Take rows of (key, key of the parent or `NOWHERE`), and facts as (newer, relation, older), by keys."""
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        self.keys = np.ascontiguousarray(rows[:, 0])
        self.parents = self.places(rows[:, 1])
        newer, older = self.places(facts[:, 0]), self.places(facts[:, 2])
        is_inside = (newer != NOWHERE) & (older != NOWHERE)
        self.newer, self.older, self.relations = newer[is_inside], older[is_inside], facts[is_inside, 1]
        children = np.flatnonzero(self.parents != NOWHERE)
        self._begins = np.concatenate([self.parents[children], self.older])
        self._ends = np.concatenate([children, self.newer])
        self._forward: Steps | None = None
        self._backward: Steps | None = None

    @property
    def forward(self) -> Steps:
        """From each node to what hangs under it or came from it."""
        if self._forward is None:
            self._forward = Steps.of(self._begins, self._ends, len(self.keys))
        return self._forward

    @property
    def backward(self) -> Steps:
        """From each node to its parent and what it came from."""
        if self._backward is None:
            self._backward = Steps.of(self._ends, self._begins, len(self.keys))
        return self._backward

    @property
    def edges(self) -> int:
        """How many edges there are."""
        return len(self._begins)

    def places(self, keys: Numbers) -> Numbers:
        """Return the places of keys, `NOWHERE` for those that are not here."""
        if not self.keys.size:
            return np.full(len(keys), NOWHERE, np.int64)
        found = np.searchsorted(self.keys, keys)
        found[found == len(self.keys)] = 0
        return np.where(self.keys[found] == keys, found, NOWHERE)

    def roots(self) -> Numbers:
        """Return the nodes that have no parent and came from nothing."""
        has_origin = self.parents != NOWHERE
        has_origin[self.newer] = True
        return np.flatnonzero(~has_origin)

    def depths(self) -> Numbers:
        """Return how deep each node lies: below its parent, or without one behind the nearest that it came from.

        A root has the depth 0, and so has what lies on or behind a cycle alone.
        """
        children = np.flatnonzero(self.parents != NOWHERE)
        of_facts = self.parents[self.newer] == NOWHERE
        steps = Steps.of(
            np.concatenate([self.parents[children], self.older[of_facts]]),
            np.concatenate([children, self.newer[of_facts]]),
            len(self.keys),
        )
        return np.maximum(steps.levels(self.roots()), 0)

    def around_cycles(self) -> Numbers:
        """Return the nodes among which all cycles lie, and little else.

        A cycle has an edge that does not lead on in the order of keys. These are few; so is what lies behind the end of
        one and before the beginning of one.
        """
        is_against = self._ends <= self._begins
        if not is_against.any():
            return np.zeros(0, np.int64)
        begins, ends = np.unique(self._begins[is_against]), np.unique(self._ends[is_against])
        behind, before = self.forward.reached(ends), self.backward.reached(begins)
        behind[ends] = before[begins] = True
        return np.flatnonzero(behind & before)

    def edges_among(self, nodes: Numbers) -> list[tuple[int, int]]:
        """Return the edges between some nodes."""
        is_meant = np.zeros(len(self.keys), np.bool_)
        is_meant[nodes] = True
        both = is_meant[self._begins] & is_meant[self._ends]
        return list(zip(self._begins[both].tolist(), self._ends[both].tolist(), strict=True))


def as_places(numbers: Iterable[int]) -> Numbers:
    """Return whole numbers as an array."""
    return np.fromiter(numbers, np.int64)
