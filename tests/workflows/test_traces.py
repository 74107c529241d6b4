"""W3C trace context: what goes on in other processes and behind other services hangs under the run."""

import re

import pytest

import tc_core
from tc_core import CostTracker, InMemoryStorage, LineageError
from tc_core.workflows.traces import parse
from tests.workflows.conftest import tree_of

WORKER = """
import os, sys
import tc_core
store = tc_core.SQLiteStorage(sys.argv[1])
with tc_core.continue_trace(os.environ["TRACEPARENT"], storage=store, name="worker.py"):
    tc_core.CostTracker(store).track_call("gpt-4o", 10, 1)
    with tc_core.WorkflowTracker("support", store).track_agent("searcher"):
        tc_core.CostTracker(store).track_call("gpt-4o", 1000, 100)
    print(tc_core.traceparent(store))
"""


def test_what_another_process_records_hangs_under_the_agent_that_called_it(run_python, own_store, tracker):
    with tracker, tracker.track_agent("planner", customer="acme"):
        given = tracker.traceparent()
        handed_on = run_python(WORKER, own_store.path, TRACEPARENT=given).strip()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", given)
    assert parse(handed_on).trace_id == parse(given).trace_id
    assert parse(handed_on).parent_id != parse(given).parent_id
    assert tree_of(own_store, tracker) == [
        (0, "workflow", "support"),
        (1, "agent", "planner"),
        (2, "task", "worker.py"),
        (3, "llm_call", "gpt-4o"),
        (3, "agent", "searcher"),
        (4, "llm_call", "gpt-4o"),
    ]
    analysis = tracker.analyze()
    assert {name: agent.calls for name, agent in analysis.agents.items()} == {"planner": 1, "searcher": 1}
    calls = own_store.query_events({"event_type": "llm_call"})
    assert {(call.workflow_id, call.labels["customer"]) for call in calls} == {("support", "acme")}


def test_outside_of_an_agent_it_is_the_run_which_is_begun(run_python, own_store, tracker):
    run_python(WORKER, own_store.path, TRACEPARENT=tracker.traceparent())
    with tracker.track_agent("planner"):
        pass
    assert tree_of(own_store, tracker)[:2] == [(0, "workflow", "support"), (1, "task", "worker.py")]
    assert len(tracker.runs()) == 1


def test_any_run_that_is_open_can_be_gone_on_with(run_python, own_store):
    with tc_core.workflow("nightly", storage=own_store) as run:
        run_python(WORKER, own_store.path, TRACEPARENT=tc_core.traceparent(own_store))
    root = own_store.tree(run.event_id)[0]
    assert len(root) == 6  # the agent of another workflow begins a run of that inside
    with pytest.raises(LineageError, match="Nothing is open here"):
        tc_core.traceparent(own_store)


def test_a_trace_that_began_elsewhere_is_a_root_with_its_id(own_store):
    foreign = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with tc_core.continue_trace(foreign, name="api", storage=own_store):
        CostTracker(own_store).track_call("gpt-4o", 1000, 100)
        onward = tc_core.traceparent(own_store)
    assert parse(onward).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    with tc_core.continue_trace(onward, name="deeper", storage=own_store):
        CostTracker(own_store).track_call("gpt-4o", 1000, 100)
    (run,) = own_store.runs({"labels.trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})
    assert (run.event.name, run.events, run.totals.calls) == ("api", 4, 2)


def test_another_store_keeps_the_trace_as_a_label(own_store, tracker):
    other = InMemoryStorage()
    with tracker, tracker.track_agent("planner"):
        given = tracker.traceparent()
    with tc_core.continue_trace(given, storage=other):
        CostTracker(other).track_call("gpt-4o", 1000, 100)
    assert {event.labels["trace_id"] for event in other.query_events()} == {parse(given).trace_id}


def test_a_failure_there_is_one_of_the_step(own_store, tracker):
    with tracker:
        given = tracker.traceparent()
        with pytest.raises(KeyError), tc_core.continue_trace(given, storage=own_store, name="step"):
            raise KeyError
    (step,) = own_store.query_events({"event_type": "task"})
    assert (step.status, step.error_type, step.depth) == ("error", "KeyError", 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ],
)
def test_what_is_no_traceparent_is_named(text):
    with pytest.raises(ValueError, match="traceparent must be written 00-"):
        tc_core.continue_trace(text)


def test_a_later_version_may_say_more():
    assert parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").parent_id == "00f067aa0ba902b7"


@pytest.mark.parametrize("written", [None, 5, ""], ids=repr)
def test_what_an_environment_has_not_is_named(written):
    with pytest.raises(ValueError, match=f"not {written!r}"), tc_core.continue_trace(written):
        pass
