"""Embeddings: counted with their tokenizer, or by what a tracking HTTP client sees."""

import pytest

from tc_core import CostTracker, calculate_cost, count_tokens
from tc_llamaindex import TokenCalculatorHandler
from tests.llamaindex import scenarios

MODEL = "text-embedding-3-small"
TEXTS = ["the first text", "a second one that is longer", "three"]
PLAIN = {"http_client": None, "async_http_client": None}


async def test_embeddings_are_counted_with_their_own_tokenizer(make, store, server):
    model = make.embed(**PLAIN)
    vectors = model.get_text_embedding_batch(TEXTS)
    assert vectors == await model.aget_text_embedding_batch(TEXTS)
    assert model.get_query_embedding("why?") == await model.aget_query_embedding("why?")
    events = store.query_events()
    assert [(event.event_type, event.model, event.provider, event.usage_source) for event in events] == [
        ("embedding", MODEL, "openai", "exact")
    ] * 4
    assert [event.input_tokens for event in events[:2]] == [sum(count_tokens(text, MODEL) for text in TEXTS)] * 2
    assert (events[0].output_tokens, events[0].cost) == (0, calculate_cost(MODEL, events[0].input_tokens, 0))
    assert len(server.exchanges) == len(events)


async def test_with_a_tracking_client_they_are_what_the_provider_counted(make, server, store, truth):
    await scenarios.embeddings(make, server)
    truth(store)
    assert {event.usage_source for event in store.query_events()} == {"provider"}


def test_each_batch_is_a_request_and_an_event(make, server, store, truth):
    make.embed(embed_batch_size=2).get_text_embedding_batch(TEXTS)
    truth(store)
    assert [[attempt.status for attempt in store.attempts(event.event_id)] for event in store.query_events()] == [
        [200],
        [200],
    ]


async def test_batches_at_once_are_one_event_with_all_their_tokens(make, server, store):
    """LlamaIndex begins all of them before it sends the first, so that none can be told from another."""
    await make.embed(embed_batch_size=1).aget_text_embedding_batch(TEXTS)
    (event,) = store.query_events()
    assert event.input_tokens == sum(exchange.tokens.prompt for exchange in server.exchanges)
    assert len(server.exchanges) == len(store.attempts(event.event_id)) == 3


async def test_batches_at_once_through_two_handlers(make, server, store):
    explicit = TokenCalculatorHandler(CostTracker(store), feature="search").attach()
    await make.embed(embed_batch_size=1, **PLAIN).aget_text_embedding_batch(TEXTS)
    explicit.detach()
    (event,) = store.query_events()
    assert event.input_tokens == sum(count_tokens(text, MODEL) for text in TEXTS)
    assert event.labels == {"feature": "search"}


async def test_batches_at_once_without_a_tracking_client(make, server, store):
    await make.embed(embed_batch_size=1, **PLAIN).aget_text_embedding_batch(TEXTS)
    (event,) = store.query_events()
    assert event.input_tokens == sum(count_tokens(text, MODEL) for text in TEXTS)


def test_a_query_engine_with_a_tracking_client_counts_nothing_twice(make, server, store, truth):
    make.index().as_query_engine(llm=make.chat()).query("who?")
    truth(store)
    calls = [event.event_type for event in store.query_events() if event.is_call]
    assert calls == ["embedding", "embedding", "llm_call"]


def test_embeddings_that_fail(server, make, store):
    model = make.embed()
    server.stop()
    with pytest.raises(Exception, match="Connection"):
        model.get_query_embedding("why?")
    server.__init__()
    server.start()
    (event,) = store.query_events()
    assert (event.status, event.error_type, event.cost) == ("error", "APIConnectionError", None)
