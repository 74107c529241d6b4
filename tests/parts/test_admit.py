"""A part is asked before a request is made, and what it decides holds, in each framework."""

import asyncio

import llama_index.core
import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.hooks import HookAborted, get_before_llm_call_hooks
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.messages import HumanMessage
from llama_index.core import Settings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage, MockLLM

import tc_core
import tc_crewai
import tc_langchain
from tc_core import CostTracker
from tc_core.demo.script import Step
from tc_core.model.part import Decision
from tc_core.model.segment import segments

ASKED = [ChatMessage(role="user", content="hello")]


async def last_of(stream):
    async for each in stream:
        last = each
    return last


async def all_of(awaited):
    return [each async for each in await awaited]


def agent_of(clients, *middleware, **options):
    return create_agent(clients.langchain(**options), tools=[], middleware=list(middleware))


QUESTION = {"messages": [("user", "hello")]}

CALLS = {
    "langchain": {
        "invoke": lambda clients: clients.langchain().invoke("hello"),
        "ainvoke": lambda clients: asyncio.run(clients.langchain().ainvoke("hello")),
        "stream": lambda clients: list(clients.langchain().stream("hello")),
        "astream": lambda clients: asyncio.run(last_of(clients.langchain().astream("hello"))),
        "batch": lambda clients: clients.langchain().batch(["hello"]),
        "completion": lambda clients: clients.langchain_completion().invoke("hello"),
        "acompletion": lambda clients: asyncio.run(clients.langchain_completion().ainvoke("hello")),
        "an agent": lambda clients: agent_of(clients).invoke(QUESTION),
    },
    "crewai": {
        "call": lambda clients: clients.crewai().call("hello"),
        "acall": lambda clients: asyncio.run(clients.crewai().acall("hello")),
        "a stream": lambda clients: clients.crewai(stream=True).call("hello"),
        "a crew": lambda clients: clients.crew().kickoff(),
        "akickoff": lambda clients: asyncio.run(clients.crew().akickoff()),
        "one agent": lambda clients: clients.crewai_agent().kickoff("hello"),
    },
    "llamaindex": {
        "chat": lambda clients: clients.llamaindex().chat(ASKED),
        "achat": lambda clients: asyncio.run(clients.llamaindex().achat(ASKED)),
        "stream_chat": lambda clients: list(clients.llamaindex().stream_chat(ASKED)),
        "astream_chat": lambda clients: asyncio.run(all_of(clients.llamaindex().astream_chat(ASKED))),
        "complete": lambda clients: clients.llamaindex().complete("hello"),
        "an agent": lambda clients: asyncio.run(run(FunctionAgent(llm=clients.llamaindex()))),
    },
}


async def run(agent):
    return await agent.run("hello")


each_call = pytest.mark.parametrize(
    "call", [pytest.param(call, id=f"{name}-{how}") for name, calls in CALLS.items() for how, call in calls.items()]
)


def calls_in(store):
    assert crewai_event_bus.flush(timeout=10)
    return [event for event in store.query_events() if event.event_type == "llm_call"]


@each_call
def test_a_refused_call_raises_the_refusal_sends_nothing_and_is_no_event(
    branch, recording, clients, server, refusal, call
):
    branch.decide(Decision(refusal=refusal))
    store = recording()
    with pytest.raises(type(refusal), match="the budget is spent") as raised:
        call(clients)
    assert raised.value.budget == "team"
    assert server.exchanges == []
    assert calls_in(store) == []
    assert store.totals()[()].calls == 0
    (asked,) = branch.asked
    assert asked.model in ("gpt-4o-mini", "gpt-3.5-turbo-instruct")
    prompt = " ".join(part.body for part in segments(asked.content))
    assert "hello" in prompt or "Look" in prompt
    assert not asked.can_swap


@each_call
def test_what_a_part_lets_through_is_asked_about_once_and_sent(branch, recording, clients, server, call):
    branch.decide(None)
    store = recording()
    call(clients)
    assert len(branch.asked) == len(server.exchanges) == len(calls_in(store)) == 1
    assert all(event.status == "ok" for event in calls_in(store))


@each_call
def test_where_no_part_wants_to_be_asked_nothing_is_done(recording, clients, server, monkeypatch, call):
    store = recording()
    monkeypatch.setattr("tc_core.record.recorder.Recorder.admit", None)
    monkeypatch.setattr("tc_core.record.recorder.Recorder.scope_here", None)
    call(clients)
    assert len(server.exchanges) == len(calls_in(store)) == 1
    assert llama_index.core.global_handler is None


@pytest.mark.swallows
@each_call
def test_a_part_that_fails_lets_the_call_through(branch, recording, clients, server, call):
    def fail(request):
        branch.asked.append(request)
        raise ZeroDivisionError

    branch.part.admit = fail
    store = recording()
    call(clients)
    assert len(branch.asked) == len(server.exchanges) == len(calls_in(store)) == 1


def test_a_part_is_told_under_what_a_call_will_be_booked(branch, recording, clients):
    branch.decide(None)
    recording()
    with tc_core.labels(agent_id="a", customer="acme"):
        for call in ("invoke", "call", "chat"):
            next(calls[call] for calls in CALLS.values() if call in calls)(clients)
    assert [(asked.scope.agent_id, dict(asked.scope.labels)) for asked in branch.asked] == [
        ("a", {"customer": "acme"})
    ] * 3


# LangChain


@pytest.mark.parametrize("how", ["chat", "completion"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_of_prompts_that_are_sent_together_one_refused_has_none_sent(
    branch, recording, clients, server, refusal, how, is_async
):
    def admit(request):
        branch.asked.append(request)
        return Decision(refusal=refusal) if len(branch.asked) == 2 else None

    branch.part.admit = admit
    store = recording()
    if how == "chat":
        model, prompts = clients.langchain(), [[HumanMessage("one")], [HumanMessage("two")], [HumanMessage("three")]]
    else:
        model, prompts = clients.langchain_completion(), ["one", "two", "three"]
    with pytest.raises(type(refusal)):
        asyncio.run(model.agenerate(prompts)) if is_async else model.generate(prompts)
    assert server.exchanges == []
    assert calls_in(store) == []
    model.invoke("again")
    assert len(server.exchanges) == 1


def test_a_refusal_reaches_the_program_without_being_asked_twice_by_two_handlers(
    branch, recording, clients, server, refusal
):
    branch.decide(None)
    store = recording()
    own = tc_langchain.TokenCalculatorCallback(CostTracker(store))
    clients.langchain(callbacks=[own]).invoke("hello")
    assert len(branch.asked) == 1
    branch.part.admit = None


def in_both_ways(agent):
    return [agent.invoke(QUESTION), asyncio.run(agent.ainvoke(QUESTION))]


def test_the_middleware_sends_a_request_to_another_model(branch, recording, clients, server):
    branch.decide(Decision(model="gpt-4.1-nano"))
    store = recording()
    in_both_ways(agent_of(clients, tc_langchain.TokenCalculatorMiddleware(CostTracker(store)), model="gpt-4o"))
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4.1-nano"] * 2
    assert [event.model for event in calls_in(store)] == ["gpt-4.1-nano"] * 2
    assert len(branch.asked) == 2, "the callback asks again"
    assert all((asked.model, asked.can_swap, asked.can_answer) == ("gpt-4o", True, True) for asked in branch.asked)
    assert [part.body for part in segments(branch.asked[0].content)] == ["hello"]


def test_the_middleware_takes_an_object_as_the_model(branch, recording, clients, server):
    branch.decide(Decision(model=clients.langchain("gpt-4.1-mini")))
    recording()
    in_both_ways(agent_of(clients, tc_langchain.TokenCalculatorMiddleware()))
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4.1-mini"] * 2


def test_the_middleware_answers_in_place_of_a_model(branch, recording, clients, server):
    branch.decide(Decision(answer="from somewhere else"))
    store = recording()
    answers = in_both_ways(agent_of(clients, tc_langchain.TokenCalculatorMiddleware(CostTracker(store))))
    assert [answer["messages"][-1].text for answer in answers] == ["from somewhere else"] * 2
    assert server.exchanges == []
    assert [(event.status, event.input_tokens, event.cost) for event in calls_in(store)] == [("ok", 0, 0)] * 2


def test_the_middleware_refuses_and_the_call_is_no_event(branch, recording, clients, server, refusal):
    branch.decide(Decision(refusal=refusal))
    store = recording()
    agent = agent_of(clients, tc_langchain.TokenCalculatorMiddleware(CostTracker(store)))
    with pytest.raises(type(refusal)):
        agent.invoke(QUESTION)
    with pytest.raises(type(refusal)):
        asyncio.run(agent.ainvoke(QUESTION))
    assert server.exchanges == []
    assert calls_in(store) == []
    assert {event.error_type for event in store.query_events() if event.status == "error"} == {"BudgetError"}


def test_what_a_middleware_tries_again_is_asked_about_again(branch, recording, clients, server):
    branch.decide(None)
    store = recording()
    server.push(Step(status=500))
    own = tc_langchain.TokenCalculatorMiddleware(CostTracker(store))
    agent_of(clients, own, ModelRetryMiddleware(max_retries=1, initial_delay=0.01)).invoke(QUESTION)
    assert len(server.exchanges) == len(branch.asked) == 2
    assert [asked.can_swap for asked in branch.asked] == [True, False]


def test_the_middleware_does_nothing_where_no_part_wants_to_be_asked(recording, clients, server, monkeypatch):
    store = recording()
    monkeypatch.setattr("tc_core.record.recorder.Recorder.admit", None)
    in_both_ways(agent_of(clients, tc_langchain.TokenCalculatorMiddleware(CostTracker(store))))
    assert len(server.exchanges) == 2


# CrewAI


def test_what_crewai_raises_is_its_own_error_too(branch, recording, clients, refusal):
    branch.decide(Decision(refusal=refusal))
    recording()
    with pytest.raises(HookAborted) as raised:
        clients.crewai().call("hello")
    assert raised.value.reason == "the budget is spent"
    assert raised.value.__cause__ is refusal


class SlottedError(OSError):
    """An error that is laid out in a way of its own."""


@pytest.mark.parametrize("error", [SlottedError("no"), KeyError("no"), UnicodeDecodeError("utf-8", b"x", 0, 1, "no")])
def test_any_error_may_be_a_refusal(branch, recording, clients, server, error):
    branch.decide(Decision(refusal=error))
    store = recording()
    for call in ("invoke", "call", "chat"):
        with pytest.raises((type(error), HookAborted)):
            next(calls[call] for calls in CALLS.values() if call in calls)(clients)
    assert server.exchanges == []
    assert calls_in(store) == []


def test_uninstrument_takes_the_hook_of_crewai_away(branch, recording, clients, server, refusal):
    before = get_before_llm_call_hooks()
    branch.decide(Decision(refusal=refusal))
    recording()
    recording_hooks = get_before_llm_call_hooks()
    tc_crewai.instrument()
    assert len(get_before_llm_call_hooks()) == len(recording_hooks) == len(before) + 1
    tc_core.uninstrument()
    assert get_before_llm_call_hooks() == before
    clients.crewai().call("hello")
    assert len(server.exchanges) == 1


# LlamaIndex


def test_uninstrument_takes_the_guard_of_llamaindex_away(branch, recording, clients, server, refusal, monkeypatch):
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([]))
    branch.decide(Decision(refusal=refusal))
    recording()
    guard = llama_index.core.global_handler
    assert guard is not None
    assert Settings.callback_manager.handlers == [guard]
    made = clients.llamaindex()
    tc_core.uninstrument()
    assert llama_index.core.global_handler is None
    assert Settings.callback_manager.handlers == []
    made.chat(ASKED)
    assert len(server.exchanges) == 1


def test_a_global_handler_of_the_programs_own_stays(branch, recording, refusal, monkeypatch):
    monkeypatch.setattr(llama_index.core, "global_handler", own := CallbackManager([]))
    branch.decide(Decision(refusal=refusal))
    recording()
    assert llama_index.core.global_handler is own
    tc_core.uninstrument()
    assert llama_index.core.global_handler is own


def test_a_call_that_only_carries_out_another_one_is_not_asked_about(branch, recording):
    branch.decide(None)
    store = recording()
    MockLLM().chat(ASKED)
    assert len(branch.asked) == len(calls_in(store)) == 1


def test_a_model_that_is_copied_is_stopped_as_well(branch, recording, clients, server, refusal):
    branch.decide(Decision(refusal=refusal))
    recording()
    with pytest.raises(type(refusal)):
        clients.llamaindex().model_copy(deep=True).chat(ASKED)
    assert server.exchanges == []


def test_llamaindex_is_stopped_also_where_it_is_imported_after_instrument(run_python):
    program = """
import sys, types
branch = types.ModuleType("a_branch")
sys.modules["a_branch"] = branch
import tc_core
from tc_core.model.part import Decision, Part
from tc_core.runtime import parts
branch.part = lambda store: Part(name="x", admit=lambda request: Decision(refusal=KeyError("no")))
parts.LIVE.append("a_branch")
tc_core.instrument("s.db", strict=True)
from llama_index.core.llms import MockLLM
try: MockLLM().complete("hello")
except KeyError as error: print(error)
print([(event.status, event.error_type) for event in tc_core.SQLiteStorage("s.db").query_events()])
"""
    assert run_python(program).splitlines() == ["'no'", "[]"]
