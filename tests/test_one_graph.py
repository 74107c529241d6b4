"""One lineage across three frameworks, each real request in it once."""

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tc_core
from tc_core import SQLiteStorage
from tc_core.demo.script import Step
from tc_core.demo.server import ModelServer
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.tree import tree

for framework in ("langchain_openai", "langgraph", "crewai", "llama_index"):
    pytest.importorskip(framework, reason=f"{framework} is not installed")

PROGRAM = Path(__file__).parent.parent / "examples" / "three_frameworks.py"
ARGUMENTS = {"look_up": {"question": "Why are output tokens dearer?"}, "shorten": {"text": "a text that is long"}}


def respond(request):
    """Ask for the tool that is offered, once; else repeat what was said."""
    tools = [tool["function"]["name"] for tool in request.get("tools") or ()]
    has_result = any(message["role"] == "tool" for message in request.get("messages") or ())
    return Step(tool_calls=[(tools[0], ARGUMENTS[tools[0]])]) if tools and not has_result else None


def without_tokens(lineage):
    return [line[:3] for line in lineage]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Run the example; return its store and what the server counted."""
    folder = tmp_path_factory.mktemp("three")
    environment = {name: value for name, value in os.environ.items() if name != "TIKTOKEN_CACHE_DIR"}
    with ModelServer(respond=respond) as server:
        environment |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": server.base_url, "CREWAI_STORAGE_DIR": str(folder)}
        result = subprocess.run(
            [sys.executable, PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
    assert result.returncode == 0, result.stderr
    with SQLiteStorage(folder / "three_frameworks.db") as store:
        yield store, server.exchanges, result.stdout


def test_every_node_has_its_parent_and_every_call_its_tokens(recorded):
    store, exchanges, printed = recorded
    indexed, asked, searched, answered, reported, wrote, shortened, finished, *titles = [
        each.tokens for each in exchanges
    ]
    assert len(titles) == 2
    events, _ = store.tree(store.runs(limit=1)[0].event.event_id)
    found = [
        (node.event.depth, node.event.event_type, node.event.name or node.event.model, node.event.input_tokens)
        for node in tree(events, ()).walk()
    ]
    assert found == [
        (0, "workflow", "reporter", None),
        (1, "task", "research", None),
        (2, "agent", "researcher", None),
        (3, "task", "model", None),
        (4, "llm_call", "gpt-4o", asked.prompt),
        (3, "task", "tools", None),
        (4, "tool", "look_up", None),
        (5, "workflow", "RetrieverQueryEngine", None),
        (6, "retrieval", "VectorIndexRetriever", None),
        (7, "embedding", "text-embedding-3-small", searched.prompt),
        (6, "task", "CompactAndRefine", None),
        (7, "llm_call", "gpt-4o-mini", answered.prompt),
        (3, "task", "model", None),
        (4, "llm_call", "gpt-4o", reported.prompt),
        (1, "task", "write", None),
        (2, "workflow", "editors", None),
        (3, "task", "report", None),
        (4, "agent", "Writer", None),
        (5, "llm_call", "gpt-4.1", wrote.prompt),
        (5, "tool", "shorten", None),
        (6, "llm_call", "gpt-4.1-mini", shortened.prompt),
        (5, "llm_call", "gpt-4.1", finished.prompt),
    ]
    assert indexed.prompt == store.query_events({"event_type": "embedding"})[0].input_tokens
    assert f"            llm_call gpt-4.1-mini: {shortened.prompt} in, {shortened.completion} out" in printed


def test_the_input_tokens_of_three_frameworks_have_their_origins(recorded):
    store, _, printed = recorded
    found = ProvenanceAnalyzer(store).waterfall()
    calls = [event for event in store.query_events() if event.event_type == "llm_call"]
    assert found.total_tokens == sum(event.input_tokens for event in calls) == sum(row.tokens for row in found.rows)
    names = {row.name for row in found.rows}
    assert {"tool look_up", "tool shorten", "tool schemas", "system prompt", "user"} <= names
    assert "calls without details" not in names
    assert "  tool look_up: " in printed


def test_it_says_what_was_waste(recorded):
    store, _, printed = recorded
    (found,) = ProvenanceAnalyzer(store).patterns()
    assert found.kind == "duplicate"
    assert found.event_ids == tuple(event.event_id for event in store.query_events({"model": "gpt-4.1-mini"})[-2:])
    assert found.cost_nanos == store.get_event(found.event_ids[1]).cost_nanos > 0
    assert f"  duplicate: ${found.wasted_cost:.8f} in 2 events. " in printed


def test_each_real_request_counts_once(recorded):
    store, exchanges, _ = recorded
    total = store.totals()[()]
    assert (total.calls, total.estimated, total.unpriced) == (len(exchanges), 0, 0)
    assert total.input_tokens == sum(exchange.tokens.prompt for exchange in exchanges)
    assert total.output_tokens == sum(exchange.tokens.completion for exchange in exchanges)


def test_agents_of_all_frameworks_are_in_one_table(recorded):
    store, _, _ = recorded
    run = {"root_id": store.runs(limit=1)[0].event.event_id}
    assert store.aggregate("calls", ["agent_id"], run) == {("researcher",): 4, ("Writer",): 3}


# Every framework inside every other


def inside_langchain(work):
    from langchain_core.tools import tool

    @tool
    def outer() -> str:
        """Work."""
        work()
        return "done"

    outer.invoke({})


def inside_crewai(work):
    from crewai.flow.flow import Flow, start

    class Steps(Flow):
        @start()
        def outer(self):
            work()

    Steps().kickoff()


def inside_llamaindex(work):
    from llama_index.core.tools import FunctionTool

    FunctionTool.from_defaults(lambda: work(), name="outer", description="Work.")()


def ask_langchain(server):
    from langchain_openai import ChatOpenAI

    ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="x").invoke("why?")


def ask_crewai(server):
    from crewai import LLM

    LLM(model="openai/gpt-4o", base_url=server.base_url, api_key="x").call("why?")


def ask_a_crew(server):
    from crewai import LLM, Agent, Crew, Task

    llm = LLM(model="openai/gpt-4o", base_url=server.base_url, api_key="x")
    asked = Agent(role="Asked", goal="Answer", backstory="Wise", llm=llm)
    Crew(
        agents=[asked], tasks=[Task(name="ask", description="Why?", expected_output="A reason", agent=asked)]
    ).kickoff()


def ask_llamaindex(server):
    from llama_index.llms.openai import OpenAI

    OpenAI("gpt-4o", api_base=server.base_url, api_key="x").complete("why?")


def here(work):
    return work


def in_a_thread(work):
    def start():
        thread = threading.Thread(target=tc_core.bind_context(work))
        thread.start()
        thread.join()

    return start


def in_an_executor(work):
    def start():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(tc_core.bind_context(work)).result()

    return start


@pytest.mark.parametrize("way", [here, in_a_thread, in_an_executor], ids=lambda way: way.__name__)
@pytest.mark.parametrize("ask", [ask_langchain, ask_crewai, ask_a_crew, ask_llamaindex], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("inside", [inside_langchain, inside_crewai, inside_llamaindex], ids=lambda each: each.__name__)
def test_whatever_is_asked_inside_a_run_hangs_under_it(inside, ask, way, server, store, monkeypatch, tmp_path):
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    inside(way(lambda: ask(server)))
    outer = next(event for event in store.query_events() if event.name == "outer")
    (call,) = store.query_events({"event_type": "llm_call"})
    between = [] if ask is not ask_a_crew else ["workflow", "task", "agent"]
    above = []
    while call.parent_id != outer.event_id:
        call = store.get_event(call.parent_id)
        above.insert(0, call.event_type)
    assert above == between
    (exchange,) = server.exchanges
    total = store.totals()[()]
    assert (total.calls, total.input_tokens) == (1, exchange.tokens.prompt)


@pytest.mark.parametrize("ask", [ask_langchain, ask_crewai, ask_llamaindex], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("inside", [inside_langchain, inside_crewai, inside_llamaindex], ids=lambda each: each.__name__)
def test_what_is_asked_side_by_side_hangs_under_its_own_run(inside, ask, server, store):
    """Each thread is inside a run of its own, and all are inside at once."""
    together = threading.Barrier(3, timeout=30)

    def work():
        together.wait()
        ask(server)
        together.wait()

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(inside, work) for _ in range(3)]:
            each.result()
    outers = {event.event_id for event in store.query_events() if event.name == "outer"}
    calls = store.query_events({"event_type": "llm_call"})
    assert {call.parent_id for call in calls} == outers
    assert len(calls) == len(outers) == 3


async def inside_langchain_asynchronously(work):
    from langchain_core.tools import tool

    @tool
    async def outer() -> str:
        """Work."""
        await work()
        return "done"

    await outer.ainvoke({})


async def inside_crewai_asynchronously(work):
    from crewai.flow.flow import Flow, start

    class Steps(Flow):
        @start()
        async def outer(self):
            await work()

    await Steps().kickoff_async()


async def inside_llamaindex_asynchronously(work):
    from llama_index.core.tools import FunctionTool

    await FunctionTool.from_defaults(async_fn=work, name="outer", description="Work.").acall()


async def await_langchain(server):
    from langchain_openai import ChatOpenAI

    await ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="x").ainvoke("why?")


async def await_crewai(server):
    from crewai import LLM

    await LLM(model="openai/gpt-4o", base_url=server.base_url, api_key="x").acall("why?")


async def await_llamaindex(server):
    from llama_index.llms.openai import OpenAI

    stream = await OpenAI("gpt-4o", api_base=server.base_url, api_key="x").astream_complete("why?")
    assert [piece async for piece in stream]


@pytest.mark.parametrize(
    "ask", [await_langchain, await_crewai, await_llamaindex, None], ids=lambda ask: getattr(ask, "__name__", "all")
)
@pytest.mark.parametrize(
    "inside",
    [inside_langchain_asynchronously, inside_crewai_asynchronously, inside_llamaindex_asynchronously],
    ids=lambda each: each.__name__,
)
async def test_what_is_awaited_in_tasks_at_once_hangs_under_its_own_run(inside, ask, server, store):
    asks = [await_langchain, await_crewai, await_llamaindex] if ask is None else [ask] * 3
    together = asyncio.Barrier(3)

    async def run(each):
        async def work():
            await together.wait()
            await each(server)
            await together.wait()

        await inside(work)

    await asyncio.gather(*(run(each) for each in asks))
    outers = {event.event_id for event in store.query_events() if event.name == "outer"}
    calls = store.query_events({"event_type": "llm_call"})
    assert {call.parent_id for call in calls} == outers
    assert len(calls) == len(outers) == len(server.exchanges) == 3


def test_a_query_engine_that_asks_a_langchain_model_counts_the_request_once(server, store):
    from langchain_openai import ChatOpenAI
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback

    class Wrapped(CustomLLM):
        """A model of LangChain, given to LlamaIndex."""

        @property
        def metadata(self):
            return LLMMetadata(model_name="gpt-4o")

        @llm_completion_callback()
        def complete(self, prompt, formatted=False, **options):
            model = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="x")
            return CompletionResponse(text=model.invoke(prompt).text)

        @llm_completion_callback()
        def stream_complete(self, prompt, formatted=False, **options):
            raise NotImplementedError  # LlamaIndex asks for the method, this test never calls it

    Wrapped().complete("why?")
    (exchange,) = server.exchanges
    total = store.totals()[()]
    assert (total.calls, total.estimated, total.input_tokens) == (1, 0, exchange.tokens.prompt)
    around, call = store.query_events()
    assert (around.event_type, around.name, call.parent_id) == ("task", "gpt-4o", around.event_id)
