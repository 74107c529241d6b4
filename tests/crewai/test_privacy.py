"""No text of prompts, answers, roles, tasks, tools, memories or errors is in any file that we write."""

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.flow.flow import Flow, listen, start
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.memory.unified_memory import Memory
from crewai.tools import tool

import tc_crewai
from tc_core import SQLiteStorage, instrument
from tc_core.demo.script import Step
from tc_core.demo.server import ModelServer
from tc_core.runtime.recorders import recorder_for
from tests.crewai.conftest import World
from tests.crewai.scenarios import ADD, Sum, add

CANARY = "CANARY-7f3a9b"


@tool("look_up")
def look_up(what: str) -> str:
    """Look something up: CANARY-7f3a9b."""
    return f"found {CANARY}"


@tool("broken")
def broken_tool() -> str:
    """Break."""
    raise RuntimeError(CANARY)


def refuse_once(output):
    """Refuse the first answer."""
    return (True, output.raw) if "better" in output.raw else (False, CANARY)


def test_no_text_is_in_any_file_we_write(tmp_path, caplog):
    """Prompts, answers, roles and descriptions with inputs, goals, backstories, tool arguments, results and errors."""
    folder = tmp_path / "ours"
    folder.mkdir()
    instrument(folder / "store.db")
    recorder = recorder_for(folder / "store.db")
    with ModelServer() as server:
        world = World(server, interceptor=tc_crewai.TrackingInterceptor())
        server.push(Step(tool_calls=[("look_up", {"what": CANARY})]), Step(tool_calls=[("broken", {})]))
        server.push(Step(text=CANARY), Step(text="better"))
        agent = world.agent("Expert for {topic}", goal=CANARY, backstory=CANARY, tools=[look_up, broken_tool])
        task = {"description": f"{CANARY} {{topic}}", "expected_output": CANARY, "guardrail": refuse_once}
        world.crew(agent, tasks=[world.task(agent, name=None, **task)]).kickoff(inputs={"topic": CANARY})
        server.push(Step(status=400, text=f"what is {CANARY}?"))
        with pytest.raises(Exception, match=CANARY):
            world.llm().call(CANARY)
        world.agent("Helper", goal=CANARY).kickoff(CANARY)
        server.push(Step(text=CANARY, no_usage=True))
        world.llm().call(f"{CANARY} without usage, so that it is counted here")
        crewai_event_bus.flush()
        assert [path for path in folder.rglob("*.spool") if path.is_file()]
        assert_no_text(folder)
        recorder.drain()
        assert_no_text(folder)
    recorder.close()
    assert_no_text(folder)
    events = SQLiteStorage(folder / "store.db").query_events()
    assert len(events) > 10
    assert {event.agent_id for event in events} == {None, "Expert for {topic}", "Helper"}
    assert not [record for record in caplog.records if record.name.startswith("tc_") and CANARY in record.getMessage()]


def a_flow_that_fails(world):
    class Steps(Flow):
        @start()
        def ask(self):
            self.state["secret"] = CANARY
            return world.llm().call(CANARY)

        @listen(ask)
        def fail(self, answer):
            raise ValueError(f"{CANARY} {answer}")

    Steps().kickoff(inputs={"question": CANARY})


def a_crew_that_fails(world):
    world.server.push(*[Step(status=400, text=CANARY)] * 3)
    secret(world, world.agent(goal=CANARY, backstory=CANARY)).kickoff(inputs={"what": CANARY})


def a_guardrail_that_fails(world):
    def raises(_output):
        raise RuntimeError(CANARY)

    secret(world, world.agent(), guardrail=raises).kickoff()


def an_answer_that_cannot_be_read(world):
    world.server.push(Step(text=CANARY))
    world.llm().call(CANARY, response_model=Sum)


def a_delegation(world):
    asked = {"task": CANARY, "context": CANARY, "coworker": "Helper"}
    world.server.push(Step(tool_calls=[("delegate_work_to_coworker", asked)]), Step(text=CANARY), Step(text=CANARY))
    boss, helper = world.agent("Boss", allow_delegation=True, goal=CANARY), world.agent("Helper", backstory=CANARY)
    secret(world, boss, helper).kickoff()


def a_memory(world):
    world.server.push(Step(text=CANARY), Step(text=f'{{"memories": ["{CANARY}"]}}'))
    world.server.push(Step(text='{"suggested_scope": "/", "categories": [], "importance": 0.5}'))
    secret(world, world.agent(), memory=Memory(llm=world.llm(), embedder=world.embedder)).kickoff()


def knowledge(world):
    source = StringKnowledgeSource(content=CANARY)
    secret(world, world.agent(knowledge_sources=[source], embedder=world.embedder)).kickoff()


def secret(world, *agents, guardrail=None, **options):
    task = world.task(agents[0], name=None, description=CANARY, expected_output=CANARY, guardrail=guardrail)
    return world.crew(*agents, tasks=[task], **options)


@pytest.mark.parametrize(
    ("scenario", "fails"),
    [
        (a_flow_that_fails, True),
        (a_crew_that_fails, True),
        (a_guardrail_that_fails, True),
        (an_answer_that_cannot_be_read, True),
        (a_delegation, False),
        (a_memory, False),
        (knowledge, False),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_text_of_what_fails_is_handed_on_or_remembered_is_written(scenario, fails, world, tmp_path, caplog):
    folder = tmp_path / "ours"
    folder.mkdir()
    instrument(folder / "store.db")
    if fails:
        with pytest.raises(Exception, match="CANARY"):
            scenario(world)
    else:
        scenario(world)
    crewai_event_bus.flush()
    assert_no_text(folder)
    recorder_for(folder / "store.db").close()
    assert_no_text(folder)
    events = SQLiteStorage(folder / "store.db").query_events()
    assert ("error" in {event.status for event in events}) == fails
    assert not [record for record in caplog.records if record.name.startswith("tc_") and CANARY in record.getMessage()]


def assert_no_text(folder):
    needles = [CANARY.encode(), CANARY.encode("utf-16-le")]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), f"{path} holds the text of a prompt"


def test_a_tool_that_fails_has_the_name_of_its_error(world, store):
    world.server.push(Step(tool_calls=[("broken", {})]), ADD)
    world.crew(world.agent(tools=[broken_tool, add])).kickoff()
    broken, good = store.query_events({"event_type": "tool"})
    assert (broken.name, broken.status, good.name, good.status) == ("broken", "error", "add", "ok")
