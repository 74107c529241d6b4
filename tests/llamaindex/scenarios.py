"""The table of scenarios: what a program may do with LlamaIndex, each against the model server."""

import asyncio
import json
from contextlib import suppress

from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.evaluation import FaithfulnessEvaluator
from llama_index.core.llms import ChatMessage
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine, RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_fixed

from tc_core import async_tracking_client, tracking_client
from tc_core.demo.script import Step

MESSAGES = [ChatMessage(content="hello there world")]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def function_agent(make, name="calculator", tools=(add,), **options):
    options = {"description": "Calculates.", "llm": make.chat(), **options}
    return FunctionAgent(name=name, tools=list(tools), **options)


class Sum(BaseModel):
    """A sum."""

    a: int
    b: int


# One call, in every way to make it


async def chat(make, server):
    make.chat().chat(MESSAGES)


async def chat_asynchronously(make, server):
    await make.chat().achat(MESSAGES)


async def chat_streamed(make, server):
    assert len(list(make.chat().stream_chat(MESSAGES))) > 3


async def chat_streamed_asynchronously(make, server):
    assert [piece async for piece in await make.chat().astream_chat(MESSAGES)]


async def completion(make, server):
    make.chat().complete("hello there")


async def completion_asynchronously(make, server):
    await make.chat().acomplete("hello there")


async def completion_streamed(make, server):
    assert list(make.chat().stream_complete("hello there"))


async def completion_model(make, server):
    model = make.chat("gpt-3.5-turbo-instruct", max_tokens=20)
    model.complete("hello there")
    await model.acomplete("hello there")


async def with_cached_and_reasoning_tokens(make, server):
    server.push(Step(text="ok", usage={"prompt": 1000, "completion": 300, "cached": 800, "reasoning": 250}))
    server.push(Step(text="ok", usage={"prompt": 1000, "completion": 300, "cached": 800, "reasoning": 250}))
    make.chat("o3").chat(MESSAGES)
    list(make.chat("o3").stream_chat(MESSAGES))


async def responses_api(make, server):
    make.responses().chat(MESSAGES)
    await make.responses().achat(MESSAGES)


async def responses_api_streamed(make, server):
    list(make.responses().stream_chat(MESSAGES))
    assert [piece async for piece in await make.responses().astream_chat(MESSAGES)]


async def openai_like(make, server):
    model = make.chat("acme-1", kind=OpenAILike, is_chat_model=True)
    model.chat(MESSAGES)
    await model.achat(MESSAGES)
    model.complete("hello there")
    list(model.stream_chat(MESSAGES))


async def openai_like_without_chats(make, server):
    model = make.chat("acme-1", kind=OpenAILike, is_chat_model=False, max_tokens=20)
    model.chat(MESSAGES)
    await model.achat(MESSAGES)


async def predicted(make, server):
    template = PromptTemplate("what is {it}?")
    make.chat().predict(template, it="this")
    await make.chat().apredict(template, it="this")
    assert "".join(make.chat().stream(template, it="this"))


async def structured_prediction(make, server):
    server.push(Step(text='{"a": 1, "b": 2}'), Step(text='{"a": 1, "b": 2}'))
    assert make.chat().structured_predict(Sum, PromptTemplate("add {it}"), it="one and two").b == 2
    await make.chat().astructured_predict(Sum, PromptTemplate("add {it}"), it="one and two")


async def structured_prediction_with_tools(make, server):
    server.push(Step(tool_calls=[("Sum", {"a": 1, "b": 2})]), Step(tool_calls=[("Sum", {"a": 1, "b": 2})]))
    model = make.chat("gpt-4")
    assert model.structured_predict(Sum, PromptTemplate("add {it}"), it="one and two").b == 2
    assert list(model.stream_structured_predict(Sum, PromptTemplate("add {it}"), it="one and two"))


async def a_structured_model(make, server):
    server.push(Step(text='{"a": 1, "b": 2}'), Step(text='{"a": 1, "b": 2}'))
    model = make.chat().as_structured_llm(Sum)
    assert model.chat(MESSAGES).raw.b == 2
    await model.achat(MESSAGES)


async def a_structured_answer_that_cannot_be_read(make, server):
    server.push(Step(text="not JSON"))
    with suppress(ValueError):
        make.chat().structured_predict(Sum, PromptTemplate("add {it}"), it="one and two")


async def tools_given(make, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]), Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    tool = FunctionTool.from_defaults(add)
    make.chat().chat_with_tools([tool], "one and two")
    assert make.chat().predict_and_call([tool], "one and two").response == "3"


async def side_by_side(make, server):
    model = make.chat()
    await asyncio.gather(*(model.achat(MESSAGES) for _ in range(5)))
    list(zip(model.stream_chat(MESSAGES), model.stream_chat(MESSAGES), strict=True))


# Embeddings, retrieval and synthesis


async def embeddings(make, server):
    model = make.embed(embed_batch_size=2)
    model.get_text_embedding_batch(["one", "two and", "three and more"])
    model.get_query_embedding("why?")
    model.get_text_embedding("because")
    await model.aget_query_embedding("why?")
    await model.aget_text_embedding_batch(["one", "two"])


async def a_query_engine(make, server):
    make.index().as_query_engine(llm=make.chat()).query("who was first?")


async def a_query_engine_asynchronously(make, server):
    await make.index().as_query_engine(llm=make.chat()).aquery("who was first?")


async def refining(make, server):
    make.index().as_query_engine(llm=make.chat(), response_mode="refine", similarity_top_k=3).query("who?")


async def refining_asynchronously(make, server):
    engine = make.index().as_query_engine(llm=make.chat(), response_mode="refine", similarity_top_k=3)
    await engine.aquery("who?")


async def summarising_in_a_tree(make, server):
    make.index().as_query_engine(llm=make.chat(), response_mode="tree_summarize").query("who?")


async def accumulating(make, server):
    engine = make.index().as_query_engine(llm=make.chat(), response_mode="accumulate", similarity_top_k=3)
    engine.query("who?")
    await engine.aquery("who?")


async def a_query_streamed(make, server):
    answer = make.index().as_query_engine(llm=make.chat(), streaming=True).query("who was first?")
    assert "".join(answer.response_gen)


async def a_query_streamed_asynchronously(make, server):
    answer = await make.index().as_query_engine(llm=make.chat(), streaming=True).aquery("who was first?")
    assert [piece async for piece in answer.async_response_gen()]


async def reranking(make, server):
    server.push(Step(text="Doc: 2, Relevance: 9\nDoc: 1, Relevance: 3"))
    rerank = LLMRerank(llm=make.chat(), top_n=1)
    make.index().as_query_engine(llm=make.chat(), node_postprocessors=[rerank]).query("who came after?")


async def fusing_queries(make, server):
    server.push(Step(text="who came first?\nwho came last?"))
    retriever = QueryFusionRetriever(
        [make.index().as_retriever()], llm=make.chat(), num_queries=3, use_async=False, similarity_top_k=2
    )
    synthesizer = get_response_synthesizer(llm=make.chat())
    RetrieverQueryEngine(retriever, synthesizer).query("who?")


async def sub_questions(make, server):
    tool = QueryEngineTool.from_defaults(
        make.index().as_query_engine(llm=make.chat()), name="shelf", description="Knows."
    )
    asked = [{"sub_question": f"who {it}?", "tool_name": "shelf"} for it in ("came", "went")]
    server.push(Step(text=json.dumps({"items": asked})))
    engine = SubQuestionQueryEngine.from_defaults(
        [tool],
        llm=make.chat(),
        question_gen=LLMQuestionGenerator.from_defaults(llm=make.chat()),
        response_synthesizer=get_response_synthesizer(llm=make.chat()),
        use_async=False,
        verbose=False,
    )
    engine.query("who came and went?")


async def routing(make, server):
    server.push(Step(text='[{"choice": 1, "reason": "it fits"}]'))
    tool = QueryEngineTool.from_defaults(make.index().as_query_engine(llm=make.chat()), description="Knows.")
    other = QueryEngineTool.from_defaults(
        make.summary_index("Delta.").as_query_engine(llm=make.chat()), description="No."
    )
    selector = LLMSingleSelector.from_defaults(llm=make.chat())
    RouterQueryEngine(selector, [tool, other], llm=make.chat()).query("who?")


async def evaluating(make, server):
    server.push(Step(text="answer"), Step(text="YES"))
    engine = make.summary_index("Alpha was first.").as_query_engine(llm=make.chat())
    response = engine.query("who?")
    await FaithfulnessEvaluator(llm=make.chat()).aevaluate_response(response=response)


async def a_chat_engine(make, server):
    engine = make.index().as_chat_engine(chat_mode="context", llm=make.chat())
    engine.chat("who was first?")
    await engine.achat("and then?")


async def a_chat_engine_streamed(make, server):
    engine = make.index().as_chat_engine(chat_mode="condense_plus_context", llm=make.chat())
    engine.chat("who was first?")
    assert "".join(engine.stream_chat("and then?").response_gen)


async def a_simple_chat_engine(make, server):
    from llama_index.core.chat_engine import SimpleChatEngine

    engine = SimpleChatEngine.from_defaults(llm=make.chat())
    engine.chat("hello")
    assert "".join(engine.stream_chat("and then?").response_gen)


# Agents and workflows


async def an_agent(make, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})]))
    await function_agent(make).run("one and two?")


async def an_agent_that_does_not_stream(make, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    await function_agent(make, streaming=False).run("one and two?")


async def a_react_agent(make, server):
    server.push(
        Step(text='Thought: I need a tool.\nAction: add\nAction Input: {"a": 1, "b": 2}'),
        Step(text="Thought: I can answer.\nAnswer: 3"),
    )
    await ReActAgent(name="thinker", tools=[add], llm=make.chat()).run("one and two?")


async def a_code_agent(make, server):
    server.push(Step(text="<execute>1 + 2</execute>"), Step(text="It is 3."))
    agent = CodeActAgent(code_execute_fn=lambda code: "3", name="coder", tools=[], llm=make.chat())
    await agent.run("one and two?")


async def a_handoff(make, server):
    server.push(
        Step(tool_calls=[("handoff", {"to_agent": "bob", "reason": "he can"})]),
        Step(tool_calls=[("add", {"a": 1, "b": 2})]),
        Step(text="done"),
    )
    alice = function_agent(make, "alice", can_handoff_to=["bob"])
    bob = function_agent(make, "bob", llm=make.chat("gpt-4o"))
    await AgentWorkflow(agents=[alice, bob], root_agent="alice").run("go")


async def an_agent_with_a_query_engine(make, server):
    engine = make.index().as_query_engine(llm=make.chat("gpt-4o"))
    tool = QueryEngineTool.from_defaults(engine, name="shelf", description="Knows who came.")
    server.push(Step(tool_calls=[("shelf", {"input": "who?"})]))
    await function_agent(make, "librarian", tools=[tool]).run("who was first?")


async def an_agent_inside_a_tool(make, server):
    colleague = function_agent(make, "colleague", tools=[], llm=make.chat("gpt-4o"))

    async def ask_colleague(question: str) -> str:
        """Ask somebody else."""
        return str(await colleague.run(question))

    server.push(Step(tool_calls=[("ask_colleague", {"question": "why?"})]))
    await function_agent(make, "boss", tools=[ask_colleague]).run("why?")


class Plan(Event):
    """What is to be done."""

    what: str


class Report(Workflow):
    """Plans, and writes down what it did."""

    def __init__(self, model, agent=None, **options):
        super().__init__(timeout=20, **options)
        self.model = model
        self.agent = agent

    @step
    def plan(self, ev: StartEvent) -> Plan:
        """Plan, in a thread."""
        return Plan(what=self.model.chat(MESSAGES).message.content)

    @step
    async def write(self, ctx: Context, ev: Plan) -> StopEvent:
        """Write."""
        answer = await (self.agent or self.model.as_structured_llm(Sum).llm).achat([ChatMessage(content=ev.what)])
        return StopEvent(result=str(answer))


async def a_workflow(make, server):
    await Report(make.chat()).run()


class Stubborn(Workflow):
    """Tries until it works."""

    def __init__(self, model):
        super().__init__(timeout=20)
        self.model = model

    @step(retry_policy=retry_policy(wait=wait_fixed(0.001), stop=stop_after_attempt(4)))
    async def insist(self, ev: StartEvent) -> StopEvent:
        """Ask until an answer comes."""
        return StopEvent(result=str(await self.model.achat(MESSAGES)))


async def retries_of_a_step(make, server):
    server.push(Step(status=500), Step(status=400))
    await Stubborn(make.chat()).run()


async def workflows_side_by_side(make, server):
    await asyncio.gather(*(Report(make.chat()).run() for _ in range(5)))


# What goes wrong


async def errors(make, server):
    server.push(Step(status=400), Step(status=500), Step(status=401), Step(status=429))
    with suppress(Exception):
        make.chat().chat(MESSAGES)
    with suppress(Exception):
        await make.chat().achat(MESSAGES)
    with suppress(Exception):
        list(make.chat().stream_chat(MESSAGES))
    with suppress(Exception):
        [piece async for piece in await make.chat().astream_chat(MESSAGES)]
    make.chat().chat(MESSAGES)


async def an_agent_whose_model_fails(make, server):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]), Step(status=500))
    with suppress(Exception):
        await function_agent(make).run("one and two?")


async def a_tracking_client(make, server):
    model = make.chat(http_client=tracking_client(), async_http_client=async_tracking_client())
    model.chat(MESSAGES)
    await model.achat(MESSAGES)
    list(model.stream_chat(MESSAGES))


SCENARIOS = [
    chat,
    chat_asynchronously,
    chat_streamed,
    chat_streamed_asynchronously,
    completion,
    completion_asynchronously,
    completion_streamed,
    completion_model,
    with_cached_and_reasoning_tokens,
    responses_api,
    responses_api_streamed,
    openai_like,
    openai_like_without_chats,
    predicted,
    structured_prediction,
    structured_prediction_with_tools,
    a_structured_model,
    a_structured_answer_that_cannot_be_read,
    tools_given,
    side_by_side,
    embeddings,
    a_query_engine,
    a_query_engine_asynchronously,
    refining,
    refining_asynchronously,
    summarising_in_a_tree,
    accumulating,
    a_query_streamed,
    a_query_streamed_asynchronously,
    reranking,
    fusing_queries,
    sub_questions,
    routing,
    evaluating,
    a_chat_engine,
    a_chat_engine_streamed,
    a_simple_chat_engine,
    an_agent,
    an_agent_that_does_not_stream,
    a_react_agent,
    a_code_agent,
    a_handoff,
    an_agent_with_a_query_engine,
    an_agent_inside_a_tool,
    a_workflow,
    retries_of_a_step,
    workflows_side_by_side,
    errors,
    an_agent_whose_model_fails,
    a_tracking_client,
]
