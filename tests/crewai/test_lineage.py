"""What hangs under what, what repeats, checks or follows what, and what it is labelled with."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from crewai.flow.flow import Flow, start
from crewai.tools import tool

import tc_core
import tc_crewai
from tc_core import CostTracker
from tc_core.demo.script import Step
from tc_core.runtime.recorders import recorder_for
from tc_crewai.runs import runs
from tests.crewai import scenarios
from tests.crewai.test_scenarios import run


def shape(store, root=None):
    """Return the lineage of the last run as what can be told at a glance."""
    run = store.runs(limit=1)[0] if root is None else root
    events, _ = store.tree(run.event.event_id)
    assert {event.status for event in events} <= {"ok", "error"}
    return [(event.depth, event.event_type, event.name or event.model) for event in events]


def relations(store):
    by_id = {event.event_id: event for event in store.query_events()}
    return sorted(
        (relation.relation, *(by_id[id_].name or by_id[id_].model for id_ in (relation.source_id, relation.target_id)))
        for relation in store.relationships()
    )


def crew_of(*inside, name="crew"):
    return [(0, "workflow", name), (1, "task", "look-up"), *inside]


def agent(role, *inside, depth=2):
    return [(depth, "agent", role), *((depth + 1, kind, name) for kind, name in inside)]


CALL = ("llm_call", "gpt-4o-mini")
SHAPES = {
    scenarios.a_crew: crew_of(*agent("Researcher", CALL)),
    scenarios.a_native_asynchronous_crew: crew_of(*agent("Researcher", CALL)),
    scenarios.a_crew_for_each_input: crew_of(*agent("Expert for {topic}", CALL)),
    scenarios.an_agent_with_a_tool: crew_of(*agent("Researcher", CALL, ("tool", "add"), CALL)),
    scenarios.an_agent_that_tries_again: crew_of(*agent("Researcher", CALL), *agent("Researcher", CALL)),
    scenarios.a_guardrail: crew_of(*agent("Researcher", CALL), *agent("Researcher", CALL)),
    scenarios.a_guardrail_that_asks_a_model: crew_of(
        *agent("Researcher", CALL),
        *agent("Guardrail Agent", CALL),
        *agent("Researcher", CALL),
        *agent("Guardrail Agent", CALL),
    ),
    scenarios.delegation: crew_of(
        *agent("Boss", CALL, ("tool", "delegate_work_to_coworker")), *agent("Helper", CALL, depth=4), (3, *CALL)
    ),
    scenarios.a_hierarchy: crew_of(
        *agent("Crew Manager", ("llm_call", "gpt-4o"), ("tool", "delegate_work_to_coworker")),
        *agent("Helper", CALL, depth=4),
        (3, "llm_call", "gpt-4o"),
    ),
    scenarios.memory: crew_of(
        (2, "retrieval", "memory"),
        (3, "embedding", "text-embedding-3-small"),
        *agent("Researcher", CALL, CALL, ("embedding", "text-embedding-3-small"), CALL),
    ),
    scenarios.knowledge_with_exact_embeddings: [
        (0, "workflow", "crew"),
        (1, "embedding", "text-embedding-3-small"),  # of the source, before the first task
        (1, "task", "look-up"),
        (2, "retrieval", "knowledge"),
        (3, *CALL),
        (3, "embedding", "text-embedding-3-small"),
        *agent("Researcher", CALL),
    ],
    scenarios.an_agent_alone_with_a_guardrail: agent("Researcher", CALL, CALL, depth=0),
}


@pytest.mark.parametrize("scenario", SHAPES, ids=lambda scenario: scenario.__name__)
def test_the_lineage_of_a_scenario(scenario, world, store):
    run(scenario, world)
    assert shape(store) == SHAPES[scenario]


def test_failures_that_crewai_tells_twice_leave_the_lineage_whole(world, store):
    scenarios.failures_that_crewai_tells_twice(world)
    events = {event.event_id: event for event in store.query_events()}
    (crew,) = (event for event in events.values() if event.parent_id is None)
    first, second = (event for event in events.values() if event.event_type == "task")
    assert first.parent_id == second.parent_id == crew.event_id
    agents = [event for event in events.values() if event.event_type == "agent"]
    assert [agent.parent_id for agent in agents] == [first.event_id, second.event_id]
    for inner, outer in ((agents[0], first), (agents[1], second), (first, crew), (second, crew)):
        assert inner.status == outer.status == "ok"
        assert inner.timestamp >= outer.timestamp
        assert inner.latency_ms < outer.latency_ms
    failed = [event.parent_id for event in events.values() if event.status == "error"]
    assert failed == [agents[0].event_id, first.event_id, agents[1].event_id, second.event_id]
    assert store.aggregate("errors") == {(): 4}


def test_the_steps_of_a_flow_and_what_triggered_them(world, store):
    run(scenarios.a_flow, world)
    found = shape(store)
    assert found[0] == (0, "workflow", "Report")
    assert sorted(name for depth, _, name in found if depth == 1) == ["ask", "choose", "finish", "research", "write"]
    assert sorted(row for row in found if row[0] > 2) == [
        (3, "llm_call", "gpt-4o-mini"),
        (3, "task", "look-up"),
        (4, "agent", "Researcher"),
        (5, "llm_call", "gpt-4o-mini"),
    ]
    triggers = dict(pair[1:] for pair in relations(store))
    assert triggers["choose"] == "ask"
    assert triggers["research"] == "choose"
    assert triggers["finish"] in ("research", "write")


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (scenarios.an_agent_that_tries_again, [("retry_of", "Researcher", "Researcher")]),
        (scenarios.a_guardrail, [("retry_of", "Researcher", "Researcher")]),
        (
            scenarios.a_guardrail_that_asks_a_model,
            [("retry_of", "Researcher", "Researcher"), *[("validation_of", "gpt-4o-mini", "gpt-4o-mini")] * 2],
        ),
        (scenarios.an_agent_alone_with_a_guardrail, [("retry_of", "gpt-4o-mini", "gpt-4o-mini")]),
        (scenarios.rate_limits, [("retry_of", "gpt-4o-mini", "gpt-4o-mini")] * 2),
        (scenarios.delegation, []),
        (scenarios.crews_side_by_side, []),
        (scenarios.a_crew_kicked_off_twice, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_repeats_and_what_checks(scenario, expected, world, store):
    run(scenario, world)
    assert relations(store) == expected


def test_a_function_that_the_model_runs_hangs_under_its_call(world, store):
    scenarios.a_function_that_the_model_runs(world)
    call, function = store.query_events()
    assert (call.event_type, function.event_type, function.name) == ("llm_call", "tool", "add")
    assert function.parent_id == call.event_id
    assert call.output_tokens > 0  # what it asked for; not what the function returned


def test_calls_are_booked_under_the_agent_and_the_task(world, store):
    run(scenarios.delegation, world)
    calls = store.aggregate("calls", ["agent_id", "task_type"])
    assert calls == {("Boss", "look-up"): 2, ("Helper", "look-up"): 1}


def test_a_task_without_a_name_is_known_by_a_short_id_that_does_not_tell_its_text(world, store):
    agents = [world.agent(), world.agent()]
    tasks = [world.task(agent, name=None, description="Secret {what}") for agent in agents]
    world.crew(agents[0], tasks=[tasks[0]]).kickoff(inputs={"what": "one"})
    world.crew(agents[1], tasks=[tasks[1]]).kickoff(inputs={"what": "two"})
    ((task_type,),) = store.aggregate("calls", ["task_type"])
    assert task_type.startswith("task-")
    assert len(task_type) == 15


# Labels


def test_labels_and_workflows_of_ours_hold_where_crewai_emits(world, store):
    with tc_core.workflow("nightly", storage=store), tc_core.labels(user_id="u-1"):
        world.llm().call("hello")
        world.crew().kickoff()
    assert store.aggregate("calls", ["workflow_id", "labels.user_id"]) == {("nightly", "u-1"): 2}
    found = shape(store)
    assert found[:3] == [(0, "workflow", "nightly"), (1, "llm_call", "gpt-4o-mini"), (1, "workflow", "crew")]


def test_a_call_told_after_its_block_still_hangs_under_it(world, store):
    """CrewAI's handlers run later than the call: the block may have ended by then."""
    with runs.lock, tc_core.workflow("short", storage=store):
        world.llm().call("hello")
    assert shape(store) == [(0, "workflow", "short"), (1, "llm_call", "gpt-4o-mini")]
    (call,) = store.query_events({"event_type": "llm_call"})
    assert 0 < call.latency_ms < 5_000


def test_track_gives_labels_to_one_crew_and_its_copies(world, store):
    tracked, other = world.crew(world.agent("A {n}")), world.crew(world.agent("B"))
    with tc_crewai.track(tracked, workflow_id="wf", customer="acme"):
        tracked.kickoff_for_each(inputs=[{"n": 1}, {"n": 2}])
        other.kickoff()
        asyncio.run(tracked.kickoff_async(inputs={"n": 3}))
    tracked.kickoff(inputs={"n": 4})
    assert store.aggregate("calls", ["workflow_id", "labels.customer", "agent_id"]) == {
        ("wf", "acme", "A {n}"): 3,
        (None, None, "B"): 1,
        (None, None, "A {n}"): 1,
    }


def test_an_explicit_listener_lays_its_labels_over_all_others(world, store):
    listener = tc_crewai.TokenCalculatorListener(CostTracker(store), agent_id="mine")
    world.crew().kickoff()
    listener.remove()
    world.crew().kickoff()
    assert store.aggregate("calls", ["agent_id"]) == {("mine",): 1, ("Researcher",): 1}


def test_listeners_of_two_stores_each_record_everything(world, store, tmp_path):
    with tc_core.SQLiteStorage(tmp_path / "other.db") as other:
        listener = tc_crewai.TokenCalculatorListener(CostTracker(other))
        world.crew().kickoff()
        assert shape(store) == shape(other) == SHAPES[scenarios.a_crew]
        listener.remove()


# The innermost run


@tool("inner")
def inner() -> str:
    """Look inside."""
    CostTracker(inner_store["store"]).track_call("gpt-4o", 10, 1)
    inner_store["current"] = tc_crewai.current()
    return "seen"


inner_store = {}


def test_what_a_tool_calls_hangs_under_the_tool(world, store):
    inner_store["store"] = store
    world.server.push(Step(tool_calls=[("inner", {})]))
    world.crew(world.agent(tools=[inner])).kickoff()
    assert shape(store)[4:6] == [(3, "tool", "inner"), (4, "llm_call", "gpt-4o")]
    (event,) = store.query_events({"event_type": "tool"})
    assert recorder_for(store).record(inner_store["current"]).id.hex() == event.event_id.replace("-", "")
    assert tc_crewai.current() is None


def test_the_innermost_run_is_known_though_no_handler_has_run_yet(world, store, monkeypatch):
    """The bus hands starts to our handlers late here; what is called meanwhile still finds its place."""
    seen = []

    class Steps(Flow):
        @start()
        def first(self):
            assert not runs.scopes.open
            CostTracker(store).track_call("gpt-4o", 10, 1)
            seen.append(tc_crewai.current())

    submit, began = ThreadPoolExecutor.submit, []

    def late(self, function, *arguments):
        if self._thread_name_prefix == "CrewAISyncHandler" and "Started" in type(arguments[2]).__name__:
            began.append((self, function, *arguments))
            done = Future()
            done.set_result(None)
            return done
        return submit(self, function, *arguments)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", late)
    Steps().kickoff()
    monkeypatch.undo()
    for pool, *arguments in reversed(began):  # and in the wrong order
        submit(pool, *arguments).result(10)
    assert seen[0] is not None
    assert shape(store) == [(0, "workflow", "Steps"), (1, "task", "first"), (2, "llm_call", "gpt-4o")]


async def test_the_innermost_run_in_asynchronous_steps(world, store):
    class Steps(Flow):
        @start()
        async def first(self):
            await asyncio.gather(*(asyncio.to_thread(self.call) for _ in range(2)))

        def call(self):
            CostTracker(store).track_call("gpt-4o", 10, 1)

    await Steps().kickoff_async()
    assert shape(store) == [(0, "workflow", "Steps"), (1, "task", "first"), *[(2, "llm_call", "gpt-4o")] * 2]


# Other frameworks


@tool("ask_langchain")
def ask_langchain() -> str:
    """Ask a model of LangChain."""
    return inner_store["model"].invoke("from inside").text


def test_a_model_of_langchain_in_a_tool_and_a_crew_in_a_node_of_langgraph_are_one_lineage(world, store):
    openai = pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    graphs = pytest.importorskip("langgraph.graph", reason="LangGraph is not installed")
    tc_core.instrument(store)
    inner_store["model"] = openai.ChatOpenAI(model="gpt-4o", base_url=world.server.base_url, api_key="x")
    world.server.push(Step(tool_calls=[("ask_langchain", {})]))

    def node(_state):
        world.crew(world.agent(tools=[ask_langchain])).kickoff()
        return {}

    graph = graphs.StateGraph(dict).add_node("crew_node", node).add_edge(graphs.START, "crew_node")
    graph.compile(name="outer").invoke({})
    assert shape(store) == [
        (0, "workflow", "outer"),
        (1, "task", "crew_node"),
        (2, "workflow", "crew"),
        (3, "task", "look-up"),
        (4, "agent", "Researcher"),
        (5, *CALL),
        (5, "tool", "ask_langchain"),
        (6, "llm_call", "gpt-4o"),
        (5, *CALL),
    ]
    assert store.totals()[()].input_tokens == sum(each.tokens.prompt for each in world.server.exchanges)
