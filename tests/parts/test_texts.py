"""A part that reads texts sees what models, tools and retrievers said, as it was then, in each framework."""

import asyncio
import threading

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import MemoryQueryCompletedEvent, MemoryQueryStartedEvent
from crewai.tools import tool as crewai_tool
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from llama_index.core.llms import ChatMessage
from llama_index.core.retrievers import BaseRetriever as LlamaRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool

from tc_core import flush
from tc_core.demo.script import Step


@pytest.fixture
def store(branch, recording):
    """Where it is recorded to; texts are read only once the program has changed its lists."""
    branch.gate = threading.Event()

    def after(texts):
        assert branch.gate.wait(30)
        branch.read += texts

    branch.part.after = after
    return recording()


@pytest.fixture
def texts(branch, store):
    """Return the texts of a type of event: what was asked, and what came out."""

    def find(event_type):
        branch.gate.set()
        assert crewai_event_bus.flush(timeout=10)
        assert flush(timeout=20)
        found = [each for each in branch.read if each.record.event_type == event_type]
        return [[list(map(tuple, each.prompt)), list(map(tuple, each.output))] for each in found]

    return find


@tool
def langchain_lookup(key: str) -> list:
    """Look a key up."""
    return [key, "1"]


@crewai_tool("lookup")
def crewai_lookup(key: str) -> str:
    """Look a key up."""
    return f"{key} is 1"


# LangChain


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("usage", [True, False], ids=["told", "counted"])
def test_the_prompt_and_the_answer_of_langchain(texts, clients, server, is_streamed, usage):
    messages = [HumanMessage("hello")]
    for _ in range(3):
        server.push(Step(text="good day", no_usage=not usage))
        model = clients.langchain()
        _ = list(model.stream(messages)) if is_streamed else model.invoke(messages)
    messages.append(HumanMessage("more"))
    asked, said = [("human", "text", "hello")], [("ai", "text", "good day")]
    assert texts("llm_call") == [[asked, said]] * 3


def test_the_tools_of_langchain(texts, clients, server):
    server.push(Step(tool_calls=[("langchain_lookup", {"key": "a"})]), Step(text="done"))
    create_agent(clients.langchain(), tools=[langchain_lookup]).invoke({"messages": [("user", "hello")]})
    langchain_lookup.invoke({"key": "b"}).append("more")
    assert texts("tool") == [
        [[], [("tool", "tool_result", '["a", "1"]')]],
        [[], [("tool", "tool_result", ["b", "1"])]],
    ]
    first, second = texts("llm_call")
    assert first[1][1:] == [("ai", "tool_call", ["langchain_lookup", {"key": "a"}])]
    assert second[0][-1] == ("tool", "tool_result", '["a", "1"]')


class Passages(BaseRetriever):
    """Finds two passages."""

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document("alpha"), Document("beta")]


def test_the_retrievers_of_langchain(texts):
    Passages().invoke("what").clear()
    assert texts("retrieval") == [[[], [("tool", "text", "alpha"), ("tool", "text", "beta")]]]


# CrewAI


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_the_prompt_and_the_answer_of_crewai(texts, clients, server, is_streamed):
    messages = [{"role": "user", "content": "hello"}]
    for _ in range(3):
        server.push(Step(text="good day"))
        clients.crewai(stream=is_streamed).call(messages)
    messages.append({"role": "user", "content": "more"})
    assert texts("llm_call") == [[[("user", "text", "hello")], [("assistant", "text", "good day")]]] * 3


def test_the_tools_of_crewai_and_a_list_that_the_agent_adds_to(texts, clients, server):
    server.push(Step(tool_calls=[("lookup", {"key": "a"})]), Step(text="Final Answer: done"))
    clients.crew(tools=[crewai_lookup]).kickoff()
    assert texts("tool") == [[[], [("tool", "tool_result", "a is 1")]]]
    first, second = texts("llm_call")
    assert first[1] == [("assistant", "tool_call", ["lookup", '{"key": "a"}'])]
    assert not [part for part in first[0] if part[1] in ("tool_call", "tool_result")]
    assert [part for part in second[0] if part[1] == "tool_result"]
    assert second[1][0][2].endswith("done")


def test_the_memories_of_crewai(texts):
    crewai_event_bus.emit(None, MemoryQueryStartedEvent(query="what", limit=3))
    results = [{"content": "alpha"}, {"content": "beta"}]
    crewai_event_bus.emit(None, MemoryQueryCompletedEvent(query="what", results=results, limit=3, query_time_ms=1))
    assert crewai_event_bus.flush(timeout=10)  # its handlers run in threads: sooner we cannot take a copy
    results.clear()
    assert texts("retrieval") == [[[], [("tool", "text", "alpha"), ("tool", "text", "beta")]]]


# LlamaIndex


@pytest.mark.parametrize("usage", [True, False], ids=["told", "counted"])
@pytest.mark.parametrize("how", ["chat", "stream_chat", "astream_chat"])
def test_the_prompt_and_the_answer_of_llamaindex(texts, clients, server, how, usage):
    async def ask():
        return [piece async for piece in await clients.llamaindex().astream_chat(messages)]

    messages = [ChatMessage(role="user", content="hello")]
    for _ in range(3):
        server.push(Step(text="good day", no_usage=not usage))
        if how == "astream_chat":
            asyncio.run(ask())
        else:
            list(getattr(clients.llamaindex(), how)(messages))
    messages.append(ChatMessage(role="user", content="more"))
    assert texts("llm_call") == [[[("user", "text", "hello")], [("assistant", "text", "good day")]]] * 3


def test_the_tools_of_llamaindex(texts):
    def lookup(key: str) -> str:
        """Look a key up."""
        return f"{key} is 1"

    FunctionTool.from_defaults(lookup).call("a")
    asyncio.run(FunctionTool.from_defaults(lookup).acall("b"))
    assert texts("tool") == [[[], [("tool", "tool_result", f"{key} is 1")]] for key in "ab"]


class Nodes(LlamaRetriever):
    """Finds two passages."""

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in ("alpha", "beta")]


def test_the_retrievers_of_llamaindex(texts):
    Nodes().retrieve("what").clear()
    assert texts("retrieval") == [[[], [("tool", "text", "alpha"), ("tool", "text", "beta")]]]


# All of them


def test_where_no_part_reads_texts_none_are_kept(recording, clients, server, monkeypatch):
    recording()
    monkeypatch.setattr("tc_core.record.pending.PendingEvent.keep_texts", None)
    Passages().invoke("what")
    Nodes().retrieve("what")
    langchain_lookup.invoke({"key": "b"})
    clients.crewai().call("hello")
    clients.llamaindex().chat([ChatMessage(role="user", content="hello")])
    assert crewai_event_bus.flush(timeout=10)


@pytest.mark.swallows
def test_an_answer_that_cannot_be_read_costs_its_text_alone(texts, clients, server, monkeypatch):
    monkeypatch.setattr("tc_langchain.reading.answer", lambda response: 1 / 0)
    clients.langchain().invoke("hello")
    assert texts("llm_call") == [[[("human", "text", "hello")], []]]
