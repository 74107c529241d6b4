"""What real agents of LangChain waste over a real socket."""

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

from tc_core import ProvenanceAnalyzer
from tc_core.demo.script import Step
from tc_core.runtime.recorders import wait_for_parts

RULES = "You book trains, and never lie. Name prices in euros. " * 120


def model(server, **options):
    return ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="none", max_retries=0, **options)


def found(store, *kinds):
    assert wait_for_parts(store, 30)
    return ProvenanceAnalyzer(store).patterns(kinds)


@pytest.mark.parametrize("has_clock", [True, False])
def test_a_clock_in_the_system_message_is_a_cache_break(store, server, has_clock):
    import tc_core

    history = [HumanMessage("Which trains go from Berlin to Lisbon, for two people and a dog?")]
    cached = 0
    with tc_core.session("lisbon"):
        for turn in range(5):
            told = f"It is {10 + turn}:{10 + turn} o'clock. " if has_clock else ""
            server.push(Step(text=f"Answer {turn}: by way of Paris, for {100 + turn} euros.", usage={"cached": cached}))
            answer = model(server).invoke([SystemMessage(told + RULES), *history])
            cached = 0 if has_clock else server.exchanges[-1].tokens.prompt // 128 * 128
            history += [AIMessage(answer.text), HumanMessage(f"And what of train number {turn}, on that day?")]
    breaks = found(store, "cache_break")
    assert [each.evidence["cause"] for each in breaks] == (["system"] if has_clock else [])
    assert sum(len(each.event_ids) for each in breaks) == (4 if has_clock else 0)


def test_an_agent_that_asks_its_tool_again_and_again(store, server):
    from langchain.agents import create_agent
    from langchain_core.tools import tool

    @tool
    def search(to: str) -> str:
        """Look for trains."""
        return "There is no train on that day."

    server.push(*[Step(tool_calls=[("search", {"to": "Lisbon"})]) for _ in range(5)], Step(text="There is none."))
    agent = create_agent(model(server), tools=[search], name="clerk")
    agent.invoke({"messages": [HumanMessage("A train to Lisbon, please.")]})
    (loop,) = found(store, "agent_loop", "cycle", "fan_out", "deep_chain")
    assert (loop.evidence["agent"], loop.evidence["tools"], loop.evidence["rounds"]) == ("clerk", ["search"], 5)
    calls = store.query_events({"event_type": "llm_call"})
    assert loop.cost_nanos == sum(event.cost_nanos for event in calls[1:5])


def test_pages_that_an_agent_asks_for_are_no_loop(store, server):
    from langchain.agents import create_agent
    from langchain_core.tools import tool

    @tool
    def search(page: int) -> str:
        """Look for trains."""
        return "[]"

    server.push(*[Step(tool_calls=[("search", {"page": page})]) for page in range(5)], Step(text="There is none."))
    create_agent(model(server), tools=[search], name="clerk").invoke({"messages": [HumanMessage("A train, please.")]})
    assert found(store, "agent_loop", "duplicate", "near_duplicate") == []


def test_retries_of_a_model_that_is_down_are_a_storm_and_a_fallback_is_none(store, server):
    server.push(*[Step(status=503) for _ in range(4)], Step(text="Yes."))
    chain = model(server).with_retry(stop_after_attempt=5, wait_exponential_jitter=False)
    chain.invoke([HumanMessage("Is there a train to Lisbon?")])
    (storm,) = found(store, "retry_storm")
    assert (storm.evidence["failures"], storm.evidence["succeeded"]) == (4, True)
    server.push(Step(status=503), Step(text="Yes."))
    spare = ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="none", max_retries=0)
    model(server).with_fallbacks([spare]).invoke([HumanMessage("And one to Porto?")])
    assert len(found(store, "retry_storm")) == 1
