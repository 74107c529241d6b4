"""A run as columns says what the tree of its events says."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.large_runs import write_run
from tc_core.errors import LineageError
from tc_core.lineage.critical import critical_path
from tc_core.lineage.groups import Group, grouped
from tc_core.lineage.outline import outline
from tc_core.lineage.tree import name_of, tree
from tc_core.model import ids
from tc_core.model.event import TrackingEvent
from tc_core.store.storages import InMemoryStorage

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def saved(store, *events):
    """Save events of the run `run`: (id, parent, begin, end, facts)."""
    store.save_events(
        TrackingEvent(
            event_id=event_id,
            parent_id=parent_id,
            timestamp=START + timedelta(milliseconds=begin),
            latency_ms=None if end is None else float(end - begin),
            **({"event_type": "tool", "name": event_id} | facts),
        )
        for event_id, parent_id, begin, end, facts in events
    )
    return outline(store, "run")


RUN = ("run", None, 0, 100, {"event_type": "workflow", "name": "trip"})


def test_it_says_what_the_tree_says(each_store):
    run_id = write_run(each_store, 400)
    found, root = outline(each_store, run_id), tree(*each_store.tree(run_id))
    nodes = list(root.walk())
    assert [ids.to_text(id_) for id_ in found.ids] == [node.event.event_id for node in nodes]
    assert found.names == [name_of(node.event) for node in nodes]
    assert found.statuses == [node.event.status for node in nodes]
    assert found.input_tokens == [node.event.input_tokens for node in nodes]
    assert [found.sums.cost_of(place) for place in range(len(found))] == [n.totals.known_cost_nanos for n in nodes]
    for name in ("calls", "unpriced", "estimated"):
        assert getattr(found.sums, name).tolist() == [getattr(node.totals, name) for node in nodes]
    assert found.critical_path() == critical_path(root)
    facts = sum(len(node.relations) for node in nodes)
    assert len(found.facts) == facts > 0


def test_what_is_open_and_what_has_no_time_ends_with_the_last_below_it():
    found = saved(
        InMemoryStorage(),
        ("run", None, 0, None, {"event_type": "workflow", "name": "trip", "status": "open"}),
        ("a", "run", 10, 40, {}),
        ("call", "a", 20, 90, {"event_type": "llm_call", "model": "gpt-4o", "status": "open"}),
    )
    assert [end - found.begins[0] for end in found.ends] == [40_000, 40_000, 90_000]
    assert found.took[0] is None
    assert found.sums.calls[0] == 0  # an open call is none yet


def test_places_are_found_by_the_end_of_an_id():
    store = InMemoryStorage()
    saved(store, RUN, ("a", "run", 10, 20, {}))
    found = outline(store, "run")
    assert found.parents == [-1, 0]
    assert found.place_of(found.ids[1].hex()[-12:]) == 1
    assert found.place_of("0" * 12) is None


def test_random_trees_have_all_events_once(each_store):
    chance = random.Random(3)
    events = [RUN, *((f"e{n}", f"e{chance.randrange(n)}" if n else "run", n, n + 5, {}) for n in range(200))]
    chance.shuffle(events)
    found = saved(each_store, *events)
    assert sorted(found.names) == sorted(["trip", *(f"e{n}" for n in range(200))])
    assert found.sizes[0] == 201
    for place in range(1, 201):
        assert place in found.below(found.parents[place])
    assert list(found.children(0)) == [p for p in range(201) if found.parents[p] == 0]


def test_parents_in_a_circle_are_shown_once(each_store):
    each_store.save_events(
        TrackingEvent(event_id=event_id, parent_id=parent, timestamp=START, event_type="tool", name=event_id)
        for event_id, parent in (("run", "b"), ("a", "run"), ("b", "a"))
    )
    roots = {event.root_id for event in each_store.query_events()}
    shown = [name for root in roots for name in outline(each_store, root).names]
    assert sorted(shown) == ["a", "b", "run"]
    assert all(grouped(outline(each_store, root)).nodes for root in roots)


def test_an_unknown_run_is_said(each_store):
    with pytest.raises(LineageError, match="token-calc runs"):
        outline(each_store, "run")


# The graph of agents, tools and models


def team(store):
    """An agent asks a model three times and a tool twice, and has a second agent write what it found."""
    call = {"event_type": "llm_call", "model": "gpt-4o", "name": None, "cost_nanos": 1000}
    return saved(
        store,
        RUN,
        ("planner", "run", 0, 60, {"event_type": "agent", "agent_id": "planner"}),
        ("step", "planner", 0, 20, {"event_type": "task"}),
        ("c1", "step", 0, 20, call | {"agent_id": "planner"}),
        ("search1", "planner", 20, 25, {"name": "search"}),
        ("c2", "planner", 25, 40, call | {"agent_id": "planner"}),
        ("search2", "planner", 40, 45, {"name": "search", "status": "error", "error_type": "Timeout"}),
        ("c3", "planner", 45, 60, call | {"agent_id": "planner"}),
        ("loose", "run", 60, 100, call | {"agent_id": "writer", "cost_nanos": 500}),
    )


def test_events_are_grouped_by_agent_tool_and_model():
    graph = grouped(team(InMemoryStorage()))
    planner, model, search = Group("agent", "planner"), Group("model", "gpt-4o"), Group("tool", "search")
    writer, run = Group("agent", "writer"), Group("workflow", "trip")
    assert set(graph.nodes) == {run, planner, model, search, writer}
    ways = {(edge.source, edge.target): edge.times for edge in graph.edges.values()}
    # The step is no group: its call is the planner's. The loose call names its agent, which has no event.
    assert ways == {(run, planner): 1, (planner, model): 3, (planner, search): 2, (run, writer): 1, (writer, model): 1}
    assert (graph.nodes[model].times, graph.nodes[model].cost_nanos) == (4, 3500)
    assert (graph.nodes[planner].cost_nanos, graph.nodes[writer].cost_nanos) == (3000, 500)
    assert (graph.nodes[search].failed, graph.nodes[search].most_in_one) == (1, 2)
    assert graph.nodes[model].most_in_one == 3  # the one inside a step is asked by the agent too
    # All of the 100 ms: 20 + 15 + 15 + 40 in the model, 5 + 5 in the tool.
    assert (graph.nodes[model].waited_us, graph.nodes[search].waited_us) == (90_000, 10_000)
    assert all(edge.is_critical for edge in graph.edges.values())


def test_an_agent_that_is_asked_from_inside_itself_is_counted():
    agent = {"event_type": "agent", "agent_id": "planner"}
    graph = grouped(
        saved(InMemoryStorage(), RUN, ("a", "run", 0, 90, agent), ("t", "a", 5, 80, {}), ("b", "t", 10, 70, agent))
    )
    assert graph.nodes[Group("agent", "planner")].again == 1
    assert (Group("tool", "t"), Group("agent", "planner"), "asked") in graph.edges


def test_below_one_event_its_group_is_the_root():
    run = team(InMemoryStorage())
    graph = grouped(run, run.names.index("planner"))
    assert graph.root == Group("agent", "planner")
    assert Group("agent", "writer") not in graph.nodes


def test_one_hop_first_and_the_reason_is_said():
    graph = grouped(team(InMemoryStorage()))
    near = graph.around(graph.root, 1)
    assert {group.name for group in near.nodes} == {"trip", "planner", "writer"}
    assert {edge.target.name for edge in near.edges.values()} == {"planner", "writer"}
    assert near.left_out == "3 of 5 groups lie within 1 hop of workflow trip."
    assert graph.hops_that_fit(graph.root, 4, 99) == 1
    assert graph.hops_that_fit(graph.root, 5, 99) is None
    assert graph.hops_that_fit(graph.root, 5, 4) == 1


def test_of_many_groups_those_that_matter_most_are_shown():
    many = [(f"tool {n}", "run", n, n + 1 + n % 7, {}) for n in range(600)]
    graph = grouped(saved(InMemoryStorage(), ("run", None, 0, 700, {"event_type": "workflow", "name": "trip"}), *many))
    shown = graph.around(graph.root, None)
    assert len(shown.nodes) == 300
    assert graph.root in shown.nodes
    assert shown.left_out == "Of 601 groups the 300 are shown that were waited for longest or cost most."
    least = min(node.waited_us for group, node in shown.nodes.items() if group != graph.root)
    assert least >= max(node.waited_us for group, node in graph.nodes.items() if group not in shown.nodes)


def test_who_reads_whom_is_told_between_groups(each_store):
    graph = grouped(outline(each_store, write_run(each_store, 300)))
    reads = [edge for edge in graph.edges.values() if edge.kind == "reads"]
    assert reads
    assert {edge.source.kind for edge in reads} == {"agent"}
