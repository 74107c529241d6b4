"""What real providers answer, replayed through LlamaIndex: their figures are what is recorded."""

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from tests.langchain import answers
from tests.replay import ELSEWHERE, Replay, answered, serving

HELLO = [ChatMessage(content="hello")]


@pytest.fixture
def replay():
    with serving(Replay()) as server:
        yield server


@pytest.fixture
def openai(replay):
    return model(replay)


def model(replay, name="any"):
    return OpenAILike(model=name, api_base=f"{replay.url}/v1", api_key="x", max_retries=0, is_chat_model=True)


def one(store):
    (event,) = store.query_events()
    assert (event.status, event.usage_source) == ("ok", "provider")
    return event


@pytest.mark.parametrize("name", answers.PLAIN)
def test_answers_in_openais_format(name, replay, openai, store):
    replay.body, expected = answers.PLAIN[name]
    openai.chat(HELLO)
    event = one(store)
    assert event.usage == expected
    assert event.served_model == replay.body["model"]
    assert event.service_tier == ("flex" if name.endswith("flex") else None)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("name", answers.STREAMS)
async def test_streams_in_openais_format(name, way, replay, openai, store):
    replay.body, expected = answers.STREAMS[name]
    if way == "sync":
        assert list(openai.stream_chat(HELLO))
    else:
        assert [piece async for piece in await openai.astream_chat(HELLO)]
    assert one(store).usage[:2] == expected[:2]


@pytest.mark.parametrize(("model", "address", "provider", "nanos"), ELSEWHERE)
def test_a_server_is_known_by_its_address(model, address, provider, nanos, replay, store):
    import httpx

    replay.body = answered(model)
    client = httpx.Client(proxy=replay.url)
    options = {"api_key": "x", "max_retries": 0, "is_chat_model": True, "http_client": client}
    OpenAILike(model=model, api_base=address, **options).chat(HELLO)
    event = one(store)
    assert (event.provider, event.cost_nanos) == (provider, nanos)
