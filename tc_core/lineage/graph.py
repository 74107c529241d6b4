"""LineageGraph: what hangs under what and what came from what; the only place that knows networkx."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

import networkx as nx

from tc_core.errors import CycleError, LineageError, StorageError
from tc_core.lineage import sql
from tc_core.lineage.bare_graph import BareGraph, Numbers, as_places
from tc_core.lineage.critical import critical_path
from tc_core.lineage.export import dot, graphml, html, mermaid, node_link, prov
from tc_core.lineage.export.groups import grouped
from tc_core.lineage.export.picture import PARENT, Picture, picture
from tc_core.lineage.tree import Node, forest, name_of, tree
from tc_core.model.apart import apart
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.runtime.recorders import open_storage, wait_for_parts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

Format = Literal["dot", "mermaid", "json", "graphml", "prov", "html"]

FORMATS: tuple[str, ...] = get_args(Format)

MOST_NODES = 300
"""A picture of more is grouped."""

_WRITE: Mapping[str, Callable[[Picture], str]] = {
    "dot": dot.write,
    "mermaid": mermaid.write,
    "json": node_link.write,
    "graphml": graphml.write,
    "prov": prov.write,
    "html": html.write,
}
_PICTURES = frozenset({"dot", "mermaid", "html"})
"""What people look at; the other formats are for machines, which get every event."""


class LineageGraph:
    """The lineage of one event's run, of a workflow, or of everything that is recorded.

    Edges lead from the older event to the newer one: from what holds an event to what hangs under it, and, for each
    relation that is a fact, from what it came from. A run's graph has the events of other runs that it came from, and
    those that came from it. It is read at the first question, as numbers alone, and again after `add`; events are read
    when they are asked for.

    `storage` is a store, a path or a URL; without it the default store is used. Raises LineageError for an event or
    a workflow that is not recorded, StorageError for a storage of the user's own, which knows no relations.
    """

    def __init__(
        self,
        storage: StorageBackend | str | Path | None = None,
        *,
        event_id: str | None = None,
        workflow_id: str | None = None,
    ) -> None:
        if event_id is not None and workflow_id is not None:
            raise ValueError("a graph is of an event or of a workflow: give event_id or workflow_id, not both")
        store = open_storage(storage)
        if not isinstance(store, SqlStore):
            raise StorageError(f"lineage is kept in SQLite and PostgreSQL, not in a {type(store).__name__}")
        self.storage = store
        self.event_id, self.workflow_id = event_id, workflow_id
        self._names: dict[int, str] = {}
        self._keys: dict[str, int] = {}
        self._bare: BareGraph | None = None

    def add(self, relationship: ProvenanceRelationship) -> None:
        """Record a relation between two recorded events.

        Raises LineageError for an event that is not recorded, and CycleError where the newer event holds the older one
        or is among what that came from: it would become its own ancestor.
        """
        source, target = relationship.source_id, relationship.target_id
        if source == target:
            raise CycleError(f"{source!r} cannot be {relationship.relation} itself")
        self.storage.flush()
        if self._is_behind(source, target):
            said = f"{relationship.relation} from {source!r} to {target!r}"
            raise CycleError(f"{said} would make an event its own ancestor: {target!r} came from {source!r}")
        self.storage.save_relationship(relationship)
        self._bare = None

    def ancestors(self, event_id: str) -> list[str]:
        """Return the ids of all that holds an event or that it came from, in the order in which they were recorded."""
        graph = self._graph()
        return self._ids(graph, graph.backward.reached(self._place(event_id)).nonzero()[0])

    def descendants(self, event_id: str) -> list[str]:
        """Return the ids of all that hangs under an event or came from it, in the order in which they were recorded."""
        graph = self._graph()
        return self._ids(graph, graph.forward.reached(self._place(event_id)).nonzero()[0])

    def roots(self) -> list[str]:
        """Return the ids of events that nothing holds and that came from nothing."""
        graph = self._graph()
        return self._ids(graph, graph.roots())

    def depth(self, event_id: str) -> int:
        """Return how deep an event lies: 0 for a root, else one more than its parent or what it came from."""
        return int(self._graph().depths()[self._place(event_id)][0])

    def cycles(self) -> list[list[str]]:
        """Return the ids of events that are their own ancestors, each cycle by itself.

        What is recorded here cannot close one; what is imported, and parents given by hand, can.
        """
        graph = self._graph()
        some: nx.DiGraph[int] = nx.DiGraph(graph.edges_among(graph.around_cycles()))
        parts = [sorted(part) for part in nx.strongly_connected_components(some)]
        found = [part for part in parts if len(part) > 1 or some.has_edge(part[0], part[0])]
        return [self._ids(graph, as_places(part)) for part in sorted(found)]

    def tree(self, event_id: str) -> Node:
        """Return an event with all that hangs under it, and the sums over each branch."""
        event = self.storage.get_event(event_id) if event_id else None
        if event is None:
            raise _unknown(event_id)
        root = tree(*self.storage.tree(event.root_id or event.event_id))
        return next(node for node in root.walk() if node.event.event_id == event_id)

    def events(self, event_ids: Iterable[str] | None = None) -> list[TrackingEvent]:
        """Return events of the graph in full, all of them unless some are named."""
        graph = self._graph()
        wanted = self._ids(graph, None) if event_ids is None else list(event_ids)
        return self._events(wanted)

    def edges(self) -> list[tuple[str, str, str]]:
        """Return (id of the older event, id of the newer one, `parent` or the relation) for each edge."""
        graph = self._graph()
        ids = self._ids(graph, None)
        children = (graph.parents >= 0).nonzero()[0].tolist()
        parents = graph.parents.tolist()
        found = [(ids[parents[child]], ids[child], PARENT) for child in children]
        facts = zip(graph.older.tolist(), graph.newer.tolist(), graph.relations.tolist(), strict=True)
        return found + [(ids[older], ids[newer], sql.RELATION_OF[relation]) for older, newer, relation in facts]

    def to_networkx(self, *, details: bool = False) -> "nx.MultiDiGraph[str]":
        """Return a graph of networkx: nodes are ids, keys of edges are `parent` or the relation.

        With `details` each node has the event itself as its attribute `event`.
        """
        made: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        made.add_nodes_from(self._ids(self._graph(), None))
        for edge in self.edges():  # `add_edges_from` looks each one up again, for attributes that they do not have
            made.add_edge(*edge)
        if details:
            nx.set_node_attributes(made, {event.event_id: event for event in self.events()}, "event")
        return made

    def to(self, format: Format, *, most_nodes: int | None = MOST_NODES) -> str:  # noqa: A002  # the word for it
        """Write the graph as `dot`, `mermaid`, `html`, `json`, `graphml` or `prov`.

        The first three are pictures: one of more than `most_nodes` events is grouped by agent, tool and model, and says
        so. Raises ValueError for another format, and for fewer than one.
        """
        if format not in _WRITE:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
        if most_nodes is not None and most_nodes < 1:
            raise ValueError(f"most_nodes must be at least 1, or None for all of them, not {most_nodes}")
        events, edges = self.events(), self.edges()
        roots = forest(events)
        title = self._title(roots)
        if format in _PICTURES and most_nodes is not None and len(events) > most_nodes:
            return _WRITE[format](grouped(title, roots, edges))
        critical = {step.event_id for root in roots for step in critical_path(root).steps if not step.is_wait}
        return _WRITE[format](picture(title, roots, edges, critical, self._note(roots)))

    def to_dot(self) -> str:
        """Write the graph for Graphviz."""
        return self.to("dot")

    def _title(self, roots: list[Node]) -> str:
        if self.workflow_id is not None:
            return f"workflow {self.workflow_id}"
        if self.event_id is None:
            return "all that is recorded"
        run = next((root for root in roots for node in root.walk() if node.event.event_id == self.event_id), None)
        return self.event_id if run is None else f"{name_of(run.event)}, run {run.event.event_id}"

    def _note(self, roots: list[Node]) -> str | None:
        """Say how much of a run's graph is not of that run."""
        if self.event_id is None:
            return None
        (own,) = self._events([self.event_id])
        others = {event.root_id for root in roots if (event := root.event).root_id != own.root_id}
        if not others:
            return None
        runs = "1 other run" if len(others) == 1 else f"{len(others):,} other runs"
        return f"With events of {runs} that it came from, or that came from it"

    # Numbers and ids

    @apart
    def _graph(self) -> BareGraph:
        if self._bare is None:
            wait_for_parts(self.storage)
            found = self._read()
            self._bare = BareGraph(found.rows, found.facts)
            self._names = found.names
            self._keys = {name: key for key, name in found.names.items()}
        return self._bare

    def _read(self) -> sql.Found:
        with self.storage.question() as connection:
            if self.workflow_id is not None:
                workflow = sql.key_of_workflow(connection, self.workflow_id)
                if workflow is None:
                    raise LineageError(f"no event of workflow {self.workflow_id!r} is recorded")
                return sql.of_scope(connection, "workflow_id", workflow)
            if self.event_id is not None:
                place = sql.place_of(connection, self.event_id)
                if place is None:
                    raise _unknown(self.event_id)
                return sql.of_scope(connection, "root", place[1])
            return sql.of_everything(connection)

    def _place(self, event_id: str) -> Numbers:
        graph, key = self._graph(), self._keys.get(event_id)
        if key is None and event_id:
            with self.storage.question() as connection:
                found = sql.place_of(connection, event_id)
            key = None if found is None else found[0]
        places = graph.places(as_places([-1 if key is None else key]))
        if key is None:
            raise _unknown(event_id)
        if places[0] < 0:
            raise LineageError(f"event {event_id!r} is not in this graph: ask one of its own run, or of everything")
        return places

    @apart
    def _ids(self, graph: BareGraph, places: Numbers | None) -> list[str]:
        """Return the ids of nodes in their order; of all, where no places are given."""
        keys = (graph.keys if places is None else graph.keys[places]).tolist()
        missing = [key for key in keys if key not in self._names]
        if missing:
            with self.storage.question() as connection:
                self._names |= sql.names_of(connection, missing)
        return [self._names[key] for key in keys]

    @apart
    def _events(self, event_ids: list[str]) -> list[TrackingEvent]:
        with self.storage.question() as connection:
            found = sql.events(connection, self.storage, event_ids)
        return [found[event_id] for event_id in event_ids if event_id in found]

    @apart
    def _is_behind(self, older: str, newer: str) -> bool:
        """Tell whether an event holds another one, or is among what that came from."""
        with self.storage.question() as connection:
            places = [sql.place_of(connection, each) if each else None for each in (older, newer)]
            for event_id, place in zip((older, newer), places, strict=True):
                if place is None:
                    raise _unknown(event_id)
            first, last = (place[0] for place in places if place is not None)
            return first in sql.ancestors(connection, last)


def _unknown(event_id: str) -> LineageError:
    return LineageError(f"no event {event_id!r} is recorded")
