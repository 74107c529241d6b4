"""Where only calls under way leave no room, a call waits for them: also in an event loop, which is not held up."""

import asyncio
import contextvars

import pytest
from llama_index.core.llms import ChatMessage

from tc_core import BudgetExceededError, instrument

ASKED = [ChatMessage(role="user", content="hello")]


async def last_of(stream):
    async for each in stream:
        last = each
    return last


async def last_awaited(stream):
    return await last_of(await stream)


async def called_inside(model):
    """Call a model in a coroutine: nothing there can be awaited."""
    return model.invoke("hello")


LANGCHAIN = {
    "ainvoke": lambda clients: clients.langchain(max_tokens=100).ainvoke("hello"),
    "astream": lambda clients: last_of(clients.langchain(max_tokens=100).astream("hello")),
    "completion": lambda clients: clients.langchain_completion().ainvoke("hello"),
}
LLAMAINDEX = {
    "achat": lambda clients: clients.llamaindex(max_tokens=100).achat(ASKED),
    "acomplete": lambda clients: clients.llamaindex(max_tokens=100).acomplete("hello"),
    "astream_chat": lambda clients: last_awaited(clients.llamaindex(max_tokens=100).astream_chat(ASKED)),
}
each_way = pytest.mark.parametrize(
    "call", [pytest.param(call, id=name) for ways in (LANGCHAIN, LLAMAINDEX) for name, call in ways.items()]
)


def elsewhere(reserved):
    """Reserve in another context: else the first call here would take it over."""
    return contextvars.copy_context().run(reserved.__enter__)


async def beside_another(budgets, call, clients):
    """Make a call while all of the budget is reserved for something that ends soon; return how often the loop ran."""
    turns, is_done = 0, False

    async def turn():
        nonlocal turns
        while not is_done:
            turns += 1
            await asyncio.sleep(0)

    async def release():
        await asyncio.sleep(0.2)
        reserved.release()

    reserved = elsewhere(budgets.reserve(0.01))
    turning, reserving = asyncio.create_task(turn()), asyncio.create_task(release())
    before = turns
    try:
        await call(clients)
        assert reserving.done()
    finally:
        is_done = True
        await asyncio.gather(turning, reserving)
    return turns - before


@each_way
def test_a_call_in_an_event_loop_waits_for_those_under_way_and_holds_up_nothing(budgets, store, clients, server, call):
    budgets.set_budget(0.01, "total", hard=True)
    instrument(store, enforce=True)
    assert asyncio.run(beside_another(budgets, call, clients)) > 10
    (event,) = [event for event in store.query_events() if event.is_call]
    assert event.status == "ok"
    found = budgets.get_remaining()
    assert (found.reserved, found.spent) == (0, event.cost)


@each_way
def test_a_call_in_an_event_loop_that_will_have_no_room_is_refused_at_once(budgets, store, clients, server, call):
    budgets.set_budget(0.000001, "total", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError):
        asyncio.run(call(clients))
    assert server.exchanges == []
    assert store.query_events() == []
    assert budgets.get_remaining().reserved == 0


@each_way
def test_a_call_that_waits_in_vain_is_refused(budgets, store, clients, server, call, monkeypatch):
    monkeypatch.setattr("tc_core.record.admission.WAIT_SECONDS", 0.1)
    budgets.set_budget(0.01, "total", hard=True)
    instrument(store, enforce=True)
    reserved = elsewhere(budgets.reserve(0.01))
    with pytest.raises(BudgetExceededError):
        asyncio.run(call(clients))
    reserved.release()
    assert server.exchanges == []
    assert [event for event in store.query_events() if event.is_call] == []
    assert budgets.get_remaining().reserved == 0


@each_way
def test_a_call_that_is_cancelled_while_it_waits_reserves_nothing(budgets, store, clients, server, call):
    budgets.set_budget(0.01, "total", hard=True)
    instrument(store, enforce=True)

    async def cancelled():
        reserved = elsewhere(budgets.reserve(0.01))
        waiting = asyncio.create_task(call(clients))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        reserved.release()

    asyncio.run(cancelled())
    assert server.exchanges == []
    assert [event for event in store.query_events() if event.is_call] == []
    assert budgets.get_remaining().reserved == 0


def test_what_is_called_in_a_coroutine_is_refused_as_ever(budgets, store, clients, server):
    budgets.set_budget(0.000001, "total", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError):
        asyncio.run(called_inside(clients.langchain()))
    assert server.exchanges == []
