"""Each provider through its own class of LangChain, in each way to ask: what the provider bills is what is booked."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from benchmarks import answers
from tc_core import Usage
from tests.bill.seen import LANGCHAIN
from tests.replay import Quiet, Server, serving

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

NAMES = {
    "chat": "gpt-5.6-luna",
    "responses": "gpt-5.6-luna",
    "anthropic": "claude-sonnet-4-6",
    "gemini": "gemini-2.5-flash",
}
BEDROCK = "anthropic.claude-sonnet-4-20250514-v1:0"


class Person(BaseModel):
    """A person."""

    name: str


class Provider(Server):
    """Answers in the words of one API."""

    api, model, said, more = "", "any", {}, {}


class Handler(Quiet):
    def do_POST(self):  # noqa: N802  # the name that http.server looks for
        request = self.read()
        is_stream = b'"stream":true' in request.replace(b": ", b":") or "tream" in self.path
        wanted = answers.Wanted(self.server.model, self.server.said, is_stream, **self.server.more)
        self.answer(*answers.answer(self.server.api, wanted))


@pytest.fixture
def provider(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with serving(Provider(Handler)) as server:
        yield server


def model_of(provider, **options):
    """Return a chat model that asks the provider's server."""
    provider.model = NAMES.get(provider.api, "any")
    if provider.api in ("chat", "responses"):
        from langchain_openai import ChatOpenAI

        uses_responses = provider.api == "responses"
        options = {"stream_usage": True, "max_retries": 0, "use_responses_api": uses_responses, **options}
        return ChatOpenAI(model=provider.model, base_url=f"{provider.url}/v1", api_key="x", **options)
    if provider.api == "anthropic":
        kind = pytest.importorskip("langchain_anthropic", reason="langchain-anthropic is not installed").ChatAnthropic
        return kind(model=provider.model, base_url=provider.url, api_key="x", max_retries=0, **options)
    if provider.api == "gemini":
        kind = pytest.importorskip("langchain_google_genai", reason="langchain-google-genai is not installed")
        return kind.ChatGoogleGenerativeAI(model=provider.model, api_key="x", base_url=provider.url, **options)
    kind = pytest.importorskip("langchain_aws", reason="langchain-aws is not installed").ChatBedrockConverse
    return kind(model=BEDROCK, endpoint_url=provider.url, region_name="us-east-1", **options)


SAID: dict[str, tuple[dict[str, Any], Usage]] = {
    "chat": (
        {
            "usage": {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 192},
            }
        },
        Usage(2006, 300, 1920, 64, 192),
    ),
    "responses": (
        {
            "usage": {
                "input_tokens": 2006,
                "output_tokens": 300,
                "total_tokens": 2306,
                "input_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 64},
                "output_tokens_details": {"reasoning_tokens": 192},
            }
        },
        Usage(2006, 300, 1920, 64, 192),
    ),
    "anthropic": (
        {
            "usage": {
                "input_tokens": 21,
                "cache_read_input_tokens": 1800,
                "cache_creation_input_tokens": 556,
                "cache_creation": {"ephemeral_5m_input_tokens": 556, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 393,
                "output_tokens_details": {"thinking_tokens": 100},
                "service_tier": "standard",
            }
        },
        Usage(2377, 393, 1800, 556, 100),  # 21 + 1800 + 556
    ),
    "gemini": (
        {
            "usageMetadata": {
                "promptTokenCount": 1000,
                "cachedContentTokenCount": 600,
                "toolUsePromptTokenCount": 50,
                "candidatesTokenCount": 30,
                "thoughtsTokenCount": 70,
                "totalTokenCount": 1150,
            }
        },
        Usage(1050, 100, 600, None, 70),  # 1000 + 50 read, 30 + 70 written
    ),
    "bedrock": (
        {
            "usage": {
                "inputTokens": 11,
                "cacheReadInputTokens": 17_000,
                "cacheWriteInputTokens": 100,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 60}, {"ttl": "1h", "inputTokens": 40}],
                "outputTokens": 20,
                "totalTokens": 17_131,
            }
        },
        Usage(17_111, 20, 17_000, 100, cache_write_1h_tokens=40),  # 11 + 17000 + 100
    ),
}


def plain(provider):
    model_of(provider).invoke("hi")


def asynchronous(provider):
    asyncio.run(model_of(provider).ainvoke("hi"))


def streamed(provider):
    assert "".join(chunk.text for chunk in model_of(provider).stream("hi")) == "Hello"


def asynchronously_streamed(provider):
    async def ask():
        return [chunk.text async for chunk in model_of(provider).astream("hi")]

    assert "".join(asyncio.run(ask())) == "Hello"


def structured(provider):
    provider.more = {"text": '{"name": "An"}'}
    if provider.api in ("anthropic", "bedrock"):
        provider.more = {"tool": answers.Tool("Person", {"name": "An"})}
    assert model_of(provider).with_structured_output(Person).invoke("who?") == Person(name="An")


def tools(provider):
    provider.more = {"tool": answers.Tool("Person", {"name": "An"})}
    (call,) = model_of(provider).bind_tools([Person]).invoke("who?").tool_calls
    assert call["args"] == {"name": "An"}


def tools_streamed(provider):
    assert list(model_of(provider).bind_tools([Person]).stream("who?"))


def batched(provider):
    model_of(provider).batch(["hi"])


WAYS = (plain, asynchronous, streamed, asynchronously_streamed, structured, tools, tools_streamed, batched)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("api", [row.api for row in LANGCHAIN])  # all exact, as the table in the docs has it
def test_what_is_billed_is_booked(api, way, provider, store):
    provider.api, (provider.said, expected) = api, SAID[api]
    way(provider)
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.status, event.usage_source) == ("ok", "provider")
    assert compared(event.usage) == compared(expected)


def compared(usage):
    """The counts that are more than zero: some APIs tell a zero where others tell nothing."""
    return {name: count for name, count in usage._asdict().items() if count}
