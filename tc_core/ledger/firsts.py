"""What is sent for the first time: each content once in a session, or without one in a run."""

from typing import NamedTuple

import numpy as np

from tc_core.ledger.columns import NOWHERE, UNKNOWN, Columns, Mask, Numbers, spread
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
    both = {name: np.concatenate([chosen[name], others[name]]) for name in ("key", "at", "root", "session_id", "node")}
    order = np.lexsort((both["key"], both["at"]))
    ends = paths.places(both["node"])[order].tolist()
    has_session = both["session_id"] != UNKNOWN
    scopes = np.where(has_session, both["session_id"] * 2 + 1, both["root"] * 2)[order].tolist()
    calls: list[int] = []
    nodes: list[int] = []
    is_first_call = np.zeros(len(chosen["key"]), np.bool_)
    parents, segments = paths.parents.tolist(), paths.segments.tolist()
    known: dict[int, tuple[set[int], set[int]]] = {}
    for call, scope, end in zip(order.tolist(), scopes, ends, strict=True):
        is_chosen = call < len(is_first_call)
        if scope not in known:
            known[scope] = set(), set()
            if is_chosen:
                is_first_call[call] = True
        visited, sent = known[scope]
        way, node = [], end
        while node != NOWHERE and node not in visited:
            visited.add(node)
            way.append(node)
            node = parents[node]
        for node in reversed(way):
            if segments[node] not in sent:
                sent.add(segments[node])
                if is_chosen:
                    calls.append(call)
                    nodes.append(node)
    by_call = np.argsort(np.array(calls, np.int64), kind="stable")
    return Firsts(np.array(calls, np.int64)[by_call], np.array(nodes, np.int64)[by_call], is_first_call)
