import pytest

from tc_core.lineage.tree import tree
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import ProvenanceRelationship


def event(event_id, parent_id=None, **facts):
    return TrackingEvent(event_id=event_id, parent_id=parent_id, root_id="root", **({"event_type": "agent"} | facts))


def call(event_id, parent_id, cost, **facts):
    return event(event_id, parent_id, event_type="llm_call", input_tokens=10, output_tokens=1, cost=cost, **facts)


def test_a_branch_costs_what_its_leaves_cost():
    root = tree(
        [event("root"), event("step", "root"), call("a", "step", 0.1), call("b", "step", 0.2), call("c", "root", 0.4)]
    )
    costs = {node.event.event_id: node.totals.cost_nanos / 1e9 for node in root.walk()}
    assert costs == {"root": 0.7, "step": 0.3, "a": 0.1, "b": 0.2, "c": 0.4}
    assert (root.totals.calls, root.totals.input_tokens) == (3, 30)


def test_what_is_unpriced_estimated_or_failed_is_counted():
    root = tree(
        [
            event("root", status="error"),
            call("a", "root", None),
            call("b", "root", 0.1, usage_source="estimate"),
            event("c", "root", event_type="llm_call", status="error"),
            event("tool", "root", event_type="tool", status="error"),
        ]
    )
    totals = root.totals
    assert (totals.calls, totals.unpriced, totals.estimated, totals.errors) == (3, 1, 1, 1)


def test_a_branch_with_unpriced_calls_alone_has_no_cost():
    root = tree([event("root"), event("step", "root"), call("a", "step", None), event("idle", "root")])
    step, idle = root.children
    assert (step.totals.known_cost_nanos, root.totals.known_cost_nanos, idle.totals.known_cost_nanos) == (None, None, 0)


def test_an_event_whose_parent_is_missing_hangs_under_the_root():
    root = tree([event("root"), call("lost", "nobody", 0.1)])
    assert [node.event.event_id for node in root.children] == ["lost"]


def test_facts_are_shown_and_hints_are_not():
    relations = [
        ProvenanceRelationship("b", "a", "retry_of", "framework", 1.0),
        ProvenanceRelationship("b", "a", "derived_from", "content", 0.5),
        ProvenanceRelationship("elsewhere", "a", "retry_of"),
    ]
    root = tree([event("root"), call("a", "root", 0.1), call("b", "root", 0.1)], relations)
    assert [relation.relation for relation in root.children[1].relations] == ["retry_of"]


def test_a_lineage_of_thousands_in_depth_is_no_problem():
    chain = [event("root")] + [event(f"e{n}", f"e{n - 1}" if n else "root") for n in range(5000)]
    root = tree(chain)
    assert sum(1 for _ in root.walk()) == 5001


def test_without_a_root_there_is_no_tree():
    with pytest.raises(ValueError, match="no root"):
        tree([call("a", "root", 0.1)])
