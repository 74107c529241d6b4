"""Embeddings, and what a tracking HTTP client sees."""

import asyncio

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_openai import OpenAIEmbeddings
from openai import OpenAI

from tc_core import async_tracking_client, calculate_cost, count_tokens, tracking_client
from tc_core.demo.script import Step
from tc_langchain import TrackedEmbeddings

MODEL = "text-embedding-3-small"
TEXTS = ["the first text", "a second one that is longer"]


@pytest.fixture
def embeddings(server):
    def make(**options):
        return OpenAIEmbeddings(
            model=MODEL,
            base_url=server.base_url,
            api_key="x",
            check_embedding_ctx_length=False,
            max_retries=0,
            **options,
        )

    return make


async def test_embeddings_are_counted_with_their_own_tokenizer(embeddings, store):
    tracked = TrackedEmbeddings(embeddings(), feature="search")
    vectors = tracked.embed_documents(TEXTS)
    assert vectors == await tracked.aembed_documents(TEXTS)
    assert tracked.embed_query("why?") == await tracked.aembed_query("why?")
    (first, *_) = events = store.query_events()
    assert [(event.event_type, event.model, event.usage_source) for event in events] == [
        ("embedding", MODEL, "exact")
    ] * 4
    assert first.input_tokens == sum(count_tokens(text, MODEL) for text in TEXTS)
    assert (first.output_tokens, first.cost) == (0, calculate_cost(MODEL, first.input_tokens, 0))
    assert store.aggregate("calls", ["feature"]) == {("search",): 4}


async def test_with_a_tracking_client_they_are_what_the_provider_counted(embeddings, server, store):
    clients = {"http_client": tracking_client(), "http_async_client": async_tracking_client()}
    tracked = TrackedEmbeddings(embeddings(**clients, chunk_size=1))
    tracked.embed_documents(TEXTS)
    await tracked.aembed_documents(TEXTS)
    assert len(server.exchanges) == 4  # each call takes two requests
    events = store.query_events()
    assert [event.usage_source for event in events] == ["provider"] * 2
    assert sum(event.input_tokens for event in events) == sum(exchange.tokens.prompt for exchange in server.exchanges)
    assert [[attempt.status for attempt in store.attempts(event.event_id)] for event in events] == [[200, 200]] * 2


def test_a_tracking_client_alone_records_embeddings_where_they_happen(embeddings, server, store):
    model = embeddings(http_client=tracking_client())
    RunnableLambda(lambda _: model.embed_documents(TEXTS)).invoke("go")
    chain, embedded = store.query_events()
    assert (embedded.event_type, embedded.parent_id, embedded.usage_source) == (
        "embedding",
        chain.event_id,
        "provider",
    )
    assert embedded.input_tokens == server.exchanges[0].tokens.prompt
    assert embedded.cost is not None


def test_a_wrapped_model_is_still_itself(embeddings):
    tracked = TrackedEmbeddings(embeddings())
    assert tracked.model == MODEL
    with pytest.raises(AttributeError):
        tracked.nothing_of_the_kind  # noqa: B018  # the access is the test


def test_embeddings_that_fail(server, store, embeddings):
    tracked = TrackedEmbeddings(embeddings(http_client=tracking_client()))
    server.stop()
    with pytest.raises(Exception, match="Connection"):
        tracked.embed_query("why?")
    server.__init__()
    server.start()
    (event,) = store.query_events()
    assert (event.status, event.error_type, event.cost) == ("error", "APIConnectionError", None)
    assert [attempt.status for attempt in store.attempts(event.event_id)] == [None]


# Retries


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_retries_of_the_client_library_are_attempts_of_one_call(server, chat, store, way):
    server.push(Step(status=500), Step(status=429), Step(text="at last"))
    model = chat(max_retries=3, http_client=tracking_client(), http_async_client=async_tracking_client())
    if way == "sync":
        model.invoke("hello")
    else:
        asyncio.run(model.ainvoke("hello"))
    (event,) = store.query_events()
    (answered,) = [exchange for exchange in server.exchanges if exchange.tokens]
    assert (event.status, event.input_tokens) == ("ok", answered.tokens.prompt)
    attempts = store.attempts(event.event_id)
    assert [(each.number, each.retry, each.status) for each in attempts] == [(1, 0, 500), (2, 1, 429), (3, 2, 200)]
    assert all(each.latency_us > 0 for each in attempts)
    assert store.totals()[()].calls == 1


def test_a_stream_is_not_read_by_the_client(server, chat, store):
    chunks = list(chat(http_client=tracking_client(), stream_usage=True).stream("one two three four"))
    assert len(chunks) > 3
    (event,) = store.query_events()
    (attempt,) = store.attempts(event.event_id)
    assert (attempt.status, attempt.input_tokens, event.usage_source) == (200, None, "provider")


def test_the_requests_for_several_prompts_are_no_calls_of_their_own(server, chat, store):
    model = chat(http_client=tracking_client())
    model.generate([[HumanMessage("one")], [HumanMessage("two")]])
    assert len(server.exchanges) == store.totals()[()].calls == 2
    OpenAI(base_url=server.base_url, api_key="x", http_client=tracking_client()).chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hello"}]
    )
    assert store.totals()[()].calls == 3
