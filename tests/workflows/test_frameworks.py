"""Real frameworks inside agents: what they call is linked without any parameter."""

import asyncio

import pytest

import tc_core
from tc_core import SQLiteStorage, WorkflowTracker
from tc_core.testing import Step
from tests.workflows.conftest import tree_of

for framework in ("langchain_openai", "langgraph", "crewai", "llama_index.llms.openai_like"):
    pytest.importorskip(framework, reason=f"{framework} is not installed")

AGENT = {"langchain": "planner", "crewai": "Writer", "llamaindex": "planner"}


def ask_langchain(server):
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    def look_up(word: str) -> str:
        """Look a word up."""
        return f"{word}: a piece of a word"

    server.push(Step(tool_calls=[("look_up", {"word": "token"})]), Step(text="A piece of a word."))
    model = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="x", max_retries=0)
    create_agent(model, tools=[look_up]).invoke({"messages": [("user", "What is a token?")]})
    return 2


def ask_crewai(server):
    from crewai import LLM, Agent, Crew, Task

    model = LLM("openai/gpt-4o", base_url=server.base_url, api_key="x", max_retries=0)
    agent = Agent(role="Writer", goal="Write", backstory="Writes", llm=model)
    Crew(agents=[agent], tasks=[Task(description="Write", expected_output="Text", agent=agent, name="write")]).kickoff()
    return 1


def ask_llamaindex(server):
    from llama_index.llms.openai_like import OpenAILike

    OpenAILike("gpt-4o", api_base=server.base_url, api_key="x", is_chat_model=True, max_retries=0).complete("why?")
    return 1


ASK = {"langchain": ask_langchain, "crewai": ask_crewai, "llamaindex": ask_llamaindex}


@pytest.fixture
def everything(tmp_path, monkeypatch):
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    with SQLiteStorage(tmp_path / "all.db") as store:
        tc_core.instrument(store)
        yield store


@pytest.mark.parametrize("name", ASK)
def test_calls_of_a_framework_hang_under_the_agent(name, everything, server):
    tracker = WorkflowTracker("support")
    with tracker, tracker.track_agent("planner"):
        calls = ASK[name](server)
    events = everything.query_events({"event_type": "llm_call"})
    assert len(events) == calls
    assert {(event.workflow_id, event.agent_id) for event in events} == {("support", AGENT[name])}
    found = tree_of(everything, tracker)
    assert found[:2] == [(0, "workflow", "support"), (1, "agent", "planner")]
    assert [line for line in found if line[0] < 2] == found[:2]
    analysis = tracker.analyze()
    assert (analysis.calls, len(everything.runs())) == (calls, 1)
    assert analysis.agents["planner"].cost_with_inside_nanos == analysis.total_cost_nanos > 0
    assert analysis.input_tokens == sum(exchange.tokens.prompt for exchange in server.exchanges)


def test_all_three_in_one_run_of_agents_alone(everything, server):
    tracker = WorkflowTracker("support")
    expected = {}
    for name, ask in ASK.items():
        with tracker.track_agent(name) as agent:
            expected[agent.event_id] = ask(server)
    (run,) = tracker.runs()
    assert run.totals.calls == len(server.exchanges) == sum(expected.values())
    steps = {step.agent_id for step in tracker.analyze().critical_path}
    assert {"langchain", "llamaindex", "Writer"} <= steps
    for line in tracker.visualize().splitlines():
        assert len(line) <= 100


def test_tasks_at_once_keep_the_calls_of_their_agents(everything, server):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="x", max_retries=0)
    tracker = WorkflowTracker("support")

    async def work(name):
        async with tracker.track_agent(name):
            await asyncio.gather(*(model.ainvoke(f"{name} {number}") for number in range(3)))

    async def run():
        async with tracker:
            await asyncio.gather(*(work(name) for name in "abcd"))

    asyncio.run(run())
    assert {name: agent.calls for name, agent in tracker.analyze().agents.items()} == dict.fromkeys("abcd", 3)


def test_a_tracker_in_a_node_of_a_graph_hangs_under_it_and_each_time_anew(everything, server):
    from langgraph.graph import END, START, StateGraph

    tracker = WorkflowTracker("inner")

    def node(state):
        with tracker.track_agent("worker"):
            ask_llamaindex(server)
        return state

    builder = StateGraph(dict)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    graph = builder.compile(name="outer")
    for _ in range(2):
        graph.invoke({})
    assert [run.event.name for run in everything.runs()] == ["outer", "outer"]
    assert [run.totals.calls for run in tracker.runs()] == [1, 1]
    assert WorkflowTracker("outer").analyze().agents["worker"].calls == 1
