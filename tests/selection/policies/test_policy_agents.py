"""Agents of LangChain follow the policies of their store, where the program lets calls be changed."""

import asyncio

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain.agents import create_agent
from langchain_core.tools import tool
from openai import NotFoundError

from tc_core import AgentLoopError, BudgetTracker, CostTracker, Policy, PolicyManager, flush, instrument, session
from tc_core.demo.script import Step
from tc_core.model.event import from_us
from tc_core.selection.policies.live import live_of
from tc_langchain import TokenCalculatorMiddleware
from tests.parts.clients import Clients

pytestmark = pytest.mark.slow

ROUTE = Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5)


@pytest.fixture
def policies(store):
    return PolicyManager(store)


@tool
def look_up(number: str) -> str:
    """Return where a parcel is."""
    return f"{number}: no scan yet"


@pytest.fixture
def agent(server, store):
    """Make an agent with our middleware."""

    def make(*, enforce=True, temperature=0, tools=(), **options):
        instrument(store, enforce=enforce)
        model = Clients(server.base_url).langchain("gpt-4o", temperature=temperature)
        own = TokenCalculatorMiddleware(CostTracker(store), **options)
        return create_agent(model, tools=list(tools), middleware=[own], name="planner")

    return make


def ask(agent, text="hello"):
    return agent.invoke({"messages": [("user", text)]})["messages"][-1].text


async def ask_async(agent, text="hello"):
    return (await agent.ainvoke({"messages": [("user", text)]}))["messages"][-1].text


def models_asked(server):
    return [exchange.request["model"] for exchange in server.exchanges]


def calls_in(store):
    return store.query_events({"event_type": "llm_call"})


def test_runs_are_routed_recorded_and_back_after_undo(policies, agent, server, store):
    asked = agent()
    policies.apply(ROUTE)
    for _ in range(12):
        ask(asked)

    async def all_of_them():
        for _ in range(12):
            await ask_async(asked)

    asyncio.run(all_of_them())
    routed = models_asked(server).count("gpt-4o-mini")
    assert 2 <= routed <= 22  # of 24, each by the toss of a coin
    flush()
    assert [event.model for event in calls_in(store)] == models_asked(server)
    status = policies.list()[0]
    assert (status.acted.calls, status.kept.calls, status.acted.errors) == (routed, 24 - routed, 0)
    of_mini = [event for event in calls_in(store) if event.model == "gpt-4o-mini"]
    # gpt-4o costs 2.50 and 10, gpt-4o-mini .15 and .60 dollars per million: 16 2/3 times as much
    assert status.acted.saved_nanos == pytest.approx(sum(event.cost_nanos for event in of_mini) * 47 / 3, rel=1e-3)
    policies.undo("mini")
    server.exchanges.clear()
    for _ in range(12):
        ask(asked)
    assert models_asked(server) == ["gpt-4o"] * 12


def test_all_calls_of_a_run_go_to_one_model(policies, agent, server):
    asked = agent(tools=[look_up])
    policies.apply(ROUTE)
    for _ in range(8):
        for number in range(3):
            server.push(Step(tool_calls=[("look_up", {"number": f"{number}"})]))
        server.push(Step(text="Nowhere."))
        server.exchanges.clear()
        ask(asked)
        assert len(set(models_asked(server))) == 1
        assert len(server.exchanges) == 4


def test_a_duplicate_is_answered_from_memory_and_recorded_as_that(policies, agent, server, store):
    asked = agent()
    policies.apply(Policy(name="again", kind="cache"))
    server.push(Step(text="Lisbon."), Step(text="Porto."))
    assert ask(asked, "capital?") == "Lisbon."
    assert ask(asked, "capital?") == "Lisbon."
    assert asyncio.run(ask_async(asked, "capital?")) == "Lisbon."
    assert ask(asked, "and the second?") == "Porto."
    assert len(server.exchanges) == 2
    flush()
    first, *again, _other = calls_in(store)
    assert first.price_source != "cache"
    assert [(event.price_source, event.cost, event.input_tokens) for event in again] == [("cache", 0.0, 0)] * 2
    status = policies.list()[0]
    assert status.acted.calls == 2
    assert status.acted.saved_nanos == 2 * first.cost_nanos
    assert status.kept.calls == 2


def test_neither_prompts_nor_answers_that_are_kept_reach_a_file(policies, agent, server, store, tmp_path):
    asked = agent()
    policies.apply(Policy(name="again", kind="cache"))
    server.push(Step(text="canary-in-the-answer"))
    assert [ask(asked, "canary-in-the-prompt") for _ in range(2)] == ["canary-in-the-answer"] * 2
    flush()
    policies.undo("again")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert [path for path in files if b"canary-in" in path.read_bytes()] == []


def test_calls_that_are_not_steady_or_ask_for_tools_are_not_answered(policies, agent, server):
    policies.apply(Policy(name="again", kind="cache", temperature="unset"))
    lively = agent(temperature=0.7)
    assert [ask(lively), ask(lively)]
    assert len(server.exchanges) == 2
    server.exchanges.clear()
    with_tools = agent(tools=[look_up])
    for _ in range(2):
        server.push(Step(tool_calls=[("look_up", {"number": "A"})]), Step(text="Nowhere."))
        ask(with_tools, "where is it?")
    assert len(server.exchanges) == 3  # the call that asks for a tool is made again, the last one is not


def test_an_answer_from_memory_is_not_refused_by_a_budget(policies, agent, server, store):
    asked = agent()
    policies.apply(Policy(name="again", kind="cache"))
    said = ask(asked)
    BudgetTracker(store).set_budget(0.0000001, "total", hard=True)
    assert ask(asked) == said
    assert ask(asked, "something else").startswith("I had to stop here")


def test_a_budget_reserves_for_the_model_that_is_asked_in_the_end(policies, agent, server, store):
    asked = agent()
    policies.apply(ROUTE)
    # 100 tokens of output and few of input: gpt-4o-mini fits in, gpt-4o does not
    BudgetTracker(store).set_budget(1_000, "total", {"model": "gpt-4o-mini"}, hard=True)
    for _ in range(10):
        ask(asked)
    flush()
    spent = sum(event.cost for event in calls_in(store) if event.model == "gpt-4o-mini")
    assert BudgetTracker(store).get_remaining().spent == pytest.approx(spent)
    assert BudgetTracker(store).get_remaining().reserved == 0


def looping(server, times=6):
    for _ in range(times):
        server.push(Step(tool_calls=[("look_up", {"number": "A 17"})]))
    server.push(Step(text="It is nowhere."))


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_loop_ends_with_a_message_that_says_why(policies, agent, server, way):
    asked = agent(tools=[look_up])
    policies.apply(Policy(name="enough", kind="loop", rounds=3))
    looping(server)
    said = ask(asked) if way == "invoke" else asyncio.run(ask_async(asked))
    assert said == (
        "I had to stop here, before asking the model again: the agent has asked look_up the same 3 times, and was told "
        "the same each time: policy 'enough' stops it."
    )
    assert len(server.exchanges) == 3
    assert policies.list()[0].acted.calls == 1


def test_a_loop_raises_where_that_is_wanted_and_without_our_middleware(policies, agent, server, store):
    asked = agent(tools=[look_up], on_exceeded="raise")
    policies.apply(Policy(name="enough", kind="loop", rounds=2))
    looping(server)
    with pytest.raises(AgentLoopError, match="policy 'enough' stops it"):
        ask(asked)
    bare = create_agent(Clients(server.base_url).langchain("gpt-4o"), tools=[look_up])
    looping(server)
    with pytest.raises(AgentLoopError):
        ask(bare)


def test_a_long_prompt_is_made_shorter(policies, agent, server, store):
    asked = agent()
    policies.apply(Policy(name="short", kind="trim", at=600))
    messages = [
        (("user", "assistant")[n % 2], f"Point {n}: " + "the tea of spring is lighter. " * 12) for n in range(21)
    ]
    asked.invoke({"messages": messages})
    assert len(server.exchanges[0].request["messages"]) < 21
    assert server.exchanges[0].request["messages"][-1]["content"].startswith("Point 20")
    ask(asked)
    flush()
    status = policies.list()[0]
    assert (status.acted.calls, status.kept.calls) == (1, 1)


def test_nothing_is_done_where_the_program_does_not_let_calls_be_changed(policies, agent, server, store):
    asked = agent(enforce=False)
    policies.apply(Policy(name="again", kind="cache"))
    assert not live_of(store).part.admit
    ask(asked)
    ask(asked)
    assert len(server.exchanges) == 2


def test_without_a_policy_the_parts_are_not_asked(policies, agent, store):
    agent()
    assert live_of(store).part.admit is None
    policies.apply(ROUTE)
    assert live_of(store).part.admit is not None
    policies.undo("mini")
    assert live_of(store).part.admit is None


def test_filters_choose_the_calls(policies, agent, server):
    asked = agent()
    policies.apply(Policy(name="again", kind="cache", filters={"agent_id": "writer"}))
    ask(asked), ask(asked)
    assert len(server.exchanges) == 2
    policies.apply(Policy(name="again", kind="cache", filters={"agent_id": "planner"}))
    ask(asked), ask(asked)
    assert len(server.exchanges) == 3


def test_calls_that_fail_one_after_the_other_end_a_route_at_once(policies, agent, server, store):
    asked = agent()
    policies.apply(ROUTE)

    def answer(request):
        return Step(status=404) if request["model"] == "gpt-4o-mini" else Step(text="Yes.")

    server._respond = answer
    failed = 0
    for _ in range(200):
        try:
            ask(asked)
        except NotFoundError:
            failed += 1
            flush()
        if failed == 5:
            break
    assert failed == 5
    flush()
    change = policies.log()[-1]
    assert (change.kind, change.by) == ("rolled back", "the guard")
    assert change.why == "the last 5 calls under it failed one after the other"
    server.exchanges.clear()
    for _ in range(10):
        assert ask(asked) == "Yes."
    assert set(models_asked(server)) == {"gpt-4o"}
    assert policies.list()[0].state == "rolled back"


def test_outcomes_route_more_or_take_it_back(policies, agent, server, store):
    asked = agent()
    policies.apply(Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5, unit="session"))

    def visits(start, count, succeeds):
        for number in range(start, start + count):
            with session(f"visit-{number}"):
                server.exchanges.clear()
                ask(asked)
                model = models_asked(server)[0]
            flush()
            policies.record_outcome("mini", f"visit-{number}", success=succeeds(model))

    visits(0, 4, lambda model: True)
    assert sum(each.trials for each in (policies.list()[0].routed, policies.list()[0].as_before)) == 4
    assert not policies.list()[0].is_proven
    assert from_us(0) < policies.list()[0].since
