"""The graph of a run as people think of it: agents, tools and models instead of events, and how often each was asked.

A node for each event says nothing of a run of ten thousand. Steps of a framework are no nodes: what lies below one
belongs to the agent that it is a step of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tc_core.lineage.bare_graph import NOWHERE
from tc_core.lineage.critical import Piece
from tc_core.lineage.outline import Outline
from tc_core.model.event import CALL_TYPES

MOST_NODES = 300
"""More cannot be read, nor laid out in a time that one would wait."""


class Group(NamedTuple):
    """What events are taken together: an agent, a tool, a retriever, a model; or the run itself."""

    kind: str
    name: str

    @property
    def key(self) -> str:
        """Return it as one text, such as `tool:search_web`."""
        return f"{self.kind}:{self.name}"


@dataclass(slots=True)
class GroupNode:
    """A group: how often it was at work, how long the run waited for it, and what it cost.

    A model's cost is that of its calls, an agent's or tool's that of the calls right below it: the same money twice.
    `most_in_one` is the most times that one event of a group asked for it, such as one agent for a tool: the turns of a
    loop. `again` is how often it was entered from inside itself.
    """

    group: Group
    times: int = 0
    failed: int = 0
    cost_nanos: int | None = None
    waited_us: int = 0
    most_in_one: int = 0
    again: int = 0
    first_place: int = 0

    def pay(self, nanos: int | None) -> None:
        """Add a cost, where it is known."""
        if nanos is not None:
            self.cost_nanos = (self.cost_nanos or 0) + nanos


@dataclass(slots=True)
class GroupEdge:
    """How often one group asked for another (`asked`), or one used what another had put out (`reads`)."""

    source: Group
    target: Group
    kind: str
    times: int = 0
    is_critical: bool = False


@dataclass(slots=True)
class GroupGraph:
    """The groups below one event, and the edges between them; `left_out` says what is missing and why."""

    root: Group
    nodes: dict[Group, GroupNode] = field(default_factory=dict)
    edges: dict[tuple[Group, Group, str], GroupEdge] = field(default_factory=dict)
    total_us: int = 0
    left_out: str = ""

    def around(self, group: Group, hops: int | None, *, most: int = MOST_NODES) -> "GroupGraph":
        """Return what lies so many steps from a group, all with None, and at most so many groups.

        With one step these are the group's own edges alone, and not those between its neighbours.
        """
        near = self._near(group, hops)
        reason = ""
        if len(near) < len(self.nodes):
            said = "1 hop" if hops == 1 else f"{hops} hops"
            reason = f"{len(near):,} of {len(self.nodes):,} groups lie within {said} of {group.kind} {group.name}."
        if len(near) > most:
            ranked = sorted(near, key=lambda each: (each != group, *self._rank(each)))
            reason = f"Of {len(near):,} groups the {most:,} are shown that were waited for longest or cost most."
            near = set(ranked[:most])
        edges = {
            key: edge
            for key, edge in self.edges.items()
            if {edge.source, edge.target} <= near and (hops != 1 or group in (edge.source, edge.target))
        }
        nodes = {each: node for each, node in self.nodes.items() if each in near}
        return GroupGraph(self.root, nodes, edges, self.total_us, reason)

    def hops_that_fit(self, group: Group, most: int, most_edges: int) -> int | None:
        """Return the most hops around a group within which no more than so many groups and edges lie; at least one."""
        if len(self.nodes) <= most and len(self.edges) <= most_edges:
            return None
        hops, before = 1, 0
        while True:
            near = self._near(group, hops + 1)
            edges = sum(edge.source in near and edge.target in near for edge in self.edges.values())
            if len(near) > most or edges > most_edges or len(near) == before:
                return hops
            hops, before = hops + 1, len(near)

    def _near(self, group: Group, hops: int | None) -> set[Group]:
        if hops is None:
            return set(self.nodes)
        beside: dict[Group, set[Group]] = {}
        for edge in self.edges.values():
            beside.setdefault(edge.source, set()).add(edge.target)
            beside.setdefault(edge.target, set()).add(edge.source)
        found = {group} & self.nodes.keys()
        last = set(found)
        for _ in range(hops):
            last = {each for one in last for each in beside.get(one, ())} - found
            if not last:
                break
            found |= last
        return found

    def _rank(self, group: Group) -> tuple[int, int, int, str]:
        node = self.nodes[group]
        return -node.waited_us, -(node.cost_nanos or 0), -node.times, group.key


def grouped(run: Outline, place: int = 0, pieces: Sequence[Piece] | None = None) -> GroupGraph:
    """Return the groups of a run, or of what lies below one of its events; see `GroupGraph`.

    `pieces` are those of its critical path, where they are known already.
    """
    return _Grouping(run, place).graph(run.waited_for(place) if pieces is None else pieces)


class _Grouping:
    def __init__(self, run: Outline, place: int) -> None:
        self._run, self._top = run, place
        self._holder: dict[int, Group] = {}
        """The group in which what lies below a place is held."""
        self._held_by: dict[int, int] = {}
        """The event of that group."""
        self._own: dict[int, Group] = {}
        self._by_one: dict[tuple[int, Group], int] = {}
        self._ways: dict[int, list[GroupEdge]] = {}
        """The edges that lead to an event from its parent's group."""
        self._inside: dict[int, frozenset[Group]] = {}
        self._graph = GroupGraph(self._of(place) or Group("step", run.names[place]))

    def graph(self, pieces: Sequence[Piece]) -> GroupGraph:
        run, graph = self._run, self._graph
        graph.total_us = run.ends[self._top] - run.begins[self._top]
        self._node(graph.root, self._top).times = 1
        self._holder[self._top] = self._own[self._top] = graph.root
        self._inside[self._top] = frozenset({graph.root})
        self._held_by[self._top] = self._top
        self._count(self._top, graph.root)
        for place in run.below(self._top)[1:]:
            self._add(place)
        for (_, group), times in self._by_one.items():
            graph.nodes[group].most_in_one = max(graph.nodes[group].most_in_one, times)
        self._add_reads()
        self._add_path(pieces)
        return graph

    def _of(self, place: int) -> Group | None:
        """Return the group that an event is one of; None for a step, which is part of another."""
        run = self._run
        kind, name = run.types[place], run.names[place]
        if kind in CALL_TYPES:
            return Group("model", name)
        if kind == "tool":
            return Group("tool", name)
        if kind == "retrieval":
            return Group("retriever", name)
        if kind == "agent":
            return Group("agent", run.agents[place] or name)
        if place == 0:
            return Group("workflow" if kind == "workflow" else "run", name)
        return Group("workflow", name) if kind == "workflow" else None

    def _add(self, place: int) -> None:
        run, parent = self._run, self._run.parents[place]
        above, inside = self._holder[parent], self._inside[parent]
        ways: list[GroupEdge] = []
        agent = run.agents[place]
        if agent is not None and run.types[place] != "agent" and above.kind in ("run", "workflow"):
            mid = Group("agent", agent)  # calls that name their agent, and have no event of it around them
            self._node(mid, place).times += 1
            ways.append(self._ask(self._held_by[parent], above, mid))
            above = mid
        self._ways[place] = ways
        group = self._of(place)
        if group is None:
            self._own[place] = self._holder[place] = above
            self._inside[place] = inside
            self._held_by[place] = self._held_by[parent]
            return
        node = self._node(group, place)
        node.times += 1
        node.again += group in inside
        ways.append(self._ask(self._held_by[parent], above, group))
        self._held_by[place] = place
        self._count(place, group)
        is_call = run.types[place] in CALL_TYPES
        if is_call:
            self._graph.nodes[above].pay(run.own_costs[place])
        self._holder[place] = group
        self._own[place] = above if is_call else group  # what a call says, its agent says
        self._inside[place] = inside if group in inside else inside | {group}

    def _ask(self, asking: int, above: Group, group: Group) -> GroupEdge:
        edge = self._edge(above, group, "asked")
        edge.times += 1
        self._by_one[asking, group] = self._by_one.get((asking, group), 0) + 1
        return edge

    def _count(self, place: int, group: Group) -> None:
        node = self._graph.nodes[group]
        node.failed += self._run.statuses[place] == "error"
        node.pay(self._run.own_costs[place])

    def _node(self, group: Group, place: int) -> GroupNode:
        found = self._graph.nodes.get(group)
        if found is None:
            found = self._graph.nodes[group] = GroupNode(group, first_place=place)
        return found

    def _edge(self, source: Group, target: Group, kind: str) -> GroupEdge:
        key = (source, target, kind)
        found = self._graph.edges.get(key)
        if found is None:
            found = self._graph.edges[key] = GroupEdge(source, target, kind)
        return found

    def _add_reads(self) -> None:
        """Add who used what another had put out, as far as both are shown and it is not the same."""
        for newer, relation, older in self._run.facts:
            if relation != "derived_from" or older == NOWHERE:
                continue
            source, target = self._own.get(older), self._own.get(newer)
            if source is not None and target is not None and source != target:
                self._edge(source, target, "reads").times += 1

    def _add_path(self, pieces: Sequence[Piece]) -> None:
        """Add how long the run waited for whom, and mark the ways there."""
        marked = {self._top}
        for place, begin, end, is_wait in pieces:
            if is_wait:
                continue
            self._graph.nodes[self._holder[place]].waited_us += end - begin
            while place not in marked:
                marked.add(place)
                for edge in self._ways[place]:
                    edge.is_critical = True
                place = self._run.parents[place]  # noqa: PLW2901  # up to where it was marked before
