"""What real providers answer, replayed through LangChain: their figures are what is recorded."""

from decimal import Decimal

import pytest

from tests.langchain import answers
from tests.replay import ELSEWHERE, answered


@pytest.fixture
def openai(replay):
    from langchain_openai import ChatOpenAI

    def make(**options):
        return ChatOpenAI(model="any", base_url=f"{replay.url}/v1", api_key="x", max_retries=0, **options)

    return make


def one(store):
    (event,) = store.query_events()
    assert (event.status, event.usage_source) == ("ok", "provider")
    return event


@pytest.mark.parametrize("name", answers.PLAIN)
def test_answers_in_openais_format(name, replay, openai, store):
    replay.body, expected = answers.PLAIN[name]
    openai().invoke("hello")
    event = one(store)
    assert event.usage == expected
    assert event.served_model == replay.body["model"]
    assert event.service_tier == ("flex" if name.endswith("flex") else None)


@pytest.mark.parametrize("name", answers.STREAMS)
def test_streams_in_openais_format(name, replay, openai, store):
    replay.body, expected = answers.STREAMS[name]
    assert list(openai(stream_usage=True).stream("hello"))
    assert one(store).usage[:2] == expected[:2]


@pytest.mark.parametrize("name", answers.ANTHROPIC)
def test_answers_of_anthropic(name, replay, store):
    anthropic = pytest.importorskip("langchain_anthropic", reason="langchain-anthropic is not installed")
    usage, expected = answers.ANTHROPIC[name]
    replay.body = {**answers.MESSAGE, "usage": usage}
    model = anthropic.ChatAnthropic(model="claude-sonnet-4-5", base_url=replay.url, api_key="x", max_retries=0)
    model.invoke("hello")
    event = one(store)
    assert event.usage == expected
    assert event.service_tier is None  # the standard one
    assert event.cost_exact == by_hand(usage)


@pytest.mark.parametrize("name", answers.ANTHROPIC_STREAMS)
def test_streams_of_anthropic(name, replay, store):
    anthropic = pytest.importorskip("langchain_anthropic", reason="langchain-anthropic is not installed")
    replay.body, expected = answers.ANTHROPIC_STREAMS[name]
    model = anthropic.ChatAnthropic(model="claude-sonnet-4-5", base_url=replay.url, api_key="x", max_retries=0)
    assert "".join(chunk.text for chunk in model.stream("hello")) == "Hello!"
    assert one(store).usage[:3] == expected[:3]


def by_hand(usage):
    """The price of Claude Sonnet 4.5 in dollars per million tokens, up to 200,000 of them in the prompt."""
    written = usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
    parts = {
        "3": usage["input_tokens"],
        "0.3": usage["cache_read_input_tokens"],
        "3.75": usage["cache_creation_input_tokens"] - written,
        "6": written,
        "15": usage["output_tokens"],
    }
    return sum(Decimal(price) * tokens for price, tokens in parts.items()) / 1_000_000


@pytest.mark.parametrize(("model", "address", "provider", "nanos"), ELSEWHERE)
def test_a_server_is_known_by_its_address(model, address, provider, nanos, replay, store):
    import httpx
    from langchain_openai import ChatOpenAI

    replay.body = answered(model)
    client = httpx.Client(proxy=replay.url)
    ChatOpenAI(model=model, base_url=address, api_key="x", max_retries=0, http_client=client).invoke("hello")
    event = one(store)
    assert (event.provider, event.cost_nanos) == (provider or "openai", nanos)
