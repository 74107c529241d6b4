"""An agent of LangChain asks the model of its session's arm, and its calls are known as that arm's."""

import asyncio
import logging
import time

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from tc_core import ABTestError, BudgetTracker, CostTracker, create_ab_test, instrument, labels, session
from tc_langchain import TokenCalculatorMiddleware
from tests.parts.clients import Clients

pytestmark = pytest.mark.slow

QUESTION = {"messages": [("user", "hello")]}
MODELS = ("gpt-4o", "gpt-4o-mini")


@pytest.fixture
def test(store):
    return create_ab_test(store, *MODELS, 14, name="support")


@pytest.fixture
def agent(server, store):
    """Make an agent whose own model is gpt-4.1, which is no part of the test."""

    def make(test, *, checkpointer=None, **options):
        own = TokenCalculatorMiddleware(CostTracker(store), ab_test=test, **options)
        return create_agent(
            Clients(server.base_url).langchain("gpt-4.1", max_tokens=100),
            tools=[],
            middleware=[own],
            checkpointer=checkpointer,
        )

    return make


def asked(server):
    return [exchange.request["model"] for exchange in server.exchanges]


def calls_in(store):
    return [event for event in store.query_events() if event.event_type == "llm_call"]


def test_each_session_asks_the_model_of_its_arm(agent, test, server, store):
    made = agent("support")
    for number in range(6):
        with session(f"s{number}"):
            made.invoke(QUESTION)

    async def ask_again():
        for number in range(6):
            with session(f"s{number}"):
                await made.ainvoke(QUESTION)

    asyncio.run(ask_again())
    expected = [MODELS["ab".index(test.arm(f"s{number}"))] for number in range(6)] * 2
    assert asked(server) == expected
    assert set(expected) == set(MODELS)
    assert [event.model for event in calls_in(store)] == expected
    assert [event.labels["ab_test.support"] for event in calls_in(store)] == [
        "ab"[MODELS.index(model)] for model in expected
    ]
    assert all(test.record_outcome(f"s{number}") for number in range(6))
    results = test.results()
    assert (results.a.assigned, results.b.assigned) == (
        expected.count("gpt-4o") // 2,
        expected.count("gpt-4o-mini") // 2,
    )
    assert (results.a.calls, results.b.calls) == (expected.count("gpt-4o"), expected.count("gpt-4o-mini"))
    assert results.a.cost > results.b.cost > 0


def test_a_thread_of_the_graph_is_a_session(agent, test, server):
    made = agent(test, checkpointer=InMemorySaver())
    for number in range(4):
        made.invoke(QUESTION, {"configurable": {"thread_id": f"t{number}"}})
    assert asked(server) == [MODELS["ab".index(test.arm(f"t{number}"))] for number in range(4)]
    assert test.record_outcome("t0")


def test_a_run_and_a_user_are_units_too(agent, server, store):
    runs = create_ab_test(store, *MODELS, 14, name="runs", unit="run")
    users = create_ab_test(store, *MODELS, 14, name="users", unit="user_id")
    made = agent(runs)
    for _ in range(6):
        made.invoke(QUESTION)
    assert [event.model for event in calls_in(store)] == [
        MODELS["ab".index(runs.arm(event.root_id))] for event in calls_in(store)
    ]
    assert {runs.record_outcome(event.root_id) for event in calls_in(store)} == {True}
    made = agent(users)
    with labels(user_id="u1"):
        made.invoke(QUESTION)
    assert asked(server)[-1] == MODELS["ab".index(users.arm("u1"))]
    assert users.record_outcome("u1")


def test_a_call_without_a_unit_is_no_part_of_it_and_is_said_once(agent, test, server, store, caplog):
    made = agent(test)
    with caplog.at_level(logging.WARNING, "tc_core"):
        made.invoke(QUESTION)
        made.invoke(QUESTION)
    assert asked(server) == ["gpt-4.1"] * 2
    assert len(caplog.records) == 1
    assert "assigns by session, but a call has none" in caplog.text
    assert "tc_core.session(...), or with a thread_id" in caplog.text
    assert test.results().a.assigned + test.results().b.assigned == 0


def test_models_may_be_given(agent, test, server, store):
    other = ChatOpenAI(model="gpt-4.1-nano", base_url=server.base_url, api_key="x")
    made = agent(test, models={"gpt-4o": other, "gpt-4o-mini": other})
    with session("s1"):
        made.invoke(QUESTION)
    assert asked(server) == ["gpt-4.1-nano"]
    with pytest.raises(ValueError, match="'gpt-5' is no model of test 'support'"):
        agent(test, models={"gpt-5": other})
    with pytest.raises(ValueError, match="models are those of an A/B test"):
        TokenCalculatorMiddleware(CostTracker(store), models={"gpt-4o": other})


def test_another_provider_is_asked_by_its_own_class(agent, server, store, monkeypatch):
    pytest.importorskip("langchain_anthropic", reason="langchain-anthropic is not installed")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    from tc_langchain.ab_test import Arms

    test = create_ab_test(store, "gpt-4o", "claude-sonnet-4-5", 14)
    arms = Arms(test, None, None)

    asked = ModelRequest(model=Clients(server.base_url).langchain("gpt-4.1"), messages=[])
    assert type(arms._model("claude-sonnet-4-5", asked)).__name__ == "ChatAnthropic"
    assert arms._model("gpt-4o", asked).model_name == "gpt-4o"
    assert arms._model("gpt-4o", asked).openai_api_base == server.base_url


@pytest.mark.swallows
def test_a_model_that_cannot_be_made_is_not_compared(agent, server, store, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    test = create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14)
    made = agent(test, models={"gpt-4o-mini": "no-such-provider:model"})
    for number in range(6):
        with session(f"s{number}"):
            made.invoke(QUESTION)
    arms = [test.arm(f"s{number}") for number in range(6)]
    assert asked(server) == ["gpt-4o" if arm == "a" else "gpt-4.1" for arm in arms]
    assert (test.results().a.assigned, test.results().b.assigned) == (arms.count("a"), 0)


def test_when_it_is_over_the_agent_asks_its_own_model_or_the_one_that_is_kept(agent, test, server):
    made = agent(test)
    test.stop()
    with session("s1"):
        made.invoke(QUESTION)
        test.stop(keep="gpt-4o-mini")
        made.invoke(QUESTION)
    assert asked(server) == ["gpt-4.1", "gpt-4o-mini"]
    assert test.results().a.calls + test.results().b.calls == 0


def test_a_running_agent_sees_that_a_test_was_stopped_elsewhere(agent, test, server, store, today):
    made = agent("support")
    test.stop(keep="b")
    deadline = time.monotonic() + 30
    while "gpt-4o-mini" not in asked(server) and time.monotonic() < deadline:
        today.advance(seconds=11)  # it is asked for on a thread, so that no request waits
        made.invoke(QUESTION)
    assert asked(server)[-1] == "gpt-4o-mini"


def test_a_budget_judges_the_model_of_the_arm(agent, test, server, store):
    instrument(store, enforce=True)
    BudgetTracker(store).set_budget(0.0005, "total", hard=True)  # 100 tokens of output: $0.001 of gpt-4o
    made, said = agent(test), {}
    for number in range(6):
        with session(f"s{number}"):
            said[number] = made.invoke(QUESTION)["messages"][-1].text
    assert {number for number in said if said[number].startswith("I had to stop")} == {
        number for number in said if test.arm(f"s{number}") == "a"
    }


def test_a_test_that_is_not_there_is_said_when_the_middleware_is_made(agent):
    with pytest.raises(ABTestError, match="there is no A/B test 'nothing'"):
        agent("nothing")
    with pytest.raises(TypeError, match="ab_test is a test of create_ab_test, or the name of one, not 5"):
        agent(5)
