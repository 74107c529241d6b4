"""LineageGraph: what hangs under what and what came from what, in one run, across runs, and in all that is recorded."""

from datetime import UTC, datetime, timedelta

import networkx as nx
import pytest

from tc_core import CycleError, InMemoryStorage, LineageError, LineageGraph, ProvenanceRelationship, TrackingEvent
from tc_core.errors import StorageError
from tc_core.store.base import StorageBackend

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(event_id, parent_id=None, *, second=0, **facts):
    moment = START + timedelta(seconds=second)
    return TrackingEvent(event_id=event_id, parent_id=parent_id, timestamp=moment, **({"event_type": "agent"} | facts))


def fill(store):
    """Record a run of two agents, whose second one uses what a tool of the first has said, and one that goes on."""
    store.save_events(
        [
            event("run", event_type="workflow", workflow_id="trip"),
            event("planner", "run", second=1, workflow_id="trip"),
            event("search", "planner", second=2, event_type="tool", workflow_id="trip"),
            event("writer", "run", second=3, workflow_id="trip"),
            event("first", "writer", second=4, event_type="llm_call", status="error", workflow_id="trip"),
            event("second", "writer", second=5, event_type="llm_call", workflow_id="trip"),
            event("later", second=60),
            event("answer", "later", second=61, event_type="llm_call"),
            event("below", "answer", second=62, event_type="tool"),
            event("aside", "later", second=63, event_type="tool"),
            event("unrelated", second=90),
        ]
    )
    for source, target, relation in (
        ("second", "first", "retry_of"),
        ("second", "search", "derived_from"),
        ("answer", "second", "continuation_of"),
    ):
        store.save_relationship(ProvenanceRelationship(source, target, relation))
    store.save_relationship(ProvenanceRelationship("unrelated", "search", "derived_from", "content", 0.5))


@pytest.fixture
def store():
    store = InMemoryStorage()
    fill(store)
    return store


def test_what_holds_an_event_and_what_it_came_from(each_store):
    fill(each_store)
    graph = LineageGraph(each_store, event_id="planner")
    assert graph.ancestors("second") == ["run", "planner", "search", "writer", "first"]
    assert graph.ancestors("run") == []
    assert graph.descendants("search") == ["second", "answer", "below"]
    assert graph.descendants("run") == [
        "planner",
        "search",
        "writer",
        "first",
        "second",
        "answer",
        "below",
    ]
    assert graph.roots() == ["run"]
    assert [graph.depth(each) for each in ("run", "planner", "search", "answer", "below")] == [0, 1, 2, 3, 4]
    assert graph.cycles() == []
    assert [each.event_id for each in graph.events(["search", "run"])] == ["search", "run"]


def test_a_run_has_what_it_came_from_in_other_runs_and_what_holds_that(store):
    graph = LineageGraph(store, event_id="later")
    assert graph.ancestors("answer") == ["run", "planner", "search", "writer", "first", "second", "later"]
    assert graph.descendants("second") == ["answer", "below"]
    assert graph.roots() == ["run", "later"]
    assert "unrelated" not in graph.to_networkx()


def test_a_hint_is_no_edge(store):
    assert LineageGraph(store).descendants("unrelated") == LineageGraph(store).ancestors("unrelated") == []


def test_a_workflow_and_everything(store):
    workflow = LineageGraph(store, workflow_id="trip")
    assert set(workflow.to_networkx()) == {
        "run",
        "planner",
        "search",
        "writer",
        "first",
        "second",
        "answer",
        "below",
    }
    everything = LineageGraph(store)
    assert everything.roots() == ["run", "later", "unrelated"]
    assert everything.descendants("search") == ["second", "answer", "below"]
    assert everything.depth("below") == 2  # its parent answers, and that hangs under "later"


def test_as_networkx(store):
    graph = LineageGraph(store, event_id="run").to_networkx()
    assert isinstance(graph, nx.MultiDiGraph)
    assert nx.descendants(graph, "search") == {"second", "answer", "below"}
    assert set(graph.edges(keys=True)) >= {("writer", "second", "parent"), ("first", "second", "retry_of")}
    detailed = LineageGraph(store, event_id="run").to_networkx(details=True)
    assert detailed.nodes["first"]["event"].status == "error"


def test_the_tree_of_an_event_is_what_hangs_under_it(store):
    node = LineageGraph(store).tree("writer")
    assert [each.event.event_id for each in node.walk()] == ["writer", "first", "second"]
    assert [relation.relation for relation in node.children[1].relations] == ["derived_from", "retry_of"]


def test_a_relation_that_is_added_is_in_the_graph(store):
    graph = LineageGraph(store, event_id="run")
    assert "unrelated" not in graph.descendants("writer")
    graph.add(ProvenanceRelationship("unrelated", "first", "validation_of"))
    assert "unrelated" in graph.descendants("writer")
    assert [each.relation for each in store.relationships("unrelated")][-1] == "validation_of"


@pytest.mark.parametrize(
    ("source", "target"),
    [("first", "second"), ("search", "second"), ("run", "second"), ("planner", "answer"), ("run", "run")],
    ids=["of its own retry", "of what came from it", "of what it holds", "in another run", "of itself"],
)
def test_a_relation_that_would_close_a_cycle_is_refused_and_nothing_is_written(store, source, target):
    before = store.relationships()
    with pytest.raises(CycleError, match=f"{source!r}"):
        LineageGraph(store, event_id="run").add(ProvenanceRelationship(source, target, "derived_from"))
    assert store.relationships() == before


@pytest.mark.parametrize(("source", "target"), [("nobody", "run"), ("run", "nobody"), ("run", ""), ("", "run")])
def test_a_relation_of_what_is_not_recorded_is_refused(store, source, target):
    with pytest.raises(LineageError, match=r"no event .* is recorded"):
        LineageGraph(store).add(ProvenanceRelationship(source, target, "derived_from"))


@pytest.mark.parametrize("question", ["ancestors", "descendants", "depth", "tree"])
def test_an_unknown_event_is_an_error_that_names_it(store, question):
    for graph in (LineageGraph(store), LineageGraph(store, event_id="run")):
        for unknown in ("nobody", ""):
            with pytest.raises(LineageError, match=f"no event {unknown!r} is recorded"):
                getattr(graph, question)(unknown)


def test_an_event_of_another_run_is_not_in_the_graph_of_this_one(store):
    with pytest.raises(LineageError, match="not in this graph"):
        LineageGraph(store, event_id="run").ancestors("aside")


def test_what_is_not_recorded_has_no_graph(store):
    with pytest.raises(LineageError, match="no event 'nobody' is recorded"):
        LineageGraph(store, event_id="nobody").roots()
    with pytest.raises(LineageError, match="workflow 'nothing'"):
        LineageGraph(store, workflow_id="nothing").roots()
    with pytest.raises(ValueError, match="not both"):
        LineageGraph(store, event_id="run", workflow_id="trip")
    assert LineageGraph(InMemoryStorage()).roots() == []


def test_a_storage_of_ones_own_knows_no_lineage():
    class Plain(StorageBackend):
        def save_event(self, event):
            pass

        def query_events(self, filters=None, start_time=None, end_time=None, *, limit=None, descending=False):
            return []

        def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
            return {}

    with pytest.raises(StorageError, match="not in a Plain"):
        LineageGraph(Plain())


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_parents_that_go_in_a_circle_are_found_and_stop_nothing(each_store, together):
    circle = [event("a", "c"), event("b", "a"), event("c", "b"), event("self", "self"), event("x"), event("y", "x")]
    if together:
        each_store.save_events(circle)
    else:
        for each in circle:
            each_store.save_event(each)
    graph = LineageGraph(each_store)
    assert sorted(map(sorted, graph.cycles())) == [["a", "b", "c"], ["self"]]
    assert set(graph.ancestors("a")) == set(graph.descendants("a")) == {"a", "b", "c"}
    assert graph.depth("a") == 0
    assert set(LineageGraph(each_store, event_id="b").cycles()[0]) == {"a", "b", "c"}
    for format_ in ("dot", "mermaid", "json", "graphml", "prov", "html"):
        assert graph.to(format_)


def test_a_long_conversation_of_single_calls_is_one_chain(store):
    store.save_events([event(f"c{n}", second=100 + n, event_type="llm_call") for n in range(700)])
    for n in range(699):
        store.save_relationship(ProvenanceRelationship(f"c{n + 1}", f"c{n}", "continuation_of"))
    graph = LineageGraph(store, event_id="c350")
    assert len(graph.ancestors("c350")) == 350
    assert len(graph.descendants("c350")) == 349
    assert (graph.roots(), graph.depth("c350"), graph.depth("c699")) == (["c0"], 350, 699)
