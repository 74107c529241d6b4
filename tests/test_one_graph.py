"""One lineage across three frameworks, each real request in it once."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tc_core
from tc_core import SQLiteStorage
from tc_core.analyse.tree import tree
from tc_core.demo.script import Step
from tc_core.demo.server import ModelServer

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
    indexed, asked, searched, answered, reported, wrote, shortened, finished = [each.tokens for each in exchanges]
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


def test_frameworks_called_in_a_thread_of_a_tool_hang_under_the_tool(server, store):
    from langchain_core.tools import tool
    from llama_index.llms.openai import OpenAI

    @tool
    def ask(question: str) -> str:
        """Ask in a thread."""
        answers = []

        def work():
            answers.append(OpenAI("gpt-4o-mini", api_base=server.base_url, api_key="x").complete(question).text)

        thread = threading.Thread(target=tc_core.bind_context(work))
        thread.start()
        thread.join()
        return answers[0]

    ask.invoke({"question": "why?"})
    (call,) = store.query_events({"event_type": "llm_call"})
    assert store.get_event(call.parent_id).name == "ask"


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
            raise NotImplementedError

    Wrapped().complete("why?")
    (exchange,) = server.exchanges
    total = store.totals()[()]
    assert (total.calls, total.estimated, total.input_tokens) == (1, 0, exchange.tokens.prompt)
    around, call = store.query_events()
    assert (around.event_type, around.name, call.parent_id) == ("task", "gpt-4o", around.event_id)
