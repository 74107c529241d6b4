"""The prompts of many calls at once, as flat arrays: each one is a few stretches of an array of all nodes.

Nodes are laid out in stretches that go down the tree, so that a conversation's earlier turns are the front of its last.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tc_core.ledger.columns import NOWHERE, UNKNOWN, Columns, Mask, Numbers, distinct, ordered, places, spread
from tc_core.ledger.tree import PER_REQUEST


class Flat(NamedTuple):
    """The parts of some prompts behind each other: which parts, and where each prompt begins in them."""

    parts: Numbers
    starts: Numbers


class Paths:
    """The ways to some nodes.

    A node is named by its place; those that `ends` need come first, then what `others` need beyond. `node_columns`
    are in the order of ids, as `sql.nodes_to` gives them.
    """

    def __init__(self, node_columns: Columns, ends: Numbers, others: Numbers) -> None:
        self._ids, prefixes = node_columns["id"], node_columns["prefix"]
        above = places(self._ids, node_columns["parent"])
        is_asked = _with_all_above(above, places(self._ids, distinct(ends[ends != UNKNOWN])))
        head, steps = _stretches(above, is_asked)
        rows = ordered((~is_asked[head], prefixes[head], head, steps))  # a stretch comes behind what it hangs below
        self._place_of_row = np.full(len(rows) + 1, NOWHERE)
        self._place_of_row[rows] = np.arange(len(rows))
        self.asked = int(is_asked.sum())
        """So many nodes are on the ways to `ends`."""
        self.segments, self.whats = node_columns["segment"][rows], node_columns["what"][rows]
        self.prefixes = prefixes[rows]
        self.weights = (prefixes - np.where(above == NOWHERE, PER_REQUEST, prefixes[above]))[rows]
        self.starts = np.flatnonzero(head[rows] == rows)
        self.attached = self._place_of_row[above[rows[self.starts]]]
        """Where each stretch begins, and the node below which it hangs."""
        self.stretches = np.cumsum(head[rows] == rows) - 1
        """The stretch of each node."""
        self.cut(np.ones(len(rows), np.int64))

    def cut(self, counts: Numbers) -> None:
        """Let each node have so many parts, one behind the other."""
        self.first_part = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=self.first_part[1:])
        before = [0] * len(self.starts)
        first = self.first_part.tolist()
        starts, stretches = self.starts.tolist(), self.stretches.tolist()
        for stretch, above in enumerate(self.attached.tolist()):
            if above != NOWHERE:
                begin = stretches[above]
                before[stretch] = before[begin] + first[above + 1] - first[starts[begin]]
        shift = np.array(before, np.int64) - self.first_part[self.starts]
        self.before = self.first_part[:-1] + shift[self.stretches] if len(counts) else self.first_part[:0]
        """How many parts lie on the way to each node."""
        self.lengths = self.before + counts
        """How many parts the way to each node has, with its own."""

    def places(self, ids: Numbers) -> Numbers:
        """Return the places of nodes by their ids; `NOWHERE` for `UNKNOWN`."""
        return self._place_of_row[places(self._ids, ids)]

    def flat(self, ends: Numbers, *, behind: int | None = None) -> Flat:
        """Return all parts of the prompts that end in some nodes, and where it is given, one more `behind` each."""
        more = 0 if behind is None else 1
        lengths = self.lengths[ends] + more
        starts = np.cumsum(lengths) - lengths
        prompts, last = np.arange(len(ends)), ends
        pieces = [] if behind is None else [(starts + lengths - 1, np.full(len(ends), behind), np.ones_like(lengths))]
        while prompts.size:
            stretch = self.stretches[last]
            begin = self.starts[stretch]
            low = self.first_part[begin]
            pieces.append((starts[prompts] + self.before[begin], low, self.first_part[last + 1] - low))
            above = self.attached[stretch]
            goes_on = above != NOWHERE
            prompts, last = prompts[goes_on], above[goes_on]
        at, low, counts = (np.concatenate(columns) for columns in zip(*pieces, strict=True)) if pieces else [starts] * 3
        if len(pieces) > 1:
            order = np.argsort(at)
            low, counts = low[order], counts[order]
        return Flat(spread(low, counts), starts)


def blocks(lengths: Numbers, most: int) -> Iterator[slice]:
    """Cut a sequence of prompts into pieces of at most so many parts, or of one prompt."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, "right")))
        yield slice(start, stop)
        start = stop


def _with_all_above(above: Numbers, ends: Numbers) -> Mask:
    """Return which nodes are on the ways to some ends, in ever longer steps."""
    found = np.zeros(len(above) + 1, np.bool_)
    found[ends] = True
    found[NOWHERE] = False
    step = np.append(above, NOWHERE)
    while (step[:-1] != NOWHERE).any():
        found[step[found]] = True
        found[NOWHERE] = False
        step = step[step]
    return found[:-1]


def _stretches(above: Numbers, is_asked: Mask) -> tuple[Numbers, Numbers]:
    """Return for each node where its stretch begins, and how many steps above it that is.

    A stretch goes on with one child of each node: of several rather with one that has children.
    """
    rows = np.arange(len(above))
    below = np.flatnonzero(above != NOWHERE)
    has_child = np.zeros(len(above), np.bool_)
    has_child[above[below]] = True
    child = np.full(len(above), NOWHERE)
    for some in (below[~has_child[below]], below[has_child[below]]):
        child[above[some]] = some
    is_head = (above == NOWHERE) | (child[above] != rows) | (is_asked[above] != is_asked)
    head, steps = np.where(is_head, rows, above), np.where(is_head, 0, 1)
    while not is_head[head].all():
        steps, head = steps + steps[head], head[head]
    return head, steps
