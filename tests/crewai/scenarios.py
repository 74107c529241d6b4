"""The table of scenarios: what a program may do with CrewAI, each against the model server."""

import asyncio
import json
import threading

import pytest
from crewai import BaseLLM, Process
from crewai.events.types.llm_events import LLMCallType
from crewai.flow.flow import Flow, and_, listen, or_, router, start
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.llms.base_llm import llm_call_context
from crewai.memory.unified_memory import Memory
from crewai.tools import tool
from pydantic import BaseModel

from tc_core.demo.script import Step


@tool("add")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Sum(BaseModel):
    """An answer with a structure."""

    value: int


SCENARIOS = []
"""All of which CrewAI tells what the provider reports."""


def scenario(function):
    """Put a function into the table."""
    SCENARIOS.append(function)
    return function


ADD = Step(tool_calls=[("add", {"a": 1, "b": 2})])
DELEGATE = Step(tool_calls=[("delegate_work_to_coworker", {"task": "part", "context": "all", "coworker": "Helper"})])
VALID = Step(text='{"valid": true, "feedback": null}')
INVALID = Step(text='{"valid": false, "feedback": "too short"}')


# One call, in every way to make it


@scenario
def plain(world):
    world.llm().call("hello there")


@scenario
def several_messages(world):
    world.llm().call([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why?"}])


@scenario
async def asynchronous(world):
    await world.llm().acall("hello there")


@scenario
def streamed(world):
    world.llm(stream=True).call("hello there world")


@scenario
async def asynchronously_streamed(world):
    await world.llm(stream=True).acall("hello there world")


@scenario
def responses_api(world):
    world.llm(api="responses").call("hello there")


@scenario
def responses_api_streamed(world):
    world.llm(api="responses", stream=True).call("hello there")


@scenario
def with_cached_and_reasoning_tokens(world):
    world.server.push(Step(text="ok", usage={"prompt": 1000, "completion": 300, "cached": 800, "reasoning": 250}))
    world.llm("openai/o3").call("hello")


@scenario
def structured_output_of_a_model(world):
    world.server.push(Step(text='{"value": 3}'))
    world.llm().call("one and two", response_model=Sum)


@scenario
def tools_of_a_model(world):
    world.server.push(ADD)
    schema = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    world.llm().call("one and two", tools=[schema])


@scenario
def an_error(world):
    world.server.push(Step(status=400))
    with pytest.raises(Exception, match="400"):
        world.llm().call("hello")


@scenario
def rate_limits(world):
    world.server.push(Step(status=429), Step(status=429))
    world.llm().call("hello")


@scenario
def threads(world):
    workers = [threading.Thread(target=lambda: world.llm().call("hello")) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


# Crews


@scenario
def a_crew(world):
    world.crew().kickoff()


@scenario
def a_crew_of_two_with_one_model(world):
    llm = world.llm()
    world.crew(world.agent("Researcher", llm=llm), world.agent("Writer", llm=llm)).kickoff()


@scenario
async def a_crew_asynchronously(world):
    await world.crew().kickoff_async()


@scenario
async def a_native_asynchronous_crew(world):
    await world.crew().akickoff()


@scenario
async def crews_side_by_side(world):
    await asyncio.gather(*(world.crew().akickoff() for _ in range(3)))


@scenario
def a_crew_for_each_input(world):
    agent = world.agent("Expert for {topic}")
    crew = world.crew(agent, tasks=[world.task(agent, description="About {topic}")])
    crew.kickoff_for_each(inputs=[{"topic": "sea"}, {"topic": "sky"}])


@scenario
def a_crew_kicked_off_twice(world):
    crew = world.crew()
    crew.kickoff()
    crew.kickoff()


@scenario
def a_streaming_crew(world):
    output = world.crew(stream=True).kickoff()
    for _ in output:
        pass


@scenario
def tasks_that_run_side_by_side(world):
    agents = [world.agent("North"), world.agent("South")]
    tasks = [world.task(agent, name=agent.role, async_execution=True) for agent in agents]
    last = world.agent("Editor")
    world.crew(*agents, last, tasks=[*tasks, world.task(last, name="sum", context=tasks)]).kickoff()


@scenario
def an_agent_with_a_tool(world):
    world.server.push(ADD)
    agent = world.agent(tools=[add])
    world.crew(agent).kickoff()


@scenario
def a_tool_whose_result_is_cached(world):
    world.server.push(ADD, ADD)
    agent = world.agent(tools=[add], cache=True)
    world.crew(agent, cache=True).kickoff()


@scenario
def delegation(world):
    world.server.push(DELEGATE, Step(text="the part"), Step(text="the whole"))
    boss, helper = world.agent("Boss", allow_delegation=True), world.agent("Helper")
    world.crew(boss, helper, tasks=[world.task(boss)]).kickoff()


@scenario
def a_hierarchy(world):
    world.server.push(DELEGATE, Step(text="the part"), Step(text="the whole"))
    manager = world.llm("openai/gpt-4o")
    task = world.task()
    world.crew(world.agent("Helper"), tasks=[task], process=Process.hierarchical, manager_llm=manager).kickoff()


def first_is_refused(output):
    """Refuse the first answer."""
    return (True, output.raw) if "better" in output.raw else (False, "too short")


@scenario
def a_guardrail(world):
    world.server.push(Step(text="bad"), Step(text="better"))
    agent = world.agent()
    world.crew(agent, tasks=[world.task(agent, guardrail=first_is_refused)]).kickoff()


@scenario
def a_guardrail_that_asks_a_model(world):
    world.server.push(Step(text="bad"), INVALID, Step(text="better"), VALID)
    agent = world.agent()
    world.crew(agent, tasks=[world.task(agent, guardrail="must be long")]).kickoff()


@scenario
def structured_output_of_a_task(world):
    world.server.push(Step(text='{"value": 3}'), Step(text='{"value": 3}'))
    agent = world.agent()
    world.crew(agent, tasks=[world.task(agent, output_pydantic=Sum)]).kickoff()


@scenario
def an_agent_that_tries_again(world):
    world.server.push(Step(status=400))
    world.crew().kickoff()


@scenario
def planning(world):
    plan = {"list_of_plans_per_task": [{"task_number": 1, "task": "look-up", "plan": "look"}]}
    world.server.push(Step(text=json.dumps(plan)))
    world.crew(planning=True, planning_llm=world.llm("openai/gpt-4o")).kickoff()


# Agents and flows


@scenario
def an_agent_alone(world):
    world.agent().kickoff("hello")


@scenario
async def an_agent_alone_asynchronously(world):
    await world.agent().kickoff_async("hello")


@scenario
def an_agent_alone_with_a_guardrail(world):
    world.server.push(Step(text="bad"), Step(text="better"))
    world.agent(guardrail=first_is_refused).kickoff("hello")


def report(world):
    """Make a flow with a router, a crew, an agent and a model."""

    class Report(Flow):
        @start()
        def ask(self):
            return world.llm().call("what?")

        @router(ask)
        def choose(self):
            return "long"

        @listen("long")
        def research(self):
            return world.crew().kickoff().raw

        @listen(or_(ask, "never"))
        async def write(self):
            return (await world.agent("Writer").kickoff_async("write")).raw

        @listen(and_(research, write))
        def finish(self):
            return world.llm("openai/gpt-4o").call("done?")

    return Report()


@scenario
async def a_flow(world):
    await report(world).kickoff_async()


@scenario
async def a_flow_in_a_thread(world):
    await asyncio.to_thread(report(world).kickoff)


# Memory and knowledge


@scenario
def with_exact_embeddings(world):
    import tc_crewai

    remember = Step(text='{"memories": []}')
    memory = Memory(llm=world.llm(), embedder=tc_crewai.tracked_embedder(world.embedder))
    world.server.push(Step(text="found"), remember)
    world.crew(memory=memory).kickoff()


@scenario
def knowledge_with_exact_embeddings(world):
    import tc_crewai

    embedder = tc_crewai.tracked_embedder(world.embedder)
    source = StringKnowledgeSource(content="The sky is blue.")
    world.crew(world.agent(knowledge_sources=[source], embedder=embedder)).kickoff()


def failures_that_crewai_tells_twice(world):
    """The second time takes the scope above for the call's own: parents and pairs go wrong from there on."""
    world.server.push(Step(text="found"), Step(text="no JSON"), Step(text="no JSON"), ADD)
    memory = Memory(llm=world.llm(), embedder=world.embedder)
    agents = [world.agent("Researcher"), world.agent("Writer", tools=[add])]
    world.crew(*agents, memory=memory).kickoff()


class ByHand(BaseLLM):
    """A model of a user's own, which emits its events itself."""

    inner: BaseLLM

    def call(self, messages, tools=None, callbacks=None, available_functions=None, from_task=None, **more):
        asked = messages if isinstance(messages, str) else messages[-1]["content"]
        with llm_call_context():
            said = {"from_task": from_task, "from_agent": more.get("from_agent")}
            self._emit_call_started_event(messages=messages, **said)
            answer = self.inner._client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": asked}]
            )
            usage = answer.usage.model_dump()
            text = answer.choices[0].message.content
            self._emit_call_completed_event(
                response=text, call_type=LLMCallType.LLM_CALL, messages=messages, usage=usage, **said
            )
        return text


@scenario
def a_model_that_emits_by_hand(world):
    ByHand(model="gpt-4o-mini", inner=world.llm()).call("hello there")


# Where CrewAI loses usage


def a_function_that_the_model_runs(world):
    world.server.push(ADD)
    schema = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    world.llm().call("one and two", tools=[schema], available_functions={"add": lambda a, b: a + b})


def an_agent_that_plans_its_steps(world):
    step = {"step_number": 1, "description": "look", "tool_to_use": None, "depends_on": []}
    world.server.push(Step(tool_calls=[("create_reasoning_plan", {"plan": "look", "steps": [step], "ready": True})]))
    seen = {"step_completed_successfully": True, "key_information_learned": "all", "remaining_plan_still_valid": True}
    world.server.push(Step(text="seen"), Step(text=json.dumps(seen)), Step(text="done"))
    world.crew(world.agent(reasoning=True, max_iter=3)).kickoff()


def no_usage(world):
    world.server.push(Step(text="hello", no_usage=True))
    world.llm().call("hello there")


def a_stream_that_breaks(world):
    world.server.push(Step(text="one two three four", cut_after=2))
    world.llm(stream=True).call("hello")


def memory(world):
    world.server.push(Step(text="found"), Step(text='{"memories": ["the sky is blue"]}'))
    world.server.push(Step(text='{"suggested_scope": "/", "categories": [], "importance": 0.5}'))
    world.crew(memory=Memory(llm=world.llm(), embedder=world.embedder)).kickoff()


def knowledge(world):
    source = StringKnowledgeSource(content="The sky is blue.")
    world.crew(world.agent(knowledge_sources=[source], embedder=world.embedder)).kickoff()


ESTIMATED = {
    a_function_that_the_model_runs: 1,
    an_agent_that_plans_its_steps: 1,
    no_usage: 1,
    a_stream_that_breaks: 1,
    memory: 2,
}
