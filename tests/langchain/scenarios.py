"""The table of scenarios: what a program may do with LangChain, each against the model server."""

import asyncio

from langchain.agents import create_agent
from langchain.agents.middleware import (
    LLMToolSelectorMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
)
from langchain.tools import ToolRuntime
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import OpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

from tc_core.demo.script import Step


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def question(text="one and two?"):
    """Return what an agent is asked."""
    return {"messages": [HumanMessage(text)]}


# One call, in every way to make it


async def plain(chat, server):
    chat().invoke("hello there")


async def asynchronous(chat, server):
    await chat().ainvoke("hello there")


async def streamed(chat, server):
    assert len(list(chat(stream_usage=True).stream("hello there world"))) > 3


async def asynchronously_streamed(chat, server):
    assert [chunk async for chunk in chat(stream_usage=True).astream("hello there world")]


async def batched(chat, server):
    chat().batch(["one", "two", "three"], config={"max_concurrency": 2})


async def asynchronously_batched(chat, server):
    await chat().abatch(["one", "two", "three"])


async def several_candidates(chat, server):
    chat(n=3).invoke("hello")


async def with_cached_and_reasoning_tokens(chat, server):
    server.push(Step(text="ok", usage={"prompt": 1000, "completion": 300, "cached": 800, "reasoning": 250}))
    chat("o3").invoke("hello")


async def responses_api(chat, server):
    chat(use_responses_api=True).invoke("hello there")


async def responses_api_streamed(chat, server):
    list(chat(use_responses_api=True).stream("hello there"))


async def completion_model(chat, server):
    OpenAI(model="gpt-3.5-turbo-instruct", base_url=server.base_url, api_key="x", max_retries=0).invoke("hello there")


async def several_prompts_of_a_completion_model(chat, server):
    model = OpenAI(model="gpt-3.5-turbo-instruct", base_url=server.base_url, api_key="x", max_retries=0, batch_size=1)
    model.generate(["one", "two and more"])


async def a_chain(chat, server):
    chain = (
        ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
        | chat()
        | StrOutputParser()
    )
    chain.invoke({"question": "why?"})


async def in_parallel(chat, server):
    RunnableParallel(a=chat("gpt-4o"), b=chat(), c=RunnableLambda(lambda text: chat().invoke(text).text)).invoke("go")


async def structured_output(chat, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    chat().with_structured_output(add.args_schema, method="function_calling").invoke("one and two")


async def tools_bound(chat, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    chat().bind_tools([add]).invoke("one and two")


async def an_agent(chat, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    create_agent(chat(), tools=[add]).invoke({"messages": [HumanMessage("one and two?")]})


async def an_agent_asynchronously(chat, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    await create_agent(chat(), tools=[add]).ainvoke({"messages": [HumanMessage("one and two?")]})


async def retries(chat, server):
    server.push(Step(status=500), Step(status=429))
    chat().with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke("hello")


async def fallbacks(chat, server):
    server.push(Step(status=500), Step(status=500))
    chat("gpt-4o").with_fallbacks([chat("gpt-4.1"), chat()]).invoke("hello")


async def retries_of_a_middleware(chat, server):
    server.push(Step(status=500), Step(tool_calls=[("add", {"a": 1, "b": 2})]), Step(status=429))
    create_agent(chat(), tools=[add], middleware=[ModelRetryMiddleware(initial_delay=0.01)]).invoke(question())


async def fallbacks_of_a_middleware(chat, server):
    server.push(Step(status=500), Step(status=500))
    spare = ModelFallbackMiddleware(chat("gpt-4.1"), chat())
    await create_agent(chat("gpt-4o"), tools=[add], middleware=[spare]).ainvoke(question())


async def a_summary_of_a_middleware(chat, server):
    summary = SummarizationMiddleware(chat("gpt-4o"), trigger=("messages", 2), keep=("messages", 1))
    messages = [("human", "one"), ("ai", "two"), ("human", "three")]
    create_agent(chat(), tools=[], middleware=[summary]).invoke({"messages": messages})


async def tools_chosen_by_a_middleware(chat, server):
    server.push(Step(text='{"tools": ["add"]}'))
    chosen = LLMToolSelectorMiddleware(model=chat("gpt-4o"), max_tools=1)
    create_agent(chat(), tools=[add], middleware=[chosen]).invoke(question())


async def an_agent_inside_a_tool(chat, server):
    @tool
    def ask_colleague(what: str) -> str:
        """Ask another agent."""
        return create_agent(chat(), tools=[], name="colleague").invoke(question(what))["messages"][-1].text

    server.push(Step(tool_calls=[("ask_colleague", {"what": "why"}), ("ask_colleague", {"what": "how"})]))
    create_agent(chat("gpt-4o"), tools=[ask_colleague], name="boss").invoke(question())


async def a_tool_that_a_middleware_repeats(chat, server):
    attempts = []

    @tool
    def flaky(a: int) -> int:
        """Fail at first."""
        attempts.append(a)
        if len(attempts) < 3:
            raise TimeoutError
        return a

    server.push(Step(tool_calls=[("flaky", {"a": 1})]))
    again = ToolRetryMiddleware(max_retries=2, initial_delay=0.01)
    create_agent(chat(), tools=[flaky], middleware=[again]).invoke(question())


async def one_agent_hands_over_to_another(chat, server):
    @tool
    def ask_bob(runtime: ToolRuntime) -> Command:
        """Let Bob answer."""
        done = ToolMessage("Bob has it.", tool_call_id=runtime.tool_call_id)
        return Command(goto="bob", graph=Command.PARENT, update={"messages": [done]})

    server.push(Step(tool_calls=[("ask_bob", {})]))
    team = StateGraph(MessagesState)
    team.add_node("alice", create_agent(chat("gpt-4o"), tools=[ask_bob], name="alice"))
    team.add_node("bob", create_agent(chat(), tools=[], name="bob"))
    await team.add_edge(START, "alice").compile(name="team").ainvoke(question())


async def a_graph_that_fans_out(chat, server):
    graph = StateGraph(MessagesState)
    graph.add_node("worker", lambda state: {"messages": [chat().invoke(state["messages"])]})
    graph.add_conditional_edges(START, lambda _: [Send("worker", question(f"part {n}")) for n in range(3)], ["worker"])
    graph.compile().invoke(question())


async def a_node_that_is_tried_again(chat, server):
    server.push(Step(status=500))
    policy = RetryPolicy(initial_interval=0.01, retry_on=Exception)
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [chat().invoke("hello")]}, retry_policy=policy)
    graph.add_edge(START, "ask").compile().invoke(question())


async def the_functional_api(chat, server):
    @task
    async def ask(text):
        return (await chat().ainvoke(text)).text

    @entrypoint()
    async def flow(text):
        return await asyncio.gather(ask(text), ask(f"{text} again"))

    await flow.ainvoke("hello")


async def a_question_inside_a_tool_for_a_human(chat, server):
    @tool
    def ask() -> str:
        """Ask a human."""
        chat("gpt-4.1-mini").invoke("what do I ask?")
        return interrupt("may I?")

    server.push(Step(tool_calls=[("ask", {})]))
    agent = create_agent(chat(), tools=[ask], checkpointer=InMemorySaver(), name="asking")
    thread = {"configurable": {"thread_id": "T2"}}
    await agent.ainvoke(question(), thread)
    await agent.ainvoke(Command(resume="yes"), thread)


async def an_interrupt_and_its_answer(chat, server):
    def ask(state):
        chat().invoke("before")
        return {"messages": [chat().invoke(interrupt("may I?"))]}

    graph = StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "T1"}}
    graph.invoke(question(), thread)
    graph.invoke(Command(resume="yes"), thread)


async def the_messages_of_a_subgraph(chat, server):
    inner = StateGraph(MessagesState)
    inner.add_node("inner", lambda state: {"messages": [chat(stream_usage=True).invoke("from inside")]})
    outer = StateGraph(MessagesState)
    outer.add_node("sub", inner.add_edge(START, "inner").compile(name="subgraph"))
    graph = outer.add_edge(START, "sub").compile(name="outer")
    assert list(graph.stream(question(), stream_mode="messages", subgraphs=True))


async def events_of_an_agent(chat, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    agent = create_agent(chat(stream_usage=True), tools=[add])
    assert [event async for event in agent.astream_events(question(), version="v2")]


async def a_cheaper_service_tier(chat, server):
    chat("gpt-5", service_tier="flex").invoke("no hurry")
    list(chat("gpt-5", service_tier="flex", stream_usage=True).stream("no hurry"))
    chat("gpt-5", service_tier="flex", use_responses_api=True).invoke("no hurry")


async def tasks_side_by_side(chat, server):
    await asyncio.gather(*(create_agent(chat(), tools=[add]).ainvoke(question(f"{n} and {n}?")) for n in range(5)))


SCENARIOS = [
    plain,
    asynchronous,
    streamed,
    asynchronously_streamed,
    batched,
    asynchronously_batched,
    several_candidates,
    with_cached_and_reasoning_tokens,
    responses_api,
    responses_api_streamed,
    completion_model,
    several_prompts_of_a_completion_model,
    a_chain,
    in_parallel,
    structured_output,
    tools_bound,
    an_agent,
    an_agent_asynchronously,
    retries,
    fallbacks,
    retries_of_a_middleware,
    fallbacks_of_a_middleware,
    a_summary_of_a_middleware,
    tools_chosen_by_a_middleware,
    an_agent_inside_a_tool,
    an_interrupt_and_its_answer,
    the_messages_of_a_subgraph,
    a_tool_that_a_middleware_repeats,
    one_agent_hands_over_to_another,
    a_graph_that_fans_out,
    a_node_that_is_tried_again,
    the_functional_api,
    a_question_inside_a_tool_for_a_human,
    events_of_an_agent,
    a_cheaper_service_tier,
    tasks_side_by_side,
]
