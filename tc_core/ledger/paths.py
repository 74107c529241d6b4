"""The prompts of many calls at once, as flat arrays: each one is a few stretches of an array of all nodes.

Nodes are laid out way by way, the longest first, so that the earlier turns of a conversation are the front of its last.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tc_core.ledger.columns import NOWHERE, UNKNOWN, Columns, Numbers, places, spread
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
        ids, prefixes = node_columns["id"], node_columns["prefix"]
        above = places(ids, node_columns["parent"])
        weights = prefixes - np.where(above == NOWHERE, PER_REQUEST, prefixes[above])
        layout = _Layout(above.tolist())
        for some in (ends, others):
            rows = np.unique(places(ids, some[some != UNKNOWN]))
            layout.take(rows[np.argsort(-prefixes[rows], kind="stable")].tolist())
            if some is ends:
                self.asked = len(layout.rows)
                """So many nodes are on the ways to `ends`."""
        rows = np.array(layout.rows, np.int64)
        place_of_row = np.array([*layout.places, NOWHERE], np.int64)
        self._ids, self._place_of_row = ids, place_of_row
        self.segments, self.whats = node_columns["segment"][rows], node_columns["what"][rows]
        self.weights, self.prefixes = weights[rows], prefixes[rows]
        self.parents = place_of_row[above[rows]]
        self._starts, self._attached = np.array(layout.starts, np.int64), np.array(layout.attached, np.int64)
        begins = np.zeros(len(rows), np.int64)
        begins[self._starts[1:]] = 1
        self._stretches = np.cumsum(begins)
        self.cut(np.ones(len(rows), np.int64))

    def cut(self, counts: Numbers) -> None:
        """Let each node have so many parts, one behind the other."""
        self.first_part = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=self.first_part[1:])
        before = [0] * len(self._starts)
        first = self.first_part.tolist()
        starts, stretches = self._starts.tolist(), self._stretches.tolist()
        for stretch, above in enumerate(self._attached.tolist()):
            if above != NOWHERE:
                begin = stretches[above]
                before[stretch] = before[begin] + first[above + 1] - first[starts[begin]]
        shift = np.array(before, np.int64) - self.first_part[self._starts]
        self.before = self.first_part[:-1] + shift[self._stretches] if len(counts) else self.first_part[:0]
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
            stretch = self._stretches[last]
            begin = self._starts[stretch]
            low = self.first_part[begin]
            pieces.append((starts[prompts] + self.before[begin], low, self.first_part[last + 1] - low))
            above = self._attached[stretch]
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


class _Layout:
    """Puts nodes behind each other: stretches that go down the tree, each attached below a node before it."""

    def __init__(self, above: Sequence[int]) -> None:
        self._above = above
        self.places = [NOWHERE] * len(above)
        self.rows: list[int] = []
        self.starts: list[int] = []
        self.attached: list[int] = []

    def take(self, ends: Sequence[int]) -> None:
        """Add what is missing on the ways to some nodes."""
        places, above = self.places, self._above
        for end in ends:
            way, node = [], end
            while node != NOWHERE and places[node] == NOWHERE:
                way.append(node)
                node = above[node]
            if way:
                start = len(self.rows)
                self.starts.append(start)
                self.attached.append(NOWHERE if node == NOWHERE else places[node])
                way.reverse()
                self.rows += way
                for place, row in enumerate(way, start):
                    places[row] = place
