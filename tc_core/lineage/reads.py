"""How much of a call's prompt is what another event has put out: from the ledger."""

from collections.abc import Iterable

from tc_core.ledger.waterfall import waterfall
from tc_core.lineage.tree import Node
from tc_core.store.sql import SqlStore

MOST_ASKED = 200
"""Of so many calls it is told; a tree of more is too long to read anyway."""

Reads = dict[tuple[str, str], int]
"""Tokens of the newer event's prompt that come from the older one, by both ids."""


def reads(store: SqlStore, nodes: Iterable[Node]) -> Reads:
    """Return how many tokens each call has of each event that it is derived from, as far as the ledger knows."""
    found: Reads = {}
    calls = [node for node in nodes if any(each.relation == "derived_from" for each in node.relations)]
    for node in [node for node in calls if node.event.is_call][:MOST_ASKED]:
        event_id = node.event.event_id
        for row in waterfall(store, {"event_id": event_id}, is_single=True).rows:
            if row.origin_id is not None:
                found[event_id, row.origin_id] = found.get((event_id, row.origin_id), 0) + row.tokens
    return found
