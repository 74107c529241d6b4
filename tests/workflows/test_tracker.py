"""Recording: agents, runs, and what hangs under them."""

import asyncio
import copy
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tc_core
from tc_core import CostTracker, InMemoryStorage, LineageError, SQLiteStorage, StorageError, WorkflowTracker
from tests.workflows.conftest import tree_of

# 1,000 input tokens of gpt-4o cost $0.0025, 100 output tokens $0.001
COST = 0.0035


def test_agents_of_one_tracker_are_one_run(own_store, tracker):
    with tracker.track_agent("planner") as planner:
        CostTracker(own_store).track_call("gpt-4o", 1000, 100)
    with tracker.track_agent("executor", team="blue") as executor:
        executor.track_call("gpt-4o", 1000, 100, step="last")
    assert tree_of(own_store, tracker) == [
        (0, "workflow", "support"),
        (1, "agent", "planner"),
        (2, "llm_call", "gpt-4o"),
        (1, "agent", "executor"),
        (2, "llm_call", "gpt-4o"),
    ]
    first, second = own_store.query_events({"event_type": "llm_call"})
    assert (first.agent_id, first.workflow_id, first.parent_id) == ("planner", "support", planner.event_id)
    assert (second.agent_id, second.parent_id) == ("executor", executor.event_id)
    assert second.labels == {"team": "blue", "step": "last"}


def test_the_calls_of_nested_agents_are_their_own(own_store, tracker):
    """The first version lost calls of the outer agent once an inner one had begun."""
    with tracker.track_agent("outer") as outer:
        outer.track_call("gpt-4o", 100, 0)
        with tracker.track_agent("inner") as inner:
            inner.track_call("gpt-4o", 1000, 0)
        CostTracker(own_store).track_call("gpt-4o", 100, 0)
    agents = tracker.analyze().agents
    assert {name: agent.tokens for name, agent in agents.items()} == {"outer": 200, "inner": 1000}
    assert agents["outer"].tokens_with_inside == 1200
    # 1,200 x $2.50 a million
    assert agents["outer"].cost_with_inside_nanos == 3_000_000


def test_an_agent_that_comes_again_keeps_what_it_did_before(tracker):
    """The first version's breakdown kept the last entry alone."""
    for _ in range(3):
        with tracker.track_agent("worker") as worker:
            worker.track_call("gpt-4o", 1000, 100)
    worker = tracker.analyze().agents["worker"]
    assert (worker.entries, worker.calls, worker.cost) == (3, 3, pytest.approx(3 * COST))


def test_threads_and_tasks_keep_their_agents_apart(own_store, tracker):
    """The first version's threads and tasks overwrote each other's window of time."""
    both_open = threading.Barrier(2)

    def work(name):
        with tracker.track_agent(name):
            both_open.wait(30)
            CostTracker(own_store).track_call("gpt-4o", 1000, 100)

    async def task(name, go):
        async with tracker.track_agent(name):
            await go.wait()
            CostTracker(own_store).track_call("gpt-4o", 1000, 100)

    async def tasks():
        go = asyncio.Event()
        working = [asyncio.create_task(task(name, go)) for name in ("c", "d")]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*working)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ["a", "b"]))
    asyncio.run(tasks())
    assert len(tracker.runs()) == 1
    assert {name: agent.calls for name, agent in tracker.analyze().agents.items()} == dict.fromkeys("abcd", 1)


def test_a_block_is_a_run_and_the_same_id_again_another(tracker):
    for number in range(1, 3):
        with tracker, tracker.track_agent("worker") as worker:
            for _ in range(number):
                worker.track_call("gpt-4o", 1000, 100)
    latest, first = tracker.runs()
    assert (latest.totals.calls, first.totals.calls) == (2, 1)
    assert tracker.analyze().calls == 2
    assert tracker.analyze(first).calls == tracker.analyze(first.event.event_id[-8:]).calls == 1
    assert WorkflowTracker("support", tracker.storage).analyze().calls == 2


def test_runs_in_several_tasks_at_once_stay_apart(tracker):
    async def run(number, go):
        async with tracker:
            await go.wait()
            with tracker.track_agent("worker") as worker:
                worker.track_call("gpt-4o", number, 0)
        return tracker.analyze().input_tokens

    async def all_of_them():
        go = asyncio.Event()
        working = [asyncio.create_task(run(number, go)) for number in range(1, 6)]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*working)

    assert asyncio.run(all_of_them()) == [1, 2, 3, 4, 5]
    assert len(tracker.runs()) == 5


def test_a_thread_that_was_not_given_its_context_finds_the_only_open_run(tracker):
    def work():
        with tracker.track_agent("worker") as worker:
            worker.track_call("gpt-4o", 1000, 100)

    with tracker:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    (run,) = tracker.runs()
    assert run.totals.calls == 1


def test_an_exception_goes_on_and_the_agent_has_failed(own_store, tracker):
    def work():
        with tracker, tracker.track_agent("worker") as worker:
            worker.track_call("gpt-4o", 1000, 100)
            raise KeyError("x")

    with pytest.raises(KeyError):
        work()
    run, agent, _ = own_store.query_events()
    assert [(each.status, each.error_type) for each in (run, agent)] == [("error", "KeyError")] * 2
    assert tracker.analyze().total_cost == pytest.approx(COST)


def test_an_agent_is_a_decorator_too(own_store, tracker):
    @tracker.track_agent("worker")
    def work(tokens):
        return CostTracker(own_store).track_call("gpt-4o", tokens, 0).input_tokens

    @tracker.track_agent("waiter")
    async def wait():
        CostTracker(own_store).track_call("gpt-4o", 3, 0)

    assert [work(1), work(2)] == [1, 2]
    asyncio.run(wait())
    agents = tracker.analyze().agents
    assert (agents["worker"].entries, agents["worker"].input_tokens, agents["waiter"].calls) == (2, 3, 1)


def test_agents_inside_the_block_of_the_same_workflow_belong_to_that(tracker):
    with tc_core.workflow("support", storage=tracker.storage), tracker.track_agent("worker") as worker:
        worker.track_call("gpt-4o", 1000, 100)
    (run,) = tracker.runs()
    assert run.totals.calls == 1


def test_a_workflow_inside_another_one_is_a_run_of_its_own_too(own_store, tracker):
    inner = WorkflowTracker("search", own_store)
    with tracker, tracker.track_agent("planner"), inner, inner.track_agent("searcher") as searcher:
        searcher.track_call("gpt-4o", 1000, 100)
    assert tree_of(own_store, tracker)[:4] == [
        (0, "workflow", "support"),
        (1, "agent", "planner"),
        (2, "workflow", "search"),
        (3, "agent", "searcher"),
    ]
    (run,) = WorkflowTracker("search", own_store).runs()
    assert (run.totals.calls, run.events) == (1, 3)
    assert WorkflowTracker("search", own_store).analyze().agents.keys() == {"searcher"}
    assert tracker.analyze().agents["planner"].cost_with_inside_nanos == 3_500_000


def test_a_run_of_agents_alone_ends_with_the_last_of_them(own_store, clock):
    tracker = WorkflowTracker("support", own_store)
    with tracker.track_agent("worker"):
        clock.advance(seconds=2)
    clock.advance(seconds=60)
    assert tracker.runs()[0].event.status == "open"
    del tracker
    gc.collect()
    (run,) = WorkflowTracker("support", own_store).runs()
    assert run.event.status == "ok"
    assert 2000 <= run.event.latency_ms < 2001


def test_a_program_that_ends_has_ended_its_runs(run_python, tmp_path):
    program = """
import sys
from tc_core import SQLiteStorage, WorkflowTracker
import tempfile, weakref
tracker = WorkflowTracker("support", sys.argv[1])
with tracker.track_agent("worker") as worker:
    worker.track_call("gpt-4o", 1000, 100)
"""
    run_python(program, tmp_path / "s.db")
    with SQLiteStorage(tmp_path / "s.db") as store:
        assert [event.status for event in store.query_events()] == ["ok"] * 3


def test_agents_in_a_forked_process_hang_under_the_run_of_its_parent(own_store, tracker, in_a_child):
    def work():
        with tracker.track_agent("child") as child:
            child.track_call("gpt-4o", 1000, 100)
        tc_core.flush()

    with tracker:
        assert in_a_child(work) == 0
        with tracker.track_agent("parent"):
            pass
    assert tree_of(own_store, tracker) == [
        (0, "workflow", "support"),
        (1, "agent", "child"),
        (2, "llm_call", "gpt-4o"),
        (1, "agent", "parent"),
    ]


def test_a_call_that_comes_after_its_agent_still_hangs_under_it(own_store, tracker):
    with tracker, tracker.track_agent("worker") as worker:
        pass
    worker.track_call("gpt-4o", 1000, 100)
    assert tree_of(own_store, tracker)[-1] == (2, "llm_call", "gpt-4o")


def test_a_call_may_name_its_agent_as_its_parent(own_store, tracker):
    with tc_core.labels(agent_id="somebody"), tracker, tracker.track_agent("worker") as worker:
        CostTracker(own_store).track_call("gpt-4o", 1000, 100, parent_id=worker.event_id)
        CostTracker(own_store).track_call("gpt-4o", 1000, 100, agent_id="other")
    assert [call.agent_id for call in own_store.query_events({"event_type": "llm_call"})] == ["worker", "other"]


def test_copies_of_a_tracker_record_into_the_same_store(own_store, tracker):
    for made in (copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker))):
        with made.track_agent("worker") as worker:
            worker.track_call("gpt-4o", 1000, 100)
    assert sum(run.totals.calls for run in tracker.runs()) == 2


def test_labels_of_the_tracker_are_on_everything(own_store):
    tracker = WorkflowTracker("support", own_store, environment="test", customer="acme")
    with tracker, tracker.track_agent("worker") as worker:
        worker.track_call("gpt-4o", 1000, 100)
    assert {(event.environment, event.labels["customer"]) for event in own_store.query_events()} == {("test", "acme")}


def test_the_events_of_a_run_have_its_start_and_its_end(own_store, tracker, clock):
    with tracker, tracker.track_agent("worker"):
        clock.advance(seconds=2)
    start, agent, end = tracker.events()
    assert (start.event_type, agent.event_type, end.event_type) == ("workflow_start", "agent", "workflow_end")
    assert 2 <= (end.timestamp - start.timestamp).total_seconds() < 2.001
    assert own_store.query_events({"event_type": ["workflow_start", "workflow_end"]}) == [start, end]
    assert own_store.query_events({"event_type": "workflow_end"}, end.timestamp) == [end]
    assert own_store.query_events({"event_type": "workflow_end"}, None, end.timestamp) == []
    assert own_store.query_events({"event_type": "workflow_start"}, limit=1, descending=True) == [start]
    assert len(own_store.query_events()) == 2


def test_an_outcome_may_be_said_inside_and_later_and_elsewhere(own_store, tracker):
    with tracker:
        tracker.outcome(success=False)
        with tracker.track_agent("worker") as worker:
            worker.track_call("gpt-4o", 1000, 100)
    assert tracker.analyze().outcome.success is False
    WorkflowTracker("support", own_store).outcome(True, 12.5)
    analysis = tracker.analyze()
    assert (analysis.outcome.success, analysis.outcome.value, analysis.calls) == (True, 12.5, 1)


def test_what_cannot_be_is_refused_in_words(own_store, tracker):
    with pytest.raises(LineageError, match="No run of the workflow 'support'"):
        tracker.analyze()
    with pytest.raises(LineageError, match="No event 0123abcd"):
        tracker.analyze("0123abcd")
    with pytest.raises(LineageError, match="No run"):
        tracker.outcome()
    other = WorkflowTracker("other", own_store)
    with other, other.track_agent("worker") as worker:
        pass
    with pytest.raises(LineageError, match="is no run of the workflow 'support', but of 'other'"):
        tracker.analyze(worker.event_id)
    with pytest.raises(ValueError, match="agent_id must be a text"):
        tracker.track_agent("")
    with pytest.raises(ValueError, match="workflow_id must be a text"):
        WorkflowTracker(" ", own_store)
    with tracker, pytest.raises(ValueError, match="must be a number, not nan"):
        tracker.outcome(value=float("nan"))
    with tracker.track_agent("a"):
        pass
    with pytest.raises(ValueError, match="format must be one of ascii, mermaid, dot, html, not 'png'"):
        tracker.visualize("png")
    with pytest.raises(ValueError, match="limit must be at least 1"):
        tracker.runs(limit=0)


def test_a_store_of_ones_own_records_and_says_that_it_cannot_answer():
    class Own(tc_core.StorageBackend):
        def __init__(self):
            self.events = []

        def save_event(self, event):
            self.events.append(event)

        def query_events(self, filters=None, start_time=None, end_time=None, *, limit=None, descending=False):
            return [event for event in self.events if event.event_id == (filters or {}).get("event_id", event.event_id)]

        def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
            return {}

    store = Own()
    tracker = WorkflowTracker("support", store)
    with tracker, tracker.track_agent("worker") as worker:
        worker.track_call("gpt-4o", 1000, 100)
    tc_core.flush()
    assert {event.event_type for event in store.events} == {"workflow", "agent", "llm_call"}
    with pytest.raises(StorageError, match="not in a Own"):
        tracker.analyze()


def test_the_example_of_the_seed_document():
    """Its cost above zero around an empty body is the exception: nothing was called, so nothing was paid."""
    tracker = WorkflowTracker("test-workflow", InMemoryStorage())
    with tracker.track_agent("agent-1"):
        pass
    analysis = tracker.analyze()
    assert analysis.total_cost == 0
    assert len(analysis.agents) == 1


def test_the_usage_that_the_seed_document_shows(own_store, capsys):
    class Agent:
        def run(self, task):
            return CostTracker(own_store).track_call("gpt-4o", 1000 * len(task), 100).model

    planner, executor1 = Agent(), Agent()
    tracker = WorkflowTracker(workflow_id="customer-support-v2", storage=own_store)
    with tracker.track_agent("planner"):
        planner.run("q")
    with tracker.track_agent("executor-1"):
        executor1.run("task")
    analysis = tracker.analyze()
    print(f"Total cost: ${analysis.total_cost}")
    print(f"Bottleneck: {analysis.bottleneck_agent}")
    # 5,000 x $2.50 + 200 x $10 a million
    assert capsys.readouterr().out == "Total cost: $0.0145\nBottleneck: executor-1\n"


@pytest.mark.parametrize("success", ["failed", None, 0.5], ids=repr)
def test_an_outcome_is_true_or_false_and_no_word(own_store, success):
    tracker = WorkflowTracker("support", own_store)
    with tracker, pytest.raises(ValueError, match="True or False"):
        tracker.outcome(success=success)
    assert tracker.distribution().outcomes == 0
