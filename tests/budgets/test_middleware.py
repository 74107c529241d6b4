"""What an agent of LangChain does where a budget has no room: it stops, asks a cheaper model, or a person."""

import asyncio
import logging

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from tc_core import BudgetExceededError, BudgetTracker, CostTracker, SQLiteStorage, instrument
from tc_langchain import TokenCalculatorMiddleware
from tests.parts.clients import Clients

QUESTION = {"messages": [("user", "hello")]}


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def budgets(store):
    return BudgetTracker(store)


@pytest.fixture
def agent(server, store):
    """Make an agent with our middleware, and perhaps others behind it."""

    def make(*others, model="gpt-4o", checkpointer=None, **options):
        instrument(store, enforce=True)
        own = TokenCalculatorMiddleware(CostTracker(store), **options)
        return create_agent(
            Clients(server.base_url).langchain(model, max_tokens=100),
            tools=[],
            middleware=[own, *others],
            checkpointer=checkpointer,
        )

    return make


def in_both_ways(agent, question=QUESTION):
    return [agent.invoke(question), asyncio.run(agent.ainvoke(question))]


def calls_in(store):
    return [event for event in store.query_events() if event.event_type == "llm_call"]


def test_it_stops_with_a_message_that_says_why(budgets, agent, server, store):
    budgets.set_budget(0.0001, "total", name="small", hard=True)
    for answer in in_both_ways(agent()):
        said = answer["messages"][-1].text
        assert said.startswith("I had to stop here, before asking the model again: budget 'small' has no room")
    assert server.exchanges == []
    assert calls_in(store) == []
    assert {event.status for event in store.query_events()} == {"ok"}
    assert budgets.get_remaining().reserved == 0


def test_it_asks_a_cheaper_model_and_stops_where_that_has_no_room_either(budgets, agent, server, store):
    # 100 tokens of output: $0.001 of gpt-4o, $0.00006 of gpt-4o-mini
    budgets.set_budget(0.0005, "total", hard=True)
    made = agent(on_exceeded="downgrade", downgrade_to="gpt-4o-mini")
    in_both_ways(made)
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4o-mini"] * 2
    assert [event.model for event in calls_in(store)] == ["gpt-4o-mini"] * 2
    assert budgets.get_remaining().reserved == 0
    budgets.set_budget(0.00001, "total", hard=True)
    for answer in in_both_ways(made):
        assert answer["messages"][-1].text.startswith("I had to stop")
    assert len(server.exchanges) == 2


def test_it_makes_the_messages_shorter_until_they_have_room(budgets, agent, server):
    # $0.001 is for the answer; of $0.004 for the input there is room for 1,600 tokens, or 1,066 half as much again
    budgets.set_budget(0.005, "total", hard=True)
    long = [("user", "word " * 2000), ("ai", "yes"), ("user", "My order is A-17."), ("ai", "Noted."), ("user", "hello")]
    for answer in in_both_ways(agent(on_exceeded="trim"), {"messages": long}):
        assert not answer["messages"][-1].text.startswith("I had to stop")
        assert len(answer["messages"]) == len(long) + 1, "the state keeps all"
    assert len(server.exchanges) == 2
    for exchange in server.exchanges:
        sent = [message["content"] for message in exchange.request["messages"]]
        assert sent[-1] == "hello"
        assert sum(map(len, sent)) < 4300
        assert "A-17" in " ".join(sent), "what is newer and short stays"
    assert budgets.get_remaining().spent <= 0.005


def test_what_was_made_shorter_stays_so_in_the_next_request(budgets, agent, server):
    budgets.set_budget(0.005, "total", hard=True)
    made = agent(on_exceeded="trim")
    state = made.invoke({"messages": [("user", "word " * 2000), ("ai", "yes"), ("user", "hello")]})
    budgets.set_budget(1, "total", hard=True)
    made.invoke({"messages": [*state["messages"], ("user", "and now?")]})
    first, second = (exchange.request["messages"] for exchange in server.exchanges)
    assert second[: len(first)] == first, "the front that a provider has cached"
    assert second[-1]["content"] == "and now?"


def test_it_stops_where_even_the_shortest_messages_have_no_room(budgets, agent, server):
    budgets.set_budget(0.0001, "total", hard=True)
    for answer in in_both_ways(agent(on_exceeded="trim"), {"messages": [("user", "word " * 2000), ("user", "hello")]}):
        assert answer["messages"][-1].text.startswith("I had to stop")
    assert server.exchanges == []


def test_a_question_with_images_is_not_left_out_to_make_room(budgets, agent, server):
    # $0.001 is for the answer; of $0.002 for the input there is room for 800 tokens, and two images take 1,530
    budgets.set_budget(0.003, "total", hard=True)
    images = [{"type": "image_url", "image_url": {"url": f"https://example.com/{n}.png"}} for n in range(2)]
    asked = HumanMessage([{"type": "text", "text": "What is this?"}, *images])
    for answer in in_both_ways(
        agent(on_exceeded="trim"), {"messages": [("user", "word " * 900), ("ai", "yes"), asked]}
    ):
        assert answer["messages"][-1].text.startswith("I had to stop")
    assert server.exchanges == []


def test_what_is_made_shorter_has_no_result_of_a_tool_without_its_call(budgets, agent, server):
    call = {"name": "look", "args": {"at": "it"}, "id": "1", "type": "tool_call"}
    messages = [
        HumanMessage("word " * 1500),
        AIMessage("", tool_calls=[call]),
        ToolMessage("found " * 500, tool_call_id="1"),
        AIMessage("It is there."),
        HumanMessage("hello"),
    ]
    budgets.set_budget(0.004, "total", hard=True)
    agent(on_exceeded="trim").invoke({"messages": messages})
    (exchange,) = server.exchanges
    sent = exchange.request["messages"]
    asked = [each["id"] for message in sent for each in message.get("tool_calls") or ()]
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == asked
    assert sent[-1]["content"] == "hello"


@pytest.mark.parametrize(
    ("answer", "requests"), [(0.05, 1), (True, 1), (False, 0)], ids=["an amount", "this one", "no"]
)
def test_it_asks_a_person_who_may_grant_more(budgets, agent, server, answer, requests):
    budgets.set_budget(0.0001, "monthly", name="small", hard=True, max_override=1000)
    made, thread = agent(on_exceeded="ask", checkpointer=InMemorySaver()), {"configurable": {"thread_id": "1"}}
    (waiting,) = made.invoke(QUESTION, thread)["__interrupt__"]
    assert waiting.value["budget"] == "small"
    assert "has no room" in waiting.value["message"]
    assert server.exchanges == []
    done = made.invoke(Command(resume=answer), thread)
    assert len(server.exchanges) == requests
    assert done["messages"][-1].text.startswith("I had to stop") == (requests == 0)
    assert len(budgets.history()) == (2 if answer == 0.05 else 1)
    assert budgets.get_remaining().reserved == 0


def test_it_warns_and_goes_on(budgets, agent, server, caplog):
    budgets.set_budget(0.0001, "total", hard=True)
    with caplog.at_level(logging.WARNING, "tc_core"):
        in_both_ways(agent(on_exceeded="warn"))
    assert len(server.exchanges) == 2
    assert len([said for said in caplog.messages if "it is made all the same" in said]) == 2


def test_it_raises(budgets, agent, server):
    budgets.set_budget(0.0001, "total", hard=True)
    made = agent(on_exceeded="raise")
    with pytest.raises(BudgetExceededError):
        made.invoke(QUESTION)
    with pytest.raises(BudgetExceededError):
        asyncio.run(made.ainvoke(QUESTION))
    assert server.exchanges == []


def test_a_function_of_the_users_own_decides(budgets, agent, server):
    budgets.set_budget(0.0005, "total", hard=True)
    seen = []

    def decide(error, request):
        seen.append(error.budget)
        return (
            "too dear" if len(seen) == 1 else request.override(model=Clients(server.base_url).langchain(max_tokens=100))
        )

    made = agent(on_exceeded=decide)
    assert made.invoke(QUESTION)["messages"][-1].text == "too dear"
    made.invoke(QUESTION)
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4o-mini"]

    async def later(error, request):
        await asyncio.sleep(0)
        return "later"

    made = agent(on_exceeded=later)
    assert asyncio.run(made.ainvoke(QUESTION))["messages"][-1].text == "later"
    with pytest.raises(TypeError, match="run by ainvoke"):
        made.invoke(QUESTION)


def test_a_middleware_that_repeats_behind_ours_is_asked_for_each_and_what_it_does_not_use_is_given_back(
    budgets, agent, server, store
):
    budgets.set_budget(1, "total", hard=True)
    from tc_core.demo.script import Step

    server.push(Step(status=500))
    agent(ModelRetryMiddleware(max_retries=1, initial_delay=0.01)).invoke(QUESTION)
    assert len(server.exchanges) == 2
    found = budgets.get_remaining()
    assert (found.reserved, found.spent) == (0, sum(event.cost or 0 for event in calls_in(store)))


def test_a_middleware_behind_ours_that_answers_by_itself_reserves_nothing(budgets, agent, server):
    from langchain.agents.middleware import wrap_model_call

    budgets.set_budget(1, "total", hard=True)

    @wrap_model_call
    def answers(request, handler):
        assert budgets.get_remaining().reserved > 0
        return AIMessage("from here")

    assert agent(answers).invoke(QUESTION)["messages"][-1].text == "from here"
    found = budgets.get_remaining()
    assert (found.spent, found.reserved) == (0, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_exceeded": "explode"}, "must be one of stop, downgrade"),
        ({"on_exceeded": "downgrade"}, "needs downgrade_to"),
    ],
)
def test_a_way_that_there_is_not_is_said_when_it_is_set(options, said):
    with pytest.raises(ValueError, match=said):
        TokenCalculatorMiddleware(**options)
