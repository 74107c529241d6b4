"""Failures injected into three frameworks: what tries a failed call again, and what stands in for it.

Each case is one real use of a framework whose model server fails so many times before it answers. Which call is what to
which follows from the case alone; the events of a case are known by its label. Cases run beside each other.
"""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import tc_core
from tc_core import SQLiteStorage, instrument
from tc_core.demo.script import Step, messages_of
from tc_core.demo.server import ModelServer
from tc_core.runtime.recorders import wait_for_parts

RETRY, FALLBACK = "retry_of", "fallback_for"
MODELS = ["gpt-4o", "gpt-4.1", "gpt-4o-mini"]
LEAST = 0.99


class Server:
    """Fails the requests of each case as often as it says; a case is known by the words behind its sign."""

    def __init__(self):
        self.failing = {}

    def respond(self, request):
        text = " ".join(str(message.get("content")) for message in messages_of(request))
        for case, left in self.failing.items():
            if f"<{case}>" in text and left:
                return Step(status=left.popleft())
        return None


@pytest.fixture(params=["on", "off"], ids=["with the ledger", "by the framework's signals alone"])
def world(request, tmp_path, monkeypatch):
    """Return a store that all is recorded into, a server, and how calls fail there."""
    monkeypatch.setenv("TOKEN_CALC_LEDGER", request.param)
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    failing = Server()
    with ModelServer(respond=failing.respond) as server, SQLiteStorage(tmp_path / "failures.db") as store:
        instrument(store)
        yield store, server, failing, request.param == "on"


def judge(store, cases, *, is_said_by_prompts):
    """Compare what is stated between model calls with what is true; return precision and recall of each relation."""
    assert wait_for_parts(store, 60)
    stated, true = {RETRY: set(), FALLBACK: set()}, {RETRY: set(), FALLBACK: set()}
    for case, (_, expected) in cases.items():
        calls = store.query_events({"event_type": "llm_call", "labels.case": case})
        assert len(calls) == len(expected) + 1, f"{case}: {[(call.model, call.status) for call in calls]}"
        for before, after, relation in zip(calls, calls[1:], expected, strict=False):
            is_known = is_said_by_prompts or relation != f"{RETRY} by prompt"
            if relation is not None and is_known:
                true[relation.removesuffix(" by prompt")].add((after.event_id, before.event_id))
    is_call = {event.event_id for event in store.query_events({"event_type": "llm_call"})}
    for each in store.relationships():
        if each.relation in stated and each.confidence >= 0.9 and {each.source_id, each.target_id} <= is_call:
            stated[each.relation].add((each.source_id, each.target_id))
    found = {}
    for relation, said in stated.items():
        right = len(stated[relation] & true[relation])
        found[relation] = right / (len(said) or 1), right / (len(true[relation]) or 1)
        if not true[relation]:
            assert not said
            del found[relation]
    assert all(min(figures) >= LEAST for figures in found.values()), (found, wrong(store, stated, true))
    return found


def wrong(store, stated, true):
    """Say which relations are missing and which are wrong, by case."""
    events = {event.event_id: event for event in store.query_events()}

    def named(pairs):
        return sorted((events[a].labels.get("case"), events[b].labels.get("case")) for a, b in pairs)

    return {each: (named(true[each] - stated[each]), named(stated[each] - true[each])) for each in stated}


def run(world, cases, work):
    """Run all cases, four at a time, each under its label."""
    failing = world[2]
    failing.failing = {case: deque(statuses) for case, (statuses, _) in cases.items()}

    def one(case):
        with tc_core.labels(case=case):
            work(case)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, cases))


def numbered(kinds, times, statuses=(429, 500, 503)):
    """Return cases by name: the statuses that the server answers with, and what each call is to the one before."""
    return {
        f"{kind} {number}": ([statuses[(number + place) % len(statuses)] for place in range(failures)], expected)
        for number in range(times)
        for kind, (failures, expected) in kinds.items()
    }


def test_langchain(world):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.types import RetryPolicy

    store, server, _, with_ledger = world
    by_prompt = f"{RETRY} by prompt"
    cases = numbered(
        {
            "succeeds": (0, []),
            "retry": (2, [RETRY, RETRY]),
            "chain retry": (1, [RETRY]),
            "fallback": (1, [FALLBACK]),
            "two fallbacks": (2, [FALLBACK, FALLBACK]),
            "retry then fallback": (2, [RETRY, FALLBACK]),
            "fallback then retry": (2, [FALLBACK, RETRY]),
            "node policy": (2, [RETRY, RETRY]),
            "middleware retry": (2, [RETRY, RETRY]),
            "middleware fallback": (1, [FALLBACK]),
            "streamed fallback": (1, [FALLBACK]),
            "asked something else": (1, [None]),
            "asked again by the program": (1, [by_prompt]),
            "two in a row": (0, [None]),
        },
        times=4,
    )

    def chat(model="gpt-4o"):
        return ChatOpenAI(model=model, base_url=server.base_url, api_key="x", max_retries=0)

    def work(case):
        kind, text = case.rsplit(" ", 1)[0], f"<{case}> hello"
        if kind in ("succeeds", "retry"):
            chat().with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke(text)
        elif kind == "chain retry":
            chain = ChatPromptTemplate.from_template("{q}") | chat()
            chain.with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke({"q": text})
        elif kind in ("fallback", "two fallbacks"):
            chat().with_fallbacks([chat(each) for each in MODELS[1:]]).invoke(text)
        elif kind == "streamed fallback":
            list(chat().with_fallbacks([chat("gpt-4.1")]).stream(text))
        elif kind == "retry then fallback":
            first = chat().with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
            first.with_fallbacks([chat("gpt-4.1")]).invoke(text)
        elif kind == "fallback then retry":
            second = chat("gpt-4.1").with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
            chat().with_fallbacks([second]).invoke(text)
        elif kind == "node policy":
            graph = StateGraph(MessagesState)
            policy = RetryPolicy(initial_interval=0.001, max_attempts=4, retry_on=Exception)
            graph.add_node("ask", lambda state: {"messages": [chat().invoke(state["messages"])]}, retry_policy=policy)
            graph.add_edge(START, "ask").compile().invoke({"messages": [("user", text)]})
        elif kind == "middleware retry":
            middleware = ModelRetryMiddleware(max_retries=3, initial_delay=0.001, jitter=False)
            create_agent(chat(), [], middleware=[middleware]).invoke({"messages": [("user", text)]})
        elif kind == "middleware fallback":
            middleware = ModelFallbackMiddleware(chat("gpt-4.1"))
            create_agent(chat(), [], middleware=[middleware]).invoke({"messages": [("user", text)]})
        else:
            with suppress(Exception):
                chat().invoke(text)
            chat().invoke(text if "again" in kind else f"something else than {text.replace('<', '(')}")

    run(world, cases, work)
    judge(store, cases, is_said_by_prompts=with_ledger)


def test_crewai(world):
    pytest.importorskip("crewai", reason="CrewAI is not installed")
    from crewai import LLM, Agent, Crew, Task
    from crewai.events.event_bus import crewai_event_bus

    by_prompt = f"{RETRY} by prompt"
    store, server, _, with_ledger = world
    cases = numbered(
        {
            "succeeds": (0, []),
            "asked again": (2, [RETRY, RETRY]),
            "agent": (1, [by_prompt]),  # CrewAI tells that the agent runs again, which is said of its runs
            "asked something else": (1, [None]),
        },
        times=5,
        statuses=(500, 503),
    )
    cases |= numbered({"rate limit": (1, [RETRY, None])}, times=3, statuses=(429,))  # CrewAI asks once more by itself

    def llm(model="openai/gpt-4o-mini"):
        return LLM(model=model, base_url=server.base_url, api_key="x", max_retries=0)

    def work(case):
        kind, text = case.rsplit(" ", 1)[0], f"<{case}> hello"
        if kind == "agent":
            agent = Agent(role=f"Researcher {case}", goal="Find out", backstory="Curious", llm=llm())
            task = Task(agent=agent, description=text, expected_output="An answer", name="look-up")
            Crew(agents=[agent], tasks=[task]).kickoff()
        elif kind in ("asked something else", "rate limit"):
            with suppress(Exception):
                llm().call(text)
            llm().call(f"something else than that which was asked before, namely {text.replace('<', '(')}")
        else:
            for _ in range(3):
                with suppress(Exception):
                    llm().call(text)
                    break

    run(world, cases, work)
    assert crewai_event_bus.flush(timeout=30)
    judge(store, cases, is_said_by_prompts=with_ledger)


def test_llamaindex(world):
    pytest.importorskip("llama_index.llms.openai", reason="LlamaIndex is not installed")
    from llama_index.core.llms import ChatMessage
    from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
    from llama_index.llms.openai import OpenAI
    from workflows.retry_policy import retry_policy, stop_after_attempt, wait_fixed

    store, server, _, with_ledger = world
    by_prompt = f"{RETRY} by prompt"
    cases = numbered(
        {
            "succeeds": (0, []),
            "step policy": (2, [RETRY, RETRY]),
            "step policy once": (1, [RETRY]),
            "asked again by the program": (1, [by_prompt]),
            "asked something else": (1, [None]),
        },
        times=6,
    )

    def model():
        return OpenAI(model="gpt-4o-mini", api_base=server.base_url, api_key="x", max_retries=0)

    class Stubborn(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(0.001), stop=stop_after_attempt(4)))
        async def insist(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=str(await model().achat([ChatMessage(content=ev.text)])))

    def work(case):
        kind, text = case.rsplit(" ", 1)[0], f"<{case}> hello"
        if "policy" in kind:

            async def insist():
                await Stubborn(timeout=60).run(text=text)

            asyncio.run(insist())
            return
        with suppress(Exception):
            model().chat([ChatMessage(content=text)])
        if kind != "succeeds":
            asked = text if "again" in kind else f"something else than {text.replace('<', '(')}"
            model().chat([ChatMessage(content=asked)])

    run(world, cases, work)
    judge(store, cases, is_said_by_prompts=with_ledger)
