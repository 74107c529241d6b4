"""What is sent for the first time: each content once in a session, or without one in a run."""

from typing import NamedTuple

import numpy as np

from tc_core.ledger.columns import NOWHERE, UNKNOWN, Columns, Mask, Numbers, grouped, joined, ordered, spread
from tc_core.ledger.paths import Paths


class Firsts(NamedTuple):
    """First sends of some calls: the call and the node of each, by calls, and which calls are the first of theirs."""

    calls: Numbers
    nodes: Numbers
    is_first_call: Mask

    def parts(self, rows: Numbers, starts: Numbers, paths: Paths) -> Numbers:
        """Return where the parts are that some calls send first, in the prompts of these behind each other.

        `rows` are calls in their order, and `starts` says where the prompt of each begins.
        """
        some = slice(*np.searchsorted(self.calls, [rows[0], rows[-1] + 1]).tolist())
        nodes = self.nodes[some]
        begins = starts[np.searchsorted(rows, self.calls[some])] + paths.before[nodes]
        return spread(begins, paths.lengths[nodes] - paths.before[nodes])


def first_sends(chosen: Columns, others: Columns, paths: Paths) -> Firsts:
    """Return what the chosen calls send first; all calls of a session or run tell what was sent before."""
    both = joined(("key", "at", "root", "session_id", "node"), (chosen, others))
    order = ordered((both["at"], both["key"]))
    has_session = both["session_id"] != UNKNOWN
    scope, _ = grouped((has_session, np.where(has_session, both["session_id"], both["root"])))
    is_chosen = np.arange(len(order)) < len(chosen["key"])
    is_first_call = np.zeros(len(order), np.bool_)
    is_first_call[order[np.unique(scope[order], return_index=True)[1]]] = True
    calls, nodes = _new_nodes(order, scope, paths.places(both["node"]), paths)
    _, first = grouped((scope[calls], paths.segments[nodes]))
    first = first[is_chosen[calls[first]]]
    first = first[np.argsort(calls[first], kind="stable")]
    return Firsts(calls[first], nodes[first], is_first_call[: len(chosen["key"])])


def _new_nodes(order: Numbers, scope: Numbers, ends: Numbers, paths: Paths) -> tuple[Numbers, Numbers]:
    """Return the nodes that each call is the first of its session to go through, call by call as they were made."""
    gone: dict[tuple[int, int], int] = {}
    begins: list[int] = []
    counts: list[int] = []
    goers: list[int] = []
    starts, attached, stretches = paths.starts.tolist(), paths.attached.tolist(), paths.stretches.tolist()
    for call, where, end in zip(order.tolist(), scope[order].tolist(), ends[order].tolist(), strict=True):
        node, at = end, len(begins)
        while node != NOWHERE:
            stretch = stretches[node]
            start = starts[stretch]
            before = gone.get((where, stretch), start - 1)
            if before >= node:
                break
            gone[where, stretch] = node
            begins.insert(at, before + 1)
            counts.insert(at, node - before)
            goers.append(call)
            if before >= start:
                break
            node = attached[stretch]
    of_each = np.array(counts, np.int64)
    return np.repeat(np.array(goers, np.int64), of_each), spread(np.array(begins, np.int64), of_each)
