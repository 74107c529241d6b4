"""Streams whose pieces are pulled by several tasks or threads: a call is over when it ends, or is broken off."""

import asyncio
import gc
from contextlib import suppress

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableParallel, RunnablePassthrough
from langchain_openai import OpenAI

from tc_core import CostTracker
from tc_core.demo.script import Step
from tc_core.runtime.recorders import recorder_for
from tc_langchain import TokenCalculatorCallback

ANSWER = "one two three four"
PROMPT = ChatPromptTemplate.from_template("{x}")


@pytest.fixture
def model(server, chat):
    """A model whose provider tells no usage; the answer comes in four pieces and an empty one."""
    server.push(*[Step(text=ANSWER, no_usage=True)] * 2)
    return chat(stream_usage=False)


def nothing_is_open(store):
    return not recorder_for(store)._open


async def pulled(stream, pull):
    """Return the text of a stream, each piece of which is pulled in the given way."""
    text = ""
    with suppress(StopAsyncIteration):
        while True:
            text += (await pull(stream)).text
    return text


async def a_task_for_each_piece(model):
    return await pulled(model.astream("x"), lambda stream: asyncio.create_task(anext(stream)))


async def a_limit_for_each_piece(model):
    return await pulled(model.astream("x"), lambda stream: asyncio.wait_for(anext(stream), 5))


async def assigned(model):
    chunks = RunnablePassthrough.assign(answer=PROMPT | model).astream({"x": "1"})
    return "".join([chunk["answer"].text async for chunk in chunks if "answer" in chunk])


async def in_parallel(model):
    chunks = RunnableParallel(answer=PROMPT | model | StrOutputParser()).astream({"x": "1"})
    return "".join([chunk["answer"] async for chunk in chunks])


async def events_of_parallel_ones(model):
    events = RunnableParallel(answer=PROMPT | model).astream_events({"x": "1"}, version="v2")
    return "".join([each["data"]["chunk"].text async for each in events if each["event"] == "on_chat_model_stream"])


async def synchronous_in_tasks(model):
    stream = model.stream("x")

    async def pull():
        return next(stream, None)

    text = ""
    while (chunk := await asyncio.create_task(pull())) is not None:
        text += chunk.text
    return text


async def synchronous_in_threads(model):
    stream, text = model.stream("x"), ""
    while (chunk := await asyncio.to_thread(next, stream, None)) is not None:
        text += chunk.text
    return text


async def by_a_task_that_is_cancelled_later(model):
    stream = model.astream("x")

    async def begin():
        pieces.append((await anext(stream)).text)
        await asyncio.sleep(60)

    pieces = []
    task = asyncio.create_task(begin())
    while not pieces:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return pieces[0] + await pulled(stream, anext)


WAYS = [
    a_task_for_each_piece,
    a_limit_for_each_piece,
    assigned,
    in_parallel,
    events_of_parallel_ones,
    synchronous_in_tasks,
    synchronous_in_threads,
    by_a_task_that_is_cancelled_later,
]


@pytest.mark.parametrize("handlers", [1, 2])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_program_has_the_whole_answer_and_so_has_the_store(way, handlers, model, store):
    if handlers == 2:
        model.callbacks = [TokenCalculatorCallback(CostTracker(store))]
    assert await way(model) == ANSWER
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.status, event.error_type, event.usage_source) == ("ok", None, "exact")
    assert event.output_tokens == 4  # a token for each word
    assert event.input_tokens >= 8  # one for "x" or "1", 4 for a message, 3 for the reply
    assert nothing_is_open(store)


@pytest.mark.swallows  # a report of nothing but zeros is counted in doctor
async def test_a_completion_that_langchain_begins_in_a_task_of_its_own(server, store):
    server.push(Step(text=ANSWER, usage={"prompt": 0, "completion": 0}))
    model = OpenAI(model="gpt-3.5-turbo-instruct", base_url=server.base_url, api_key="x")
    assert await model.ainvoke("x") == ANSWER
    (event,) = store.query_events()
    assert (event.status, event.error_type, event.output_tokens) == ("ok", None, 4)


# Broken off


async def begun(model):
    """Return a stream of which two pieces have been pulled, each by its own task."""
    stream = model.astream("x")
    for _ in range(2):
        await asyncio.create_task(anext(stream))
    return stream


def broken_off(store, status="closed", error_type="GeneratorExit"):
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.status, event.error_type, event.usage_source) == (status, error_type, "exact")
    assert 1 <= event.output_tokens < 4
    assert nothing_is_open(store)


async def test_a_stream_that_is_closed_early(model, store):
    await (await begun(model)).aclose()
    broken_off(store)


async def test_a_stream_that_is_thrown_away(model, store):
    stream = await begun(model)
    del stream
    gc.collect()
    await asyncio.sleep(0.05)
    broken_off(store)


async def test_a_chain_that_is_closed_early(model, store):
    chunks = RunnablePassthrough.assign(answer=PROMPT | model).astream({"x": "1"})
    async for chunk in chunks:
        if "answer" in chunk and chunk["answer"].text:
            break
    await chunks.aclose()
    del chunks, chunk
    gc.collect()
    await asyncio.sleep(0.05)
    (event,) = store.query_events({"event_type": "llm_call"})
    assert event.status in ("closed", "cancelled")
    assert 1 <= event.output_tokens < 4
    assert nothing_is_open(store)


@pytest.mark.parametrize("way", ["cancelled", "time-out"])
async def test_a_task_that_is_stopped_while_it_waits_for_a_piece(server, chat, store, way):
    server.push(Step(text=ANSWER, no_usage=True, chunk_delay=0.5))
    stream = chat(stream_usage=False).astream("x")
    while not (await asyncio.create_task(anext(stream))).text:
        pass
    if way == "time-out":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
    else:
        pull = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.05)
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull
    broken_off(store, "cancelled", "CancelledError")


@pytest.mark.parametrize("is_held", [False, True], ids=["thrown away", "held"])
def test_the_end_of_an_event_loop_is_that_of_its_streams(model, store, is_held):
    held = []

    async def begin():
        held.append(await begun(model))
        if not is_held:
            held.clear()

    asyncio.run(begin())
    if is_held:
        broken_off(store)
    else:  # the task that would close it is cancelled
        broken_off(store, "cancelled", "CancelledError")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_held", [False, True], ids=["thrown away", "held"])
def test_a_loop_that_closes_none_of_its_streams(model, store, is_held):
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(begun(model))
    loop.close()
    if not is_held:
        del stream
        gc.collect()
        assert nothing_is_open(store)  # at once
    broken_off(store)


async def test_an_answer_that_is_awaited_whole_counts_as_far_as_it_was_shown(server, chat, store):
    """`astream_events` has `ainvoke` stream, whose cancelling LangChain does not tell."""
    server.push(Step(text=ANSWER, no_usage=True, chunk_delay=0.1))
    seen = asyncio.Event()

    class Watching(TokenCalculatorCallback):
        def on_llm_new_token(self, token, **more):
            super().on_llm_new_token(token, **more)
            if token.strip():
                seen.set()

    model = chat(stream_usage=False, streaming=True, callbacks=[Watching(CostTracker(store))])
    task = asyncio.create_task(model.ainvoke("x"))
    await seen.wait()
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    broken_off(store, "cancelled", "CancelledError")


async def test_nothing_is_kept_of_calls_that_are_over(chat, store):
    handler = TokenCalculatorCallback(CostTracker(store))
    model = chat(callbacks=[handler])
    await asyncio.gather(*(a_task_for_each_piece(model) for _ in range(3)), model.ainvoke("x"))
    await (await begun(model)).aclose()
    assert handler._tasks._open == {}
