"""What does not come to its end, or does not say what it took."""

import asyncio
import gc
from contextlib import suppress

import pytest
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step

from tc_core import async_tracking_client, tracking_client
from tc_core.demo.script import Step
from tc_core.runtime.recorders import recorder_for
from tc_llamaindex.spans import Spans
from tc_llamaindex.streams import Streams
from tests.llamaindex.scenarios import MESSAGES, function_agent

HELLO = [ChatMessage(content="hello there")]


def nothing_is_open(store):
    recorder = recorder_for(store)
    spans = Spans.of(recorder)
    return not (recorder._open or spans.open or spans.generators or Streams.of(recorder).open)


def test_an_error_is_recorded_without_usage_and_costs_nothing(server, make, store, truth):
    server.push(Step(status=400))
    with pytest.raises(Exception, match="scripted error"):
        make.chat().chat(HELLO)
    truth(store)
    (event,) = store.query_events()
    assert (event.status, event.error_type) == ("error", "BadRequestError")
    assert (event.input_tokens, event.cost) == (None, None)
    assert store.totals()[()].unpriced == 0


def test_a_stream_that_fails_at_its_first_piece(server, make, store, truth):
    server.push(Step(status=400))
    with pytest.raises(Exception, match="scripted error"):
        list(make.chat().stream_chat(HELLO))
    truth(store)
    (event,) = store.query_events()
    assert (event.status, event.error_type, event.cost) == ("error", "BadRequestError", None)
    assert nothing_is_open(store)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_stream_without_usage_is_estimated_and_says_so(make, store, truth, way):
    model = make.chat(additional_kwargs={})
    if way == "sync":
        list(model.stream_chat(HELLO))
    else:
        assert [piece async for piece in await model.astream_chat(HELLO)]
    truth(store, estimated=1)
    (event,) = store.query_events()
    # "hello there" is 2 tokens, a message adds 4 and the reply 3; the answer repeats: "You said: hello there" is 5.
    assert (event.input_tokens, event.output_tokens, event.usage_source, event.status) == (9, 5, "exact", "ok")


async def test_agents_stream_so_that_their_tokens_are_estimated_unless_asked_for(server, make, store, truth):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    await function_agent(make, llm=make.chat(additional_kwargs={})).run("one and two?")
    truth(store, estimated=2)


@pytest.mark.parametrize("end", ["closed", "dropped"])
def test_a_stream_that_is_left_early_is_estimated_from_what_came(server, make, store, end):
    server.push(Step(text="one two three four five six seven eight"))
    stream = make.chat().stream_chat(HELLO)
    received = [next(stream).delta for _ in range(3)]
    if end == "closed":
        stream.close()
    del stream
    (event,) = store.query_events()
    assert "".join(received) == "one two "
    assert (event.status, event.error_type) == ("closed", "GeneratorExit")
    assert (event.usage_source, event.output_tokens) == ("exact", 3)
    assert nothing_is_open(store)


@pytest.mark.parametrize("end", ["closed", "dropped"])
async def test_an_asynchronous_stream_that_is_left_early(server, make, store, end):
    server.push(Step(text="one two three four five six seven eight"))
    stream = await make.chat().astream_chat(HELLO)
    for _ in range(3):
        await anext(stream)
    if end == "closed":
        await stream.aclose()
    del stream
    gc.collect()
    await asyncio.sleep(0)
    (event,) = store.query_events()
    assert (event.status, event.usage_source, event.output_tokens) == ("closed", "exact", 3)
    assert nothing_is_open(store)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_stream_that_nobody_reads_is_abandoned_and_costs_nothing(server, make, store, way):
    model = make.chat()
    stream = model.stream_chat(HELLO) if way == "sync" else await model.astream_chat(HELLO)
    assert not nothing_is_open(store)
    del stream
    gc.collect()
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.cost) == ("abandoned", None, None)
    assert server.exchanges == []
    assert nothing_is_open(store)


def test_a_streamed_answer_that_nobody_reads_leaves_nothing_behind(make, store):
    answer = make.index().as_query_engine(llm=make.chat(), streaming=True).query("who?")
    assert not nothing_is_open(store)
    del answer
    gc.collect()
    assert nothing_is_open(store)


def test_a_connection_that_breaks_is_estimated(server, make, store):
    server.push(Step(text="one two three four", cut_after=2))
    with suppress(Exception):
        list(make.chat().stream_chat(HELLO))
    (event,) = store.query_events()
    assert (event.usage_source, event.output_tokens) == ("exact", 3)


def test_a_connection_that_breaks_in_the_responses_api_is_estimated(server, make, store):
    server.push(Step(text="one two three four", cut_after=2))
    with suppress(Exception):
        list(make.responses().stream_chat(HELLO))
    (event,) = store.query_events()
    assert event.usage_source == "exact"
    assert event.output_tokens >= 2


def test_an_answer_without_usage_is_estimated(server, make, store, truth):
    server.push(Step(text="hello", no_usage=True), Step(text="hello", no_usage=True))
    make.chat().chat(HELLO)
    make.chat().complete("hello there")
    truth(store, estimated=2)
    assert {event.output_tokens for event in store.query_events()} == {1}


def test_tools_weigh_in_an_estimate(server, make, store):
    from llama_index.core.tools import FunctionTool

    from tests.llamaindex.scenarios import add

    server.push(*[Step(text="ok", no_usage=True)] * 2)
    make.chat().chat(HELLO)
    make.chat().chat_with_tools([FunctionTool.from_defaults(add)], "hello there")
    bare, with_tools = store.query_events()
    assert with_tools.input_tokens > bare.input_tokens + 20


def test_an_unknown_model_is_unpriced_not_free(make, store, truth):
    from llama_index.llms.openai_like import OpenAILike

    make.chat("acme-9", kind=OpenAILike, is_chat_model=True).chat(HELLO)
    truth(store)
    assert store.aggregate("cost") == {(): None}


def test_the_model_that_answered_sets_the_price(server, make, store):
    from llama_index.llms.openai_like import OpenAILike

    server.push(Step(text="ok", model="gpt-4o-mini-2024-07-18", usage={"prompt": 1000, "completion": 0}))
    make.chat("my-deployment", kind=OpenAILike, is_chat_model=True).chat(HELLO)
    (event,) = store.query_events()
    assert (event.model, event.served_model, event.cost_nanos) == ("my-deployment", "gpt-4o-mini-2024-07-18", 150_000)


# Cancelled


async def test_a_call_that_is_cancelled(server, make, store):
    server.push(Step(delay=3))
    task = asyncio.create_task(make.chat().achat(HELLO))
    while not server.exchanges and not recorder_for(store)._open:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (event,) = store.query_events()
    assert (event.status, event.error_type) == ("cancelled", "CancelledError")
    assert event.usage_source == "exact"  # the prompt was sent, so that it is estimated
    assert nothing_is_open(store)


async def test_an_agent_that_is_cancelled(server, make, store):
    server.push(Step(delay=3))
    handler = function_agent(make).run("hello")
    while not any(key.startswith("OpenAI.") for key in recorder_for(store)._open):
        await asyncio.sleep(0.01)
    await handler.cancel_run()
    with suppress(Exception):
        await handler
    assert [(event.event_type, event.status) for event in store.query_events()] == [
        ("agent", "cancelled"),
        ("llm_call", "cancelled"),
    ]
    assert nothing_is_open(store)


async def test_a_workflow_that_takes_too_long(server, make, store):
    class Slow(Workflow):
        @step
        async def wait(self, ev: StartEvent) -> StopEvent:
            await make.chat().achat(HELLO)
            return StopEvent()

    server.push(Step(delay=3))
    with pytest.raises(Exception, match="timed out"):
        await Slow(timeout=0.2).run()
    await asyncio.sleep(0.05)
    assert [(event.event_type, event.status, event.error_type) for event in store.query_events()] == [
        ("workflow", "error", "WorkflowTimeoutError"),
        ("task", "cancelled", None),
        ("llm_call", "cancelled", "CancelledError"),
    ]
    assert nothing_is_open(store)


async def test_a_handoff_that_fails_ends_the_turn_too(server, make, store):
    from llama_index.core.agent.workflow import AgentWorkflow

    server.push(Step(status=500))
    with suppress(Exception):
        await AgentWorkflow(agents=[function_agent(make, "alice")], root_agent="alice").run("go")
    assert {event.status for event in store.query_events()} == {"error"}
    assert [event.name for event in store.query_events({"event_type": "agent"})] == ["alice"]
    assert nothing_is_open(store)


# Retries of the client library


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_the_retries_of_the_client_library_are_attempts_of_one_call(server, make, store, way):
    server.push(Step(status=500), Step(status=429), Step(text="at last"))
    model = make.chat(
        max_retries=3, http_client=tracking_client(), async_http_client=async_tracking_client(), timeout=10
    )
    await (model.achat(HELLO) if way == "async" else asyncio.to_thread(model.chat, HELLO))
    (event,) = store.query_events()
    (answered,) = [exchange for exchange in server.exchanges if exchange.tokens]
    assert (event.status, event.input_tokens) == ("ok", answered.tokens.prompt)
    assert [each.status for each in store.attempts(event.event_id)] == [500, 429, 200]
    assert store.totals()[()].calls == 1


# Models of one's own


class Own(CustomLLM):
    """A model that somebody wrote, with the least that LlamaIndex asks for."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="own-1")

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="Thought: I can answer.\nAnswer: 3")

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        text = ""
        for piece in ("Thought: I can answer.", "\nAnswer: 3"):
            text += piece
            yield CompletionResponse(text=text, delta=piece)


async def test_an_agent_with_a_model_of_ones_own_counts_each_request_once(store):
    assert str(await ReActAgent(tools=[], llm=Own()).run("one and two?")) == "3"
    (call,) = store.query_events({"event_type": "llm_call"})
    assert (call.model, call.depth, call.status, call.provider) == ("own-1", 1, "ok", None)
    assert call.output_tokens > 5
    assert nothing_is_open(store)


async def test_a_model_of_ones_own_around_another_leaves_the_request_to_that(server, make, store, truth):
    class Around(Own):
        def complete(self, prompt, formatted=False, **kwargs):
            return make.chat().complete(prompt)

    Around().chat(MESSAGES)
    truth(store)
    assert [(event.event_type, event.model) for event in store.query_events()] == [
        ("task", None),
        ("llm_call", "gpt-4o-mini"),
    ]


# Streams pulled by several tasks


@pytest.mark.parametrize("begin", ["here", "in a task"])
@pytest.mark.parametrize("pull", [asyncio.create_task, lambda piece: asyncio.wait_for(piece, 5)], ids=["task", "limit"])
async def test_a_stream_that_several_tasks_pull_is_one_whole_call(make, store, truth, begin, pull):
    asked = make.chat(additional_kwargs={}).astream_chat(HELLO)
    stream = await (asked if begin == "here" else asyncio.create_task(asked))
    with suppress(StopAsyncIteration):
        while True:
            await pull(anext(stream))
    truth(store, estimated=1)
    (event,) = store.query_events()
    assert (event.status, event.error_type, event.output_tokens) == ("ok", None, 5)  # "You said: hello there"
    assert nothing_is_open(store)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_held", [False, True], ids=["thrown away", "held"])
def test_a_loop_that_closes_none_of_its_streams(server, make, store, is_held):
    server.push(Step(text="one two three four five six seven eight"))
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(make.chat().astream_chat(HELLO))
    for _ in range(3):
        loop.run_until_complete(anext(stream))
    loop.close()
    if not is_held:
        del stream
        gc.collect()
        assert nothing_is_open(store)  # at once
    (event,) = store.query_events()
    assert (event.status, event.usage_source, event.output_tokens) == ("closed", "exact", 3)
    assert nothing_is_open(store)
