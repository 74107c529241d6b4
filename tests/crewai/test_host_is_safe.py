"""The host never sees an error of ours, keeps nothing of ours."""

import asyncio
import gc
import types
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from crewai import BaseLLM
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallStartedEvent, LLMCallType
from crewai.flow.flow import Flow, start
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tc_crewai
from tc_core import CostTracker, InMemoryStorage, SQLiteStorage
from tc_core.demo.script import Step
from tc_core.record.guard import faults
from tc_core.runtime.recorders import recorder_for
from tc_crewai import listener, reading
from tc_crewai.runs import runs
from tc_crewai.scopes import Scope


def handlers():
    return {event: set(found) for event, found in crewai_event_bus._sync_handlers.items()}


def tables():
    scopes = runs.scopes
    return [len(table) for table in (scopes.by_key, scopes.calls, scopes.tasks, scopes.open, scopes.early)]


# Coming and going


def test_installing_twice_is_once_and_uninstalling_restores_the_bus(world, tmp_path):
    tc_crewai.uninstrument()
    before = handlers()
    asynchronous = dict(crewai_event_bus._async_handlers)
    with SQLiteStorage(tmp_path / "a.db") as store:
        tc_crewai.instrument(store)
        once = handlers()
        tc_crewai.instrument(store)
        assert handlers() == once != before
        world.llm().call("hello")
        tc_crewai.TokenCalculatorListener(CostTracker(store))
        tc_crewai.uninstrument()
        assert handlers() == before
        assert crewai_event_bus._async_handlers == asynchronous
        world.llm().call("hello")
        world.crew().kickoff()
        assert store.aggregate("calls") == {(): 1}
    assert tc_crewai.current() is None


def test_what_is_open_when_recording_ends_is_given_up(world, store):
    world.server.push(Step(delay=1))

    async def stop_in_the_middle():
        call = asyncio.create_task(world.llm().acall("hello"))
        while not recorder_for(store)._open:
            await asyncio.sleep(0.01)
        tc_crewai.uninstrument()
        await call

    asyncio.run(stop_in_the_middle())
    (event,) = store.query_events()
    assert event.status == "abandoned"
    assert tables() == [0] * 5


def test_a_replayed_event_is_not_recorded_again(world, store):
    event = LLMCallStartedEvent(model="gpt-4o", call_id="c-1", messages="hello")
    crewai_event_bus.replay(world.llm(), event)
    assert not store.query_events()


def test_an_end_may_be_handled_before_its_start(world, store):
    begun = LLMCallStartedEvent(model="gpt-4o", call_id="c-1", messages="hello", event_id="e-1")
    ended = LLMCallCompletedEvent(
        call_id="c-1", response="ok", call_type=LLMCallType.LLM_CALL, usage={"prompt_tokens": 3, "completion_tokens": 1}
    )
    listener._on_end(None, ended, None)
    listener._on_start(None, begun, None)
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.output_tokens) == ("ok", 3, 1)
    assert tables() == [0] * 5


# Cancelled


def test_a_crew_that_is_cancelled_is_noticed_though_crewai_tells_no_end(world, store):
    world.server.push(Step(delay=0.5))

    async def cancel():
        crew = asyncio.create_task(world.crew().akickoff())
        while len(recorder_for(store)._open) < 4:
            await asyncio.sleep(0.01)
        crew.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crew

    asyncio.run(cancel())
    gc.collect()
    statuses = {event.event_type: event.status for event in store.query_events()}
    assert statuses["workflow"] == "cancelled"
    assert statuses["llm_call"] in ("ok", "cancelled")  # CrewAI's thread asks on, and may have heard the answer
    assert not recorder_for(store)._open
    assert tables() == [0] * 5


def test_a_call_that_is_cancelled_is_abandoned_at_the_end(world, store):
    world.server.push(Step(delay=1))

    async def cancel():
        call = asyncio.create_task(world.llm().acall("hello"))
        while not recorder_for(store)._open:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancel())
    recorder_for(store).close()
    assert [event.status for event in store.query_events()] == ["abandoned"]


# Streams


@pytest.mark.parametrize("way", ["tasks", "limits", "threads"])
def test_a_streaming_crew_whose_pieces_several_tasks_pull(world, store, way):
    world.server.push(Step(text="Final Answer: one two three four", no_usage=True))
    crew = world.crew(world.agent(llm=world.llm(stream=True)), stream=True)

    async def pulled():
        pieces, text = aiter(await asyncio.create_task(crew.akickoff())), ""
        with suppress(StopAsyncIteration):
            while True:
                pull = asyncio.create_task(anext(pieces))
                text += (await (pull if way == "tasks" else asyncio.wait_for(pull, 10))).content
        return text

    def pulled_by_threads():
        pieces, text = iter(crew.kickoff()), ""
        while True:
            with ThreadPoolExecutor(1) as pool:
                piece = pool.submit(next, pieces, None).result()
            if piece is None:
                return text
            text += piece.content

    assert "one two three four" in (pulled_by_threads() if way == "threads" else asyncio.run(pulled()))
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.status, event.error_type, event.usage_source) == ("ok", None, "exact")
    assert event.output_tokens == 7  # "Final", " Answer", ":", and a token for each word
    assert not recorder_for(store)._open


# Memory


class Fast(BaseLLM):
    """A model that emits its events by hand, and asks nobody."""

    def call(self, messages, tools=None, callbacks=None, available_functions=None, from_task=None, **more):
        self._emit_call_started_event(messages=messages, from_task=from_task)
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        self._emit_call_completed_event(
            response="ok", call_type=LLMCallType.LLM_CALL, from_task=from_task, messages=messages, usage=usage
        )
        return "ok"


def test_three_hundred_runs_leave_nothing_behind(world, store, monkeypatch):
    """With short memories of what has ended, so that all that grows is a leak; CrewAI's own growth is not ours."""
    monkeypatch.setattr("tc_core.record.open_runs.MOST_ENDED", 50)
    model = Fast(model="fast")
    crew = world.crew(world.agent(llm=model))

    def kick_off(count):
        for number in range(count):
            crew.kickoff() if number % 5 == 0 else model.call("hello")
        store.flush()
        gc.collect()
        return Counter(kind for each in gc.get_objects() if str((kind := type(each)).__module__).startswith("tc_"))

    before, after = kick_off(50), kick_off(300)
    total = store.totals()[()]
    assert (total.calls, total.input_tokens, total.output_tokens) == (350, 2450, 1050)
    assert not {kind: count for kind, count in (after - before).items() if count > 10}
    assert not recorder_for(store)._open
    assert tables() == [0] * 5
    assert not runs.scopes.gone
    assert not [each for each in gc.get_objects() if type(each) is Scope]


def test_a_run_that_goes_on_for_ever_keeps_no_more_than_a_few(world, store, monkeypatch):
    """What is open stays known, whatever came after it."""
    monkeypatch.setattr("tc_crewai.scopes.MOST_SCOPES", 20)
    model, most = Fast(model="fast"), []

    class Service(Flow):
        @start()
        def serve(self):
            for _ in range(100):
                model.call("hello")
                crewai_event_bus.flush(timeout=5)
                (flow,) = (each for each in runs.scopes.by_key.values() if each.type == "flow_started")
                most.append(max(*tables(), len(runs.scopes.idle), len(flow.members)))

    Service().kickoff()
    assert max(most) == 20
    (method,) = store.query_events({"event_type": "task"})
    assert {event.parent_id for event in store.query_events({"event_type": "llm_call"})} == {method.event_id}
    assert store.totals()[()].calls == 100


def test_what_waits_for_a_start_that_never_comes_is_bounded(world, store, monkeypatch):
    monkeypatch.setattr("tc_crewai.scopes.MOST_EARLY", 20)
    for number in range(50):
        ended = LLMCallCompletedEvent(call_id=f"c-{number}", response="ok", call_type=LLMCallType.LLM_CALL)
        listener._on_end(None, ended, None)
    assert len(runs.scopes.early) == 20
    store.query_events()  # all is handled, so that no start can come any more
    assert tables() == [0] * 5


# Forks, and the end of the process


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_records_like_its_parent(world, store, in_a_child):
    world.llm().call("in the parent")
    store.flush()
    assert tc_crewai.works_after_fork()

    def work():
        world.llm().call("in the child")
        assert crewai_event_bus.flush(timeout=5)
        assert recorder_for(store).drain()

    assert in_a_child(work) == 0
    assert store.aggregate("calls") == {(): 2}


FORK = """
import os, sys
import tc_core, tc_crewai
tc_core.instrument("costs.db")
from crewai.events.event_bus import crewai_event_bus as bus
from crewai import LLM
from tc_core.demo.server import ModelServer
{before}
def call():
    LLM(model="openai/gpt-4o-mini", base_url=server.base_url, api_key="x").call("hello")
with ModelServer() as server:
    call()
    bus.flush()
    {parent}
    child = os.fork()
    if child == 0:
        {child}
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_that_cannot_be_followed_is_told_in_doctor(run_python, run_command):
    before = "from tc_crewai import install; install._PRIVATE = ('no_longer_there',)"
    child = "tc_core.CostTracker('costs.db').track_call('gpt-4o', 1, 1); tc_core.flush()"
    run_python(FORK.format(before=before, parent="", child=child))
    said = run_command("doctor", "--quick", "--store", "costs.db").stdout
    assert "1 x tc_crewai.install._after_fork: ForkedBusError" in said


def test_after_uninstrument_a_fork_finds_the_bus_as_crewai_left_it(run_python):
    """To start it anew is CrewAI's own business then."""
    child = "assert bus._executor_initialized and tc_core.CostTracker('costs.db').get_costs().total_calls == 1"
    run_python(FORK.format(before="", parent="tc_core.uninstrument()", child=child))


def test_a_program_that_ends_at_once_has_recorded_everything(run_python):
    program = """
import tc_core
from crewai import LLM
from tc_core.demo.server import ModelServer
tc_core.instrument("costs.db")
with ModelServer() as server:
    LLM(model="openai/gpt-4o-mini", base_url=server.base_url, api_key="x").call("hello")
"""
    run_python(program)
    assert CostTracker("costs.db").get_costs().total_calls == 1


def test_a_question_on_a_thread_of_the_bus_does_not_wait_for_itself(world, store):
    seen = []

    def ask(_source, _event):
        seen.append(store.aggregate("calls"))

    crewai_event_bus.register_handler(LLMCallCompletedEvent, ask)
    try:
        world.llm().call("hello")
        assert crewai_event_bus.flush(timeout=1.5)
    finally:
        crewai_event_bus.off(LLMCallCompletedEvent, ask)
    assert len(seen) == 1


# Whatever the bus brings

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.builds(object),
    st.builds(RuntimeError),
)
garbage = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = [
    *("task_id", "agent_id", "agent_role", "task", "agent", "agent_info", "flow_name", "method_name", "tool_name"),
    *("crew_name", "model", "messages", "tools", "response", "usage", "error", "inputs", "query", "tool_args"),
    *("from_cache", "triggered_by_event_id", "call_id", "success", "timestamp"),
]
IDS = ["a", "b", "c", "d"]
TYPES = [*reading._KINDS, "llm_call_completed", "llm_call_failed", "task_completed", "tool_usage_error", "nonsense"]


@st.composite
def events(draw):
    fields = {name: draw(garbage) for name in draw(st.lists(st.sampled_from(FIELDS), max_size=8))}
    known = {
        "timestamp": datetime.now(UTC),
        "type": draw(st.sampled_from(TYPES)),
        "event_id": draw(st.sampled_from(IDS)),
        "parent_event_id": draw(st.sampled_from([None, *IDS])),
        "started_event_id": draw(st.sampled_from([None, *IDS])),
        "task_id": None,
        "agent_id": None,
    }
    return types.SimpleNamespace(**{**known, **fields})


HOOKS = [listener._on_start, listener._on_end, listener._on_guardrail]


@pytest.mark.swallows
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(HOOKS), events(), garbage), min_size=1, max_size=6))
def test_no_event_gets_an_error_past_a_hook(calls):
    store = InMemoryStorage()
    mine = tc_crewai.TokenCalculatorListener(CostTracker(store))
    for hook, event, source in calls:
        hook(source, event, None)
    mine.remove()
    store.query_events()
    store.totals(["model", "agent_id"])
    assert tables() == [0] * 5


@pytest.mark.swallows
def test_after_any_garbage_a_good_call_is_recorded(world, store):
    for each in (None, 7, "text", {}, object()):
        listener._on_start(each, each, each)
        listener._on_end(each, each, each)
        listener._on_guardrail(each, each, each)
    world.llm().call("hello")
    assert store.aggregate("calls") == {(): 1}


@pytest.mark.swallows
def test_a_reading_that_fails_costs_only_what_it_reads(world, store, monkeypatch):
    def broken(*_):
        raise KeyError("CANARY")

    monkeypatch.setattr(faults, "strict", False)
    for name in ("answer", "identity", "name", "task_type", "role"):
        monkeypatch.setattr(reading, name, broken)
    world.crew().kickoff()
    assert store.aggregate("calls") == {(): 1}
    assert {event.status for event in store.query_events()} == {"ok"}


def test_importing_the_adapter_does_not_import_crewai(run_python):
    assert run_python("import sys, tc_crewai; print('crewai' in sys.modules)").strip() == "False"
