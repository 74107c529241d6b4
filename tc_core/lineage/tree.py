"""The lineage of a run as a tree: what hangs under what, and what each branch cost."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from tc_core.model import money
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import FACT, ProvenanceRelationship
from tc_core.model.totals import MEASURES, Totals, measures


@dataclass(slots=True, eq=False)
class Node:
    """An event, the nodes below it in order of time, and the sums over all of them and itself."""

    event: TrackingEvent
    totals: Totals = field(default_factory=Totals)
    children: list["Node"] = field(default_factory=list)
    relations: list[ProvenanceRelationship] = field(default_factory=list)
    """Facts about how this event stands to older ones."""

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it, parents first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the children inside."""
        plain: dict[int, dict[str, Any]] = {}
        for node in self.walk():
            cost = node.totals.known_cost_nanos
            plain[id(node)] = {
                **node.event.to_dict(),
                "total_cost": None if cost is None else money.to_dollars(cost),
                "total_cost_nanos": cost,
                "total_calls": node.totals.calls,
                "relations": [relation.to_dict() for relation in node.relations],
                "children": [],
            }
        for node in self.walk():
            plain[id(node)]["children"] = [plain[id(child)] for child in node.children]
        return plain[id(self)]


def tree(events: Sequence[TrackingEvent], relations: Sequence[ProvenanceRelationship] = ()) -> Node:
    """Put the events of one run together under its root; raise ValueError when there is none.

    An event whose parent is not among them hangs under the root.
    """
    nodes = {event.event_id: Node(event) for event in events}
    root = next((node for node in nodes.values() if node.event.root_id == node.event.event_id), None)
    if root is None:
        raise ValueError("there is no root among these events")
    for relation in relations:
        if relation.source_id in nodes and relation.confidence >= FACT:
            nodes[relation.source_id].relations.append(relation)
    for node in nodes.values():
        if node is not root:
            nodes.get(node.event.parent_id or "", root).children.append(node)
    _add_up(root)
    return root


def forest(events: Sequence[TrackingEvent], relations: Sequence[ProvenanceRelationship] = ()) -> list[Node]:
    """Put events of any runs together, in order of time; each whose parent is not among them begins a tree.

    Where parents go in a circle, as imported ones may, its first event begins one.
    """
    nodes = {event.event_id: Node(event) for event in sorted(events, key=lambda each: each.timestamp)}
    for relation in relations:
        if relation.source_id in nodes and relation.confidence >= FACT:
            nodes[relation.source_id].relations.append(relation)
    roots = [node for node in nodes.values() if node.event.parent_id not in nodes]
    for node in nodes.values():
        above = nodes.get(node.event.parent_id or "")
        if above is not None:
            above.children.append(node)
    reached = {id(each) for root in roots for each in root.walk()}
    for node in nodes.values():
        if id(node) not in reached:
            nodes[node.event.parent_id or ""].children.remove(node)
            roots.append(node)
            reached.update(id(each) for each in node.walk())
    for root in roots:
        _add_up(root)
    return roots


def name_of(event: TrackingEvent) -> str:
    """Return what an event is called: a call by its model, anything else by its name."""
    if event.is_call:
        return event.served_model or event.model or event.event_type
    return event.name or event.event_type


def _add_up(root: Node) -> None:
    for node in reversed(list(root.walk())):
        node.totals.add(_measures(node.event))
        for child in node.children:
            node.totals.add(astuple(child.totals))


def _measures(event: TrackingEvent) -> tuple[int, ...]:
    added = measures(
        event.event_type,
        event.status,
        event.usage if event.has_usage else None,
        event.usage_source,
        event.cost_nanos,
        None,
        event.charges_nanos,
    )
    return (
        added if event.is_call else tuple(0 if name == "errors" else n for name, n in zip(MEASURES, added, strict=True))
    )
