"""What real providers answer, replayed through LlamaIndex: their figures are what is recorded."""

import threading

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from tc_core import Usage
from tc_llamaindex import reading
from tests.langchain import answers
from tests.langchain.test_answers import Handler, Replay

HELLO = [ChatMessage(content="hello")]


@pytest.fixture
def replay():
    server = Replay(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def openai(replay):
    return OpenAILike(model="any", api_base=f"{replay.url}/v1", api_key="x", max_retries=0, is_chat_model=True)


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


@pytest.mark.parametrize("name", answers.ANTHROPIC)
def test_what_anthropic_reports_is_made_inclusive(name):
    """The client for Anthropic gives the provider's answer as `raw`, like all others."""
    reported, expected = answers.ANTHROPIC[name]
    assert reading.usage(reported)[:4] == expected[:4]
    assert reading.usage(reported).cache_write_1h_tokens in (expected.cache_write_1h_tokens, None)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param(
            {
                "prompt_token_count": 8,
                "candidates_token_count": 12,
                "thoughts_token_count": 600,
                "cached_content_token_count": 4,
                "total_token_count": 620,
            },
            Usage(8, 612, 4, None, 600),
            id="gemini: thoughts beside the answer",
        ),
        pytest.param({"inputTokens": 30, "outputTokens": 5, "totalTokens": 35}, Usage(30, 5), id="bedrock"),
        pytest.param({"prompt_eval_count": 26, "eval_count": 298}, Usage(26, 298), id="ollama"),
        pytest.param(
            {"prompt_tokens": 30, "completion_tokens": 5, "cache_read_input_tokens": 20},
            Usage(30, 5, 20),
            id="a proxy that counts inclusively and says what was cached in Anthropic's words",
        ),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None, id="all zero is unknown"),
        pytest.param({"total_tokens": 12}, None, id="only a total"),
        pytest.param({"prompt_tokens": "7", "completion_tokens": 2}, None, id="no number"),
        pytest.param({"prompt_tokens": True, "completion_tokens": 2}, None, id="a truth value"),
        pytest.param({}, None, id="empty"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_usage_in_the_words_of_other_providers(reported, expected):
    assert reading.usage(reported) == expected
