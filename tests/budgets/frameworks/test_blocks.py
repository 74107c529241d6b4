"""Blocks that have reserved by hand, around calls of the frameworks."""

import asyncio

import pytest
from crewai.events.event_bus import crewai_event_bus
from llama_index.core.llms import ChatMessage

from tc_core import BudgetExceededError, BudgetTracker, CostTracker, instrument

ASKED = [ChatMessage(role="user", content="hello")]

WAYS = {
    "langchain": lambda clients: clients.langchain(max_tokens=50).invoke("hello"),
    "langchain, streamed": lambda clients: list(clients.langchain(max_tokens=50).stream("hello")),
    "langchain, awaited": lambda clients: asyncio.run(clients.langchain(max_tokens=50).ainvoke("hello")),
    "crewai": lambda clients: clients.crewai(max_tokens=50).call("hello"),
    "crewai, a crew": lambda clients: clients.crew().kickoff(),
    "llamaindex": lambda clients: clients.llamaindex(max_tokens=50).chat(ASKED),
    "llamaindex, awaited": lambda clients: asyncio.run(clients.llamaindex(max_tokens=50).achat(ASKED)),
}


@pytest.mark.parametrize("is_enforced", [True, False], ids=["enforced", "not enforced"])
@pytest.mark.parametrize("way", WAYS)
def test_the_first_call_inside_settles_what_a_block_has_reserved(store, budgets, clients, way, is_enforced):
    budgets.set_budget(1, "total", hard=True)
    instrument(store, enforce=is_enforced)
    with budgets.reserve(0.5):
        WAYS[way](clients)
    assert crewai_event_bus.flush(timeout=10)
    found = budgets.get_remaining()
    assert found.reserved == 0
    assert found.spent == pytest.approx(sum(event.cost or 0 for event in store.query_events()), abs=1e-9)
    assert 0 < found.spent < 0.01
    assert [each.state for each in budgets.check()] == ["ok"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "other",
    [
        {"amount": 1e-9},
        {"amount": 1, "unit": "tokens"},
        {"amount": 1, "filters": {"model": "gpt-4o*"}, "unit": "tokens"},
    ],
    ids=["dollars", "tokens", "a model's"],
)
def test_a_block_has_room_only_where_it_has_reserved(store, budgets, clients, server, way, other):
    """The call counts on a second budget as well, which has no room: it is not made, and the block gives back."""
    budgets.set_budget(1, "total", name="block", hard=True)
    budgets.set_budget(period="total", name="other", hard=True, **other)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError, match="budget 'other' has no room"), budgets.reserve(0.5, name="block"):
        WAYS[way](clients)
    assert server.exchanges == []
    assert crewai_event_bus.flush(timeout=10)
    assert [(each.spent, each.reserved) for each in budgets.list()] == [(0, 0), (0, 0)]


def test_what_is_reserved_beside_a_block_is_settled_with_it(each_store, clients, server):
    budgets = BudgetTracker(each_store)
    budgets.set_budget(1, "total", name="block", hard=True)
    budgets.set_budget(2, "total", name="two", hard=True, unit="calls")
    instrument(each_store, enforce=True)
    for _ in range(2):
        with budgets.reserve(0.1, name="block"):
            clients.langchain(max_tokens=50).invoke("hello")
    with pytest.raises(BudgetExceededError, match="2 calls of 2 calls spent"), budgets.reserve(0.1, name="block"):
        clients.langchain(max_tokens=50).invoke("hello")
    assert len(server.exchanges) == 2
    block, two = budgets.list()
    assert (block.reserved, two.reserved, two.spent) == (0, 0, 2)
    assert block.spent == pytest.approx(sum(event.cost or 0 for event in each_store.query_events()), abs=1e-9)
    assert [each.state for each in budgets.check()] == ["ok"]


def test_a_block_without_a_hard_budget_of_its_own_lets_no_call_past_others(store, budgets, clients, server):
    budgets.set_budget(1e-9, "total", {"agent_id": None}, name="nobody", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError), budgets.reserve(0.5, agent_id="critic"):
        clients.langchain(max_tokens=50).invoke("hello")
    assert server.exchanges == []


def test_a_call_with_an_id_of_its_own_settles_a_block_and_one_into_another_store_does_not(each_store, store):
    budgets = BudgetTracker(each_store)
    budgets.set_budget(1, "total", hard=True)
    with budgets.reserve(0.5):
        CostTracker(store).track_call("gpt-4o", 1_000, 0)
        CostTracker(each_store).track_call("gpt-4o", 8_000, 0, event_id="req_1")  # $0.02
    assert (budgets.get_remaining().spent, budgets.get_remaining().reserved) == (0.02, 0)
    with budgets.reserve(0.5):
        CostTracker(each_store).track_call("gpt-4o", 8_000, 0, event_id="req_1")  # the same once more is no call
    assert (budgets.get_remaining().spent, budgets.get_remaining().reserved) == (0.52, 0)
