"""Anthropic's own library, which takes clients of httpx2 since its version 2."""

import json

import pytest

from tc_core import async_tracking_client, tracking_client
from tests.http.conftest import Said

httpx2 = pytest.importorskip("httpx2", reason="httpx2 is not installed: it comes with anthropic 2")
anthropic = pytest.importorskip("anthropic", minversion="2", reason="anthropic 2 is not installed")

ASKED = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "one two three"}]}
MESSAGE = {
    "id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 8, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2},
}  # fmt: skip
STREAM = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "usage": {**MESSAGE["usage"], "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 8},
    },
    {"type": "message_stop"},
]
EVENTS = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in STREAM]


@pytest.fixture
def client(told):
    return anthropic.Anthropic(api_key="x", base_url=told.url, http_client=tracking_client(library="httpx2"))


@pytest.fixture
def async_client(told):
    http = async_tracking_client(library="httpx2")
    return anthropic.AsyncAnthropic(api_key="x", base_url=told.url, http_client=http)


def tokens(event):
    return event.input_tokens, event.output_tokens, event.cached_tokens, event.cache_write_tokens


async def test_calls_plain_and_streamed_sync_and_async(told, client, async_client, store):
    told.say(MESSAGE, MESSAGE, Said(EVENTS), Said(EVENTS))
    client.messages.create(**ASKED)
    await async_client.messages.create(**ASKED)
    assert [each.type for each in client.messages.create(**ASKED, stream=True)][-1] == "message_stop"
    async with async_client.messages.stream(**ASKED) as stream:
        assert [text async for text in stream.text_stream] == ["Hi"]
    events = store.query_events()
    # 9 and 5 + 2 of the cache, which Anthropic counts beside them
    assert [tokens(event) for event in events] == [(16, 8, 5, 2)] * 4
    assert {(event.status, event.provider, event.model, event.usage_source) for event in events} == {
        ("ok", "anthropic", "claude-haiku-4-5", "provider")
    }


def test_retries_are_attempts_of_one_call_and_refusals_are_errors(told, client, store):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "a text"}}
    told.say(Said(error, 529, headers={"retry-after-ms": "10"}), MESSAGE)
    client.messages.create(**ASKED)
    told.say(Said(error, 400))
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**ASKED)
    first, second = store.query_events()
    assert [(each.retry, each.status) for each in store.attempts(first.event_id)] == [(0, 529), (1, 200)]
    assert (first.status, second.status, second.error_type) == ("ok", "error", "HTTP 400")


def test_a_stream_that_is_left_has_the_input_that_was_told(told, client, store):
    told.say(Said(EVENTS, pause=0.05))
    with client.messages.create(**ASKED, stream=True) as stream:
        next(iter(stream))
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.cached_tokens) == ("closed", 16, 5)


def test_openai_takes_the_same_client(server, store, truth):
    openai = pytest.importorskip("openai", minversion="2.50", reason="an older openai than 2.50 knows no httpx2")
    client = openai.OpenAI(base_url=server.base_url, api_key="x", http_client=tracking_client(library="httpx2"))
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    truth(store)


def test_it_is_a_client_of_that_library():
    assert isinstance(tracking_client(library="httpx2"), httpx2.Client)
    assert isinstance(async_tracking_client(library="httpx2"), httpx2.AsyncClient)
