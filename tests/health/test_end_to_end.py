"""A long conversation through a real agent: its health falls, and compression brings it back with what tools need."""

import json

import pytest

from benchmarks.health import cases, is_in, text_of
from tc_core import ConversationMonitor, Message, count_messages, session
from tc_core.demo.script import Step
from tc_core.health import sql
from tc_core.runtime.recorders import wait_for_parts
from tests.health.conftest import booking

WINDOW = 8192
"""That of gpt-4, which the agent is said to be."""


def replay(messages, server, chat):
    """Let a LangChain agent live through a conversation: the server and the tools say what they said."""
    from langchain.agents import create_agent
    from langchain_core.tools import StructuredTool

    results = iter([message["content"] for message in messages if message["role"] == "tool"])
    names = {call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()}
    schema = {"type": "object", "properties": {}, "additionalProperties": True}
    tools = [
        StructuredTool.from_function(lambda **_: next(results), name=name, description=name, args_schema=schema)
        for name in sorted(names)
    ]
    for message in messages:
        if message["role"] == "assistant":
            calls = [
                (each["function"]["name"], json.loads(each["function"]["arguments"]))
                for each in message.get("tool_calls") or ()
            ]
            server.push(Step(text=message["content"] or "", tool_calls=calls))
    agent = create_agent(chat, tools, system_prompt=messages[0]["content"], name="airline")
    state = []
    with session("long"):
        for place, message in enumerate(messages):
            if message["role"] == "user" and any(each["role"] == "assistant" for each in messages[place:]):
                state = agent.invoke({"messages": [*state, ("user", message["content"])]}, {"recursion_limit": 200})[
                    "messages"
                ]
    return state


@pytest.fixture
def chat(server):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-4", base_url=server.base_url, api_key="x", max_retries=0)


def healths(store):
    assert wait_for_parts(store, 60)
    return sql.read(store, {"session_id": "long"})


def test_a_recorded_run_fed_through_an_agent_loses_its_health_and_gets_it_back(runs, server, chat, store):
    messages = max(runs, key=lambda each: sum(len(message["content"] or "") for message in each[1:]))
    state = replay(messages, server, chat)

    seen = healths(store)
    assert len(seen) == len(server.exchanges) >= 30
    assert seen[0].state == "healthy"
    assert seen[0].context_usage < 50 < 90 < seen[-1].context_usage
    assert seen[-1].state == "hallucination_risk"

    monitor = ConversationMonitor("gpt-4", "airline", storage=store)
    monitor.add_messages([Message("system", messages[0]["content"]), *state])
    status = monitor.check_health()
    assert status.status == "hallucination_risk"
    assert status.reason.startswith("the context is ")
    assert "tokens" in status.reason
    assert [each.event_id for each in monitor.recorded()] == [each.event_id for each in seen]

    shorter = monitor.compress_context("hybrid", 4000, apply=True)
    assert shorter.is_met
    assert monitor.tokens <= 4000
    assert monitor.check_health().context_usage < 70


def test_the_next_call_of_recorded_runs_still_has_its_values_after_compression(runs):
    """A sample of the calls; the benchmark asks about all of them, of which 99.5 of 100 values are there."""
    there = total = 0
    for case in list(cases(runs))[::7]:
        monitor = ConversationMonitor("gpt-4o", "airline")
        monitor.add_messages(case.before)
        system = count_messages(case.before[:1], "gpt-4o")
        found = monitor.compress_context("hybrid", system + (monitor.tokens - system) // 2)
        assert found.is_met
        there += sum(is_in(value, text_of(found)) for value in case.wanted)
        total += len(case.wanted)
    assert there / total >= 0.98


def test_a_made_conversation_keeps_every_code_that_the_next_call_needs(server, chat, store):
    messages, codes = booking(8)
    replay(messages, server, chat)
    assert healths(store)[-1].tokens > healths(store)[0].tokens

    monitor = ConversationMonitor("gpt-4", "airline")
    monitor.add_messages(messages)
    before = monitor.tokens
    shorter = monitor.compress_context("hybrid", before // 2)
    assert shorter.is_met
    assert shorter.saved_tokens == before - count_messages(shorter, "gpt-4") >= before // 2
    assert shorter[-1] == messages[-1]
    assert all(code in text_of(shorter) and flight in text_of(shorter) for code, flight in codes)
    window = monitor.compress_context("sliding_window", before // 2)
    assert not all(code in text_of(window) for code, _ in codes)
