"""The critical path of a run: what it waited for, from its end back to its beginning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tc_core.errors import LineageError
from tc_core.lineage.tree import Node, name_of, tree
from tc_core.model import money
from tc_core.model.event import TrackingEvent, to_us
from tc_core.store.sql import SqlStore

_WAITING = "waiting"
"""The kind of a bottleneck that is no work of ours: nothing that is recorded ran."""


Piece = tuple[int, int, int, bool]
"""The place of an event that is waited for, from when to when (us), and whether it is a wait for nothing recorded."""


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """Some time in which a run waited for one event: a call, a tool, or for what a step did itself.

    `is_wait` says that nothing which is recorded ran below the event meanwhile: the program's own work, or a pause.
    """

    event_id: str
    name: str
    kind: str
    agent_id: str | None
    begins_ms: float
    """Since the run began."""
    ms: float
    is_wait: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """What a run waited for, in order of time; the steps fill its duration without a gap.

    Of `total_ms`, `busy_ms` passed in calls, tools and other work that is recorded, `wait_ms` in between. A step
    that takes less makes the run shorter by as much, until another path is the longest.
    """

    steps: tuple[CriticalStep, ...]
    total_ms: float
    busy_ms: float
    wait_ms: float

    @property
    def names(self) -> list[str]:
        """Who was waited for: agents and tools, each once where nothing else comes between."""
        found: list[str] = []
        for step in self.steps:
            if not step.is_wait:
                name = waited_name(step.kind, step.name, step.agent_id)
                if not found or found[-1] != name:
                    found.append(name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "names": self.names,
            "total_ms": self.total_ms,
            "busy_ms": self.busy_ms,
            "wait_ms": self.wait_ms,
            "steps": [step.to_dict() for step in self.steps],
        }


_BY_NAME = frozenset({"tool", "retrieval"})


def waited_name(kind: str, name: str, agent_id: str | None) -> str:
    """Return who is waited for: a tool, else the agent of an event where it has one."""
    return name if kind in _BY_NAME or agent_id is None else agent_id


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What the runs of a workflow wait for most: an agent's calls to a model, a tool, or nothing that is recorded.

    `ms` is how much of the critical paths of all runs it is, `share` of the whole; `runs` in how many of them it
    lies there. `saves_ms` is by how much a run would be shorter, on average and at most, were it twice as fast.
    """

    kind: str
    name: str
    agent_id: str | None
    ms: float
    share: float
    runs: int
    steps: int
    saves_ms: float
    cost_nanos: int | None
    event_ids: tuple[str, ...]
    """The longest of its events, at most three."""

    @property
    def cost(self) -> float | None:
        """What its events on the critical paths cost, in dollars."""
        return None if self.cost_nanos is None else money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"cost": self.cost, **{each.name: getattr(self, each.name) for each in fields(self)}}


def critical_path(root: Node) -> CriticalPath:
    """Return what a run, or a branch of one, waited for.

    From its end back: the child that ended last is what was waited for, until it began; then the one that ended last
    before that. What lies between two of them is a wait. What has no end recorded ends with the last below it.
    """
    nodes = list(root.walk())
    places = {id(node): place for place, node in enumerate(nodes)}
    children = [[places[id(child)] for child in node.children] for node in nodes]
    begins, ends = _spans(nodes, children)
    steps = tuple(
        CriticalStep(
            *(nodes[place].event.event_id, name_of(nodes[place].event), nodes[place].event.event_type),
            nodes[place].event.agent_id,
            (begin - begins[0]) / 1000,
            (end - begin) / 1000,
            is_wait,
        )
        for place, begin, end, is_wait in waited_for(children, begins, ends)
    )
    return path_of(steps, (ends[0] - begins[0]) / 1000)


def waited_for(
    children: Sequence[Sequence[int]], begins: Sequence[int], ends: Sequence[int], root: int = 0
) -> list[Piece]:
    """Return the pieces of a critical path, in order of time.

    Events are places in `children`, which holds the places below each, and in `begins` and `ends`, which hold times.
    """
    pieces: list[Piece] = []
    waiting = [(root, begins[root], ends[root])]
    while waiting:
        place, begin, end = waiting.pop()
        at, is_leaf = end, not children[place]
        for child in sorted(children[place], key=ends.__getitem__, reverse=True):
            child_begin, child_end = max(begins[child], begin), min(ends[child], at)
            if child_begin >= child_end:
                continue
            if child_end < at:
                pieces.append((place, child_end, at, True))
            waiting.append((child, child_begin, child_end))
            at = child_begin
        if at > begin:
            pieces.append((place, begin, at, not is_leaf))
    return sorted(pieces, key=lambda piece: (piece[1], piece[2]))


def path_of(steps: tuple[CriticalStep, ...], total_ms: float) -> CriticalPath:
    """Return the critical path that has some steps, which fill so much time."""
    wait_ms = sum(step.ms for step in steps if step.is_wait)
    return CriticalPath(steps, total_ms, total_ms - wait_ms, wait_ms)


def bottlenecks(runs: Sequence[Node]) -> list[Bottleneck]:
    """Return what some runs waited for, the longest first."""
    paths = [(root, critical_path(root)) for root in runs]
    whole_ms = sum(path.total_ms for _, path in paths)
    found: dict[tuple[str, str, str | None], list[tuple[int, CriticalStep]]] = {}
    events: dict[str, TrackingEvent] = {}
    for number, (root, path) in enumerate(paths):
        events |= {node.event.event_id: node.event for node in root.walk()}
        for step in path.steps:
            kind, name = (_WAITING, step.name) if step.is_wait else (step.kind, step.name)
            found.setdefault((kind, name, step.agent_id), []).append((number, step))
    made = [_bottleneck(key, steps, whole_ms, len(runs), events) for key, steps in found.items()]
    return sorted(made, key=lambda each: (-each.ms, each.kind, each.name))


def of_workflow(store: SqlStore, workflow_id: str, most_runs: int) -> list[Bottleneck]:
    """Return what the last runs of a workflow waited for; raise LineageError for one that is not recorded."""
    found = store.runs({"workflow_id": workflow_id}, limit=most_runs, single_calls=True)
    if not found:
        raise LineageError(f"no run of workflow {workflow_id!r} is recorded")
    return bottlenecks([tree(*store.tree(run.event.event_id)) for run in found])


def _bottleneck(
    key: tuple[str, str, str | None],
    steps: Sequence[tuple[int, CriticalStep]],
    whole_ms: float,
    runs: int,
    events: Mapping[str, TrackingEvent],
) -> Bottleneck:
    kind, name, agent_id = key
    ms = sum(step.ms for _, step in steps)
    longest = dict.fromkeys(step.event_id for _, step in sorted(steps, key=lambda each: -each[1].ms))
    costs = [cost for event_id in longest if (cost := events[event_id].cost_nanos) is not None]
    return Bottleneck(
        kind=kind,
        name=name,
        agent_id=agent_id,
        ms=ms,
        share=ms / whole_ms if whole_ms else 0.0,
        runs=len({number for number, _ in steps}),
        steps=len(steps),
        saves_ms=ms / 2 / runs,
        cost_nanos=sum(costs) if costs and kind != _WAITING else None,
        event_ids=tuple(longest)[:3],
    )


def _spans(nodes: Sequence[Node], children: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return when each node began and ended (us)."""
    begins = [to_us(node.event.timestamp) for node in nodes]
    took = [None if ms is None else round(ms * 1000) for ms in (node.event.latency_ms for node in nodes)]
    return begins, ends_of(begins, took, children)


def ends_of(begins: Sequence[int], took: Sequence[int | None], children: Sequence[Sequence[int]]) -> list[int]:
    """Return when events ended, parents before children; what has no end recorded ends with the last below it."""
    ends = list(begins)
    for place in range(len(begins) - 1, -1, -1):
        own = took[place]
        if own is not None:
            ends[place] += own
        else:
            ends[place] = max([begins[place], *(ends[child] for child in children[place])])
    return ends
