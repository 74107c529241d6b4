"""The runs of a workflow in the store, and one of them as a tree."""

from tc_core.errors import LineageError
from tc_core.lineage import find
from tc_core.lineage.tree import Node, tree
from tc_core.model.event import TrackingEvent
from tc_core.model.run import Run
from tc_core.store.read.marks import marks
from tc_core.store.sql import SqlStore


def runs(store: SqlStore, workflow_id: str, *, limit: int = 20) -> list[Run]:
    """Return the runs of a workflow, the latest first.

    A run is an entry into it, also one inside another run; or a graph, an agent, a crew or a flow of that name; or
    whatever else was recorded under its id and hangs under nothing.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit!r}")
    found = {
        run.event.event_id: run
        for wanted in ({"workflow_id": workflow_id}, {"name": workflow_id, "event_type": ["workflow", "agent"]})
        for run in store.runs(wanted, limit=limit, single_calls=True)
    }
    inside = store.query_events({"name": workflow_id, "event_type": "workflow"}, limit=limit, descending=True)
    trees: dict[str, Node] = {}
    for event in inside:
        root_id = event.root_id or event.event_id
        if event.event_id in found or root_id in found:
            continue  # a graph of the same name inside a run is a part of that run
        if root_id not in trees:
            trees[root_id] = tree(*store.tree(root_id))
        found |= {node.event.event_id: as_run(node) for node in _outermost(trees[root_id], workflow_id)}
    return sorted(found.values(), key=lambda run: (run.event.timestamp, run.event.event_id), reverse=True)[:limit]


def run_of(store: SqlStore, workflow_id: str, wanted: str | None) -> Node:
    """Return a run with all in it: by its id, the end of one, or that of anything in it; the last one without a word.

    Raises LineageError where there is none.
    """
    if wanted is None:
        latest = runs(store, workflow_id, limit=1)
        if not latest:
            raise LineageError(f"No run of the workflow {workflow_id!r} is recorded: `token-calc runs` lists what is.")
        return subtree(store, latest[0].event)
    event = find.event(store, wanted)
    root = tree(*store.tree(event.root_id or event.event_id))
    line, entries = _line(root, event.event_id), {each.event.event_id for each in _outermost(root, workflow_id)}
    found = next((node for node in line if node.event.event_id in entries), root)
    if found is root and workflow_id not in (found.event.workflow_id, found.event.name):
        of = f", but of {found.event.workflow_id!r}" if found.event.workflow_id else ""
        raise LineageError(f"{wanted} is no run of the workflow {workflow_id!r}{of}: `token-calc runs` lists what is.")
    return found


def subtree(store: SqlStore, event: TrackingEvent) -> Node:
    """Return a run with all that hangs under it; LineageError where it has left the store."""
    events, relations = store.tree(event.root_id or event.event_id)
    found = (
        None
        if not events
        else next((node for node in tree(events, relations).walk() if node.event.event_id == event.event_id), None)
    )
    if found is None:
        raise LineageError(f"The run {event.event_id} has nothing in the store yet, or no more.")
    return found


def as_run(node: Node) -> Run:
    """Return a node of a tree as a run."""
    return Run(node.event, node.totals, sum(1 for _ in node.walk()))


def with_marks(root: Node) -> list[TrackingEvent]:
    """Return the events of a run in order of time, its root as the two that mark its start and its end."""
    within = [node.event for node in root.walk() if node is not root]
    start, *end = marks(root.event)
    return [start, *sorted(within, key=lambda event: event.timestamp), *end]


def _outermost(root: Node, workflow_id: str) -> list[Node]:
    """Return the entries into a workflow that lie in no other one."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node.event.event_type == "workflow" and node.event.name == workflow_id:
            found.append(node)
        else:
            waiting.extend(node.children)
    return found


def _line(root: Node, event_id: str) -> list[Node]:
    """Return the nodes from the root down to an event."""
    above = {child.event.event_id: node for node in root.walk() for child in node.children}
    at = next((node for node in root.walk() if node.event.event_id == event_id), None)
    line: list[Node] = []
    while at is not None:
        line.append(at)
        at = above.get(at.event.event_id)
    return line[::-1]
