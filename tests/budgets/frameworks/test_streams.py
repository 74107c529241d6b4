"""A streamed answer that gets longer than its budget has room for is cut, where that is asked for."""

import asyncio
from typing import NamedTuple

import pytest
from crewai.events.event_bus import crewai_event_bus
from langchain.agents import create_agent
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage

import tc_core
from tc_core import BudgetExceededError, CostTracker, instrument
from tc_core.demo.script import Step
from tc_langchain import TokenCalculatorMiddleware

QUESTION = {"messages": [("user", "hello")]}
ASKED = [ChatMessage(role="user", content="hello")]
LONG = "word " * 4000
"""5,000 tokens by the server's count of four characters each: $0.003 of gpt-4o-mini."""


def drawn(stream, came):
    """Read a stream, and note what comes of it."""
    for each in stream:
        came.append(each)


async def adrawn(stream, came):
    async for each in stream:
        came.append(each)


def call_in(store):
    assert crewai_event_bus.flush(timeout=10)
    (event,) = [event for event in store.query_events() if event.is_call]
    return event


def assert_cut(error, store, budgets, server):
    """What the error, the call and the budget say of a stream that was cut."""
    assert 1400 < error.received_tokens < 1700
    assert len(server.exchanges) == 1
    event = call_in(store)
    assert (event.status, event.error_type) == ("closed", "BudgetExceededError")
    assert event.output_tokens > 0.7 * error.received_tokens * 4 / 5
    found = budgets.get_remaining()
    assert found.reserved == 0
    assert found.spent == event.cost > 0


class Text(NamedTuple):
    text: str


def texts_of(events):
    """Yield the texts of LangChain's protocol of events."""
    for event in events:
        delta = event.get("delta") if event.get("event") == "content-block-delta" else None
        if delta:
            yield Text(delta.get("text") or "")


LANGCHAIN = {
    "stream": lambda model, came: drawn(model.stream("hello"), came),
    "events": lambda model, came: drawn(texts_of(model.stream_events("hello", version="v3")), came),
    "astream": lambda model, came: asyncio.run(adrawn(model.astream("hello"), came)),
}


@pytest.mark.parametrize("read", LANGCHAIN.values(), ids=LANGCHAIN)
def test_a_stream_of_langchain_is_cut_where_the_budget_ends(store, budgets, clients, server, read):
    # 500 tokens are thought of first, then there is room for about 1,660: $0.001 at $0.60 a million
    budgets.set_budget(0.001, "total", name="small", hard=True)
    instrument(store, enforce=True, cut_streams=True)
    server.push(Step(text=LONG))
    came = []
    with pytest.raises(BudgetExceededError, match=r"no room for more of this answer.* cut after about") as raised:
        read(clients.langchain(), came)
    characters = sum(len(each.text) for each in came)
    assert 1500 < raised.value.received_tokens < 1700
    assert characters / 4 == pytest.approx(raised.value.received_tokens, abs=5)
    event = call_in(store)
    assert (event.status, event.error_type) == ("closed", "BudgetExceededError")
    assert event.output_tokens > 0.7 * characters / 5
    found = budgets.get_remaining()
    assert found.reserved == 0
    assert found.spent == event.cost > 0
    assert [each.state for each in budgets.check()] == ["ok"]


CREWAI = {
    "call": lambda clients: clients.crewai(stream=True).call("hello"),
    "acall": lambda clients: asyncio.run(clients.crewai(stream=True).acall("hello")),
    "a crew": lambda clients: clients.crew(llm=clients.crewai(stream=True)).kickoff(),
    "akickoff": lambda clients: asyncio.run(clients.crew(llm=clients.crewai(stream=True)).akickoff()),
}


@pytest.mark.parametrize("call", CREWAI.values(), ids=CREWAI)
def test_a_stream_of_crewai_is_cut_where_the_budget_ends(store, budgets, clients, server, call):
    budgets.set_budget(0.001, "total", name="small", hard=True)
    instrument(store, enforce=True, cut_streams=True)
    server.push(Step(text=LONG))
    with pytest.raises(BudgetExceededError, match="no room for more of this answer") as raised:
        call(clients)
    assert_cut(raised.value, store, budgets, server)


def llamaindex(clients):
    return clients.llamaindex(http_client=tc_core.tracking_client(), async_http_client=tc_core.async_tracking_client())


async def awaited(stream, came):
    await adrawn(await stream, came)


LLAMAINDEX = {
    "stream_chat": lambda model, came: drawn(model.stream_chat(ASKED), came),
    "stream_complete": lambda model, came: drawn(model.stream_complete("hello"), came),
    "astream_chat": lambda model, came: asyncio.run(awaited(model.astream_chat(ASKED), came)),
    "an agent": lambda model, came: asyncio.run(run(FunctionAgent(llm=model))),
}


async def run(agent):
    return await agent.run("hello")


@pytest.mark.parametrize("read", LLAMAINDEX.values(), ids=LLAMAINDEX)
def test_a_stream_of_llamaindex_is_cut_by_a_client_of_ours(store, budgets, clients, server, read):
    budgets.set_budget(0.001, "total", name="small", hard=True)
    instrument(store, enforce=True, cut_streams=True)
    server.push(Step(text=LONG, chunk_delay=0.0005))  # so that not all of it is under way at once
    came = []
    with pytest.raises(BudgetExceededError, match="no room for more of this answer") as raised:
        read(llamaindex(clients), came)
    assert_cut(raised.value, store, budgets, server)


def agent_of(clients, store, **options):
    own = TokenCalculatorMiddleware(CostTracker(store), **options)
    return create_agent(clients.langchain("gpt-4o", streaming=True), tools=[], middleware=[own])


@pytest.mark.parametrize(
    ("options", "said", "models"),
    [
        ({}, "I had to stop here, in the midst of an answer: budget 'small'", ["gpt-4o"]),
        ({"on_exceeded": "downgrade", "downgrade_to": "gpt-4o-mini"}, "short", ["gpt-4o", "gpt-4o-mini"]),
        ({"on_exceeded": "warn"}, "word word", ["gpt-4o"]),
        ({"on_exceeded": lambda error, request: f"{error.received_tokens > 500}"}, "True", ["gpt-4o"]),
    ],
    ids=["stop", "downgrade", "warn", "a function"],
)
def test_an_agent_whose_stream_is_cut_goes_on_as_one_whose_call_is_refused(
    store, budgets, clients, server, options, said, models
):
    instrument(store, enforce=True, cut_streams=True)
    for ask in (lambda agent: agent.invoke(QUESTION), lambda agent: asyncio.run(agent.ainvoke(QUESTION))):
        # at $10 a million there is room for 1,050 tokens; 828 words came then, so that $0.0003 of the cheap one fit
        budgets.set_budget(_spent(store) + 0.0105, "total", name="small", hard=True)
        server.push(*[Step(text=LONG), Step(text="short")][: len(models)])
        answer = ask(agent_of(clients, store, **options))
        assert answer["messages"][-1].text.startswith(said)
    assert [exchange.request["model"] for exchange in server.exchanges] == models * 2
    assert budgets.get_remaining().reserved == 0


def _spent(store):
    return sum(event.cost or 0 for event in store.query_events())
