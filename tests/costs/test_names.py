"""What calls have from above: the tool they were made in, their run, the nearest name, how often they were tried."""

from datetime import UTC, datetime, timedelta

import pytest

from tc_core import CostTracker, InMemoryStorage, ProvenanceRelationship, SQLiteStorage, TrackingEvent
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.ports import Batch

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(event_id, event_type, parent_id=None, **facts):
    event.minute += 1
    moment = NOON + timedelta(minutes=event.minute)
    return TrackingEvent(event_id=event_id, event_type=event_type, parent_id=parent_id, timestamp=moment, **facts)


event.minute = 0


def call(event_id, parent_id=None, cost=1.0, **facts):
    known = {"model": "gpt-4o", "input_tokens": 10, "output_tokens": 1}
    return event(event_id, "llm_call", parent_id, cost=cost, **known | facts)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """A graph whose node calls a model, and a tool in which another model is called, twice; and a lone call."""
    store = InMemoryStorage() if request.param == "memory" else SQLiteStorage(tmp_path / "s.db")
    store.save_events(
        [
            event("graph", "workflow", name="reporter"),
            event("node", "task", "graph", name="research"),
            call("in the node", "node"),
            event("tool", "tool", "node", name="search", latency_ms=5),
            event("inner", "task", "tool", name="summing up"),
            call("failed in the tool", "inner", cost=0.25, status="error"),
            call("again in the tool", "inner", cost=0.5),
            call("alone", cost=2.0),
            call("with labels", cost=4.0, labels={"tool": "mine", "retries": "many"}, workflow_id="reporter"),
        ]
    )
    store.save_relationship(ProvenanceRelationship("again in the tool", "failed in the tool", "retry_of", "framework"))
    return store


def costs(store, *by, **options):
    report = CostTracker(store).get_costs(group_by=list(by), **options)
    assert sum(group.cost_nanos for group in report.groups) == report.total_cost_nanos
    return {tuple(group.key.values()): group.cost for group in report.groups}


def test_by_tool_a_call_costs_where_it_was_made_and_a_label_comes_first(store):
    assert costs(store, "tool") == {(None,): 3.0, ("search",): 0.75, ("mine",): 4.0}


def test_by_workflow_a_run_has_its_id_or_else_its_name(store):
    # The graph's three calls, and the call that was given the workflow's id.
    assert costs(store, "workflow") == {("reporter",): 1.75 + 4.0, (None,): 2.0}


def test_by_name_a_call_has_the_nearest_name(store):
    assert costs(store, "name") == {("research",): 1.0, ("summing up",): 0.75, (None,): 6.0}


def test_by_retries_tells_how_often_a_call_had_been_tried(store):
    assert costs(store, "retries") == {("0",): 1.0 + 0.25 + 2.0, ("1",): 0.5, ("many",): 4.0}


def test_retries_of_what_lies_above_and_of_the_client_library_count():
    store = SQLiteStorage("s.db")
    store.save_events(
        [
            event("first try", "task", name="node"),
            event("second try", "task", name="node"),
            call("in the second", "second try"),
            call("sent thrice"),
        ]
    )
    store.save_relationship(ProvenanceRelationship("second try", "first try", "retry_of", "framework"))
    attempts = [(ids.from_text("sent thrice"), Attempt(n, n - 1, 429 if n < 3 else 200, 5)) for n in (1, 2, 3)]
    store.sink.write(Batch(attempts=attempts))
    assert costs(store, "retries") == {("1",): 1.0, ("2",): 1.0}


def test_names_from_above_go_with_times_filters_and_other_names(store):
    assert costs(store, "tool", "month", filters={"tool": ["search", "mine"]}) == {
        ("search", "2026-03"): 0.75,
        ("mine", "2026-03"): 4.0,
    }
    assert costs(store, "model", filters={"workflow": "reporter", "tool": None}) == {("gpt-4o",): 1.0}
    assert costs(store, "day", filters={"tool!": "mine"}, tz="Asia/Kolkata") == {("2026-03-02",): 3.75}
    assert costs(store, "tool", filters={"workflow": "rep*"}) == {(None,): 1.0, ("search",): 0.75, ("mine",): 4.0}


def test_beside_types_of_events_a_name_is_their_own(store):
    found = CostTracker(store).get_costs(group_by=["event_type", "name"])
    assert ("tool", "search") in {tuple(group.key.values()) for group in found.groups}


def test_a_label_of_that_name_can_still_be_meant(store):
    assert costs(store, "labels.tool") == {("mine",): 4.0, (None,): 3.75}


def test_what_has_left_the_store_is_said(store):
    gone = store.retention(30)
    while gone.step():
        pass
    report = CostTracker(store).get_costs(group_by=["tool"])
    assert (report.groups, report.removed_events) == ([], 9)
    assert report.total_calls == 5  # which roll-ups still know
