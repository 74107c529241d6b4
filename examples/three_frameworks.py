"""One graph across LangGraph, LlamaIndex and CrewAI: a report is researched and written, and recorded as one run.

A graph of LangGraph has two nodes. In `research` an agent of LangChain uses a query engine of LlamaIndex as its tool;
`write` kicks off a crew of CrewAI, whose writer has a tool that asks a LangChain model. Every request is recorded once,
below what asked for it.

Needs OPENAI_API_KEY, and heeds OPENAI_BASE_URL.
"""

import os
from typing import TypedDict

import tc_core
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool as crew_tool
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from tc_core.lineage.tree import tree

tc_core.instrument("three_frameworks.db")  # every framework that is installed

URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
PASSAGES = ("Tokens are pieces of words.", "Output tokens cost more than input tokens.", "Cached tokens cost less.")

Settings.llm = OpenAI(model="gpt-4o-mini", api_base=URL)
Settings.embed_model = OpenAIEmbedding(
    model_name="text-embedding-3-small",
    api_base=URL,
    http_client=tc_core.tracking_client(),  # reads what the provider counts, which LlamaIndex does not tell
)
index = VectorStoreIndex.from_documents([Document(text=text) for text in PASSAGES])
query_engine = index.as_query_engine(similarity_top_k=1)


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    notes: str
    report: str


@tool
def look_up(question: str) -> str:
    """Look something up in the library."""
    return str(query_engine.query(question))


@crew_tool
def shorten(text: str) -> str:
    """Make a text shorter."""
    return ChatOpenAI(model="gpt-4.1-mini").invoke(f"Shorten: {text}").text


def research(state: State) -> State:
    """Have an agent of LangChain find out."""
    researcher = create_agent(ChatOpenAI(model="gpt-4o"), tools=[look_up], name="researcher")
    return {"notes": researcher.invoke({"messages": [HumanMessage(state["question"])]})["messages"][-1].text}


def write(state: State) -> State:
    """Have a crew of CrewAI write."""
    llm = LLM(model="openai/gpt-4.1", base_url=URL)
    writer = Agent(role="Writer", goal="Write briefly", backstory="An editor", llm=llm, tools=[shorten])
    task = Task(name="report", description=f"Report: {state['notes']}", expected_output="One sentence", agent=writer)
    return {"report": str(Crew(name="editors", agents=[writer], tasks=[task]).kickoff())}


graph = StateGraph(State)
graph.add_node("research", research)
graph.add_node("write", write)
graph.add_edge(START, "research")
graph.add_edge("research", "write")
graph.add_edge("write", END)
QUESTION = "Why are output tokens dearer?"
print(graph.compile(name="reporter").invoke({"question": QUESTION})["report"])
for _ in range(2):  # a title, and the same once more, as programs do that keep no answer
    ChatOpenAI(model="gpt-4.1-mini").invoke(f"A title of three words for: {QUESTION}")

tc_core.flush()
store = tc_core.SQLiteStorage("three_frameworks.db")
for node in tree(*store.tree(store.runs(limit=1)[0].event.event_id)).walk():
    event = node.event
    tokens = f": {event.input_tokens} in, {event.output_tokens} out" if event.input_tokens is not None else ""
    print(f"{'  ' * event.depth}{event.event_type} {event.name or event.model or ''}{tokens}".rstrip())

analyzer = tc_core.ProvenanceAnalyzer(store)
print("Where their input tokens came from:")
for row in analyzer.waterfall().rows:
    print(f"  {row.name}: {row.tokens} tokens, {row.resent_tokens} of them sent again")

print("What of it was waste:")
for pattern in analyzer.patterns():
    print(f"  {pattern.kind}: ${pattern.wasted_cost:.8f} in {len(pattern.event_ids)} events. {pattern.advice}")
