"""A hard budget stops calls before they are made, in each framework, and what is reserved is settled by the event."""

import asyncio

import pytest
from crewai.events.event_bus import crewai_event_bus

from tc_core import BudgetExceededError, BudgetTracker, instrument
from tests.parts.test_admit import CALLS

each_call = pytest.mark.parametrize(
    "call", [pytest.param(call, id=f"{name}-{how}") for name, calls in CALLS.items() for how, call in calls.items()]
)


def events_in(store, event_type="llm_call"):
    assert crewai_event_bus.flush(timeout=10)
    return [event for event in store.query_events() if event.event_type == event_type]


@each_call
def test_a_call_that_a_budget_has_no_room_for_is_not_made_and_is_no_event(store, clients, server, call):
    budgets = BudgetTracker(store)
    budgets.set_budget(0.000001, "daily", name="small", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError, match="budget 'small' has no room") as raised:
        call(clients)
    assert isinstance(raised.value, RuntimeError)
    assert (raised.value.budget, raised.value.amount, raised.value.spent) == ("small", 0.000001, 0)
    assert raised.value.asked > 0
    assert raised.value.renews_at == budgets.get_remaining().period_end
    assert server.exchanges == []
    assert events_in(store) == []
    found = budgets.get_remaining()
    assert (found.spent, found.reserved) == (0, 0)


@each_call
def test_a_call_that_has_room_is_reserved_for_and_its_event_settles_that(store, clients, server, call):
    budgets = BudgetTracker(store)
    budgets.set_budget(1, "daily", hard=True)
    instrument(store, enforce=True)
    call(clients)
    (event,) = events_in(store)
    found = budgets.get_remaining()
    assert len(server.exchanges) == 1
    assert found.spent == event.cost > 0
    assert found.reserved == 0, "what was reserved is under another id than the event's"
    assert budgets.check()[0].said == "the books agree with the events"


def test_a_budget_is_not_enforced_where_that_is_not_switched_on(store, clients, server):
    budgets = BudgetTracker(store)
    budgets.set_budget(0.000001, "daily", hard=True)
    instrument(store)
    clients.langchain().invoke("hello")
    assert len(server.exchanges) == 1
    assert budgets.check_overage()
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError):
        clients.langchain().invoke("hello")
    instrument(store, enforce=False)
    clients.langchain().invoke("hello")


def test_a_budget_of_another_agent_lets_a_call_through(store, clients, server):
    import tc_core

    BudgetTracker(store).set_budget(0.000001, "daily", {"agent_id": "writer"}, hard=True)
    instrument(store, enforce=True)
    clients.langchain().invoke("hello")
    with tc_core.labels(agent_id="writer"), pytest.raises(BudgetExceededError):
        asyncio.run(clients.langchain().ainvoke("hello"))
    assert len(server.exchanges) == 1
