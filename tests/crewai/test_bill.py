"""Each class for each provider, asked in each way over real HTTP: what is stored is what `tests.bill.seen` says."""

import asyncio
from importlib.metadata import version

import pytest
from crewai import LLM
from pydantic import BaseModel

import tc_crewai
from tests.bill import providers as bill
from tests.bill.providers import RIGHT, Providers, told
from tests.bill.seen import CREWAI, ESTIMATED, EXACT, NOT_TRIED
from tests.crewai.test_order import Late

MODELS = {
    "chat": "openai/gpt-4o-mini",
    "responses": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-sonnet-4-6",
    "gemini": "gemini/gemini-2.5-flash",
    "bedrock": "bedrock/anthropic.claude-sonnet-4-20250514-v1:0",
}


class City(BaseModel):
    """A city."""

    name: str


@pytest.fixture
def providers(monkeypatch):
    server = Providers()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    yield server
    server.shutdown()
    server.server_close()


def llm(api, url, **options):
    options |= {"api": "responses"} if api == "responses" else {}
    if api == "gemini":
        from google.genai import types

        return LLM(MODELS[api], api_key="x", client_params={"http_options": types.HttpOptions(base_url=url)}, **options)
    if api == "bedrock":
        return LLM(MODELS[api], region_name="us-east-1", **options)
    return LLM(MODELS[api], base_url=url if api == "anthropic" else f"{url}/v1", api_key="x", max_retries=0, **options)


TOOL = {
    "type": "function",
    "function": {
        "name": "capital",
        "description": "Tell about a capital.",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}

ASKED = {
    "plain": lambda make: make().call("hello"),
    "stream": lambda make: make(stream=True).call("hello"),
    "stream: asynchronous": lambda make: asyncio.run(make(stream=True).acall("hello")),
    "structured": lambda make: make().call("hello", response_model=City),
    "structured: asynchronous": lambda make: asyncio.run(make().acall("hello", response_model=City)),
    "structured_stream": lambda make: make(stream=True).call("hello", response_model=City),
    "async": lambda make: asyncio.run(make().acall("hello")),
    "tools": lambda make: make().call("hello", tools=[TOOL]),
    "tools_run": lambda make: make().call("hello", tools=[TOOL], available_functions={"capital": lambda name: name}),
    "tools: streamed": lambda make: make(stream=True).call("hello", tools=[TOOL]),
}


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("row", CREWAI, ids=lambda row: row.api)
def test_what_is_stored_is_what_the_table_says(row, way, providers, store):
    if row.api == "bedrock" and "async" in way:
        pytest.importorskip("aiobotocore", reason="aiobotocore, which it asks asynchronously with, is not installed")
    ASKED[way](lambda **options: llm(row.api, providers.url, **options))
    expect(row.seen(way.partition(":")[0]), row.api, store)


def test_two_ends_of_a_call_are_told_in_any_order(providers, store):
    """Bedrock's class tells an end for the tool, without usage, and one for the answer that follows, with its own."""
    late = Late()
    try:
        ASKED["tools_run"](lambda **options: llm("bedrock", providers.url, **options))
    finally:
        late.let_go_singly(lambda event: event.type == "llm_call_completed" and not event.usage)
    expect(ESTIMATED, "bedrock", store)


def expect(seen, api, store):
    """Compare each call that is stored with what is known of it."""
    (event,) = [event for event in store.query_events() if event.event_type == "llm_call"]
    if seen in (EXACT, NOT_TRIED):
        assert (event.status, event.usage_source, told(event.usage)) == ("ok", "provider", told(RIGHT[api]))
    else:
        assert (event.status, event.usage_source in ("exact", "proxy", "estimate")) == ("ok", True)


@pytest.mark.parametrize("way", ["plain", "async", "structured"])
def test_what_crewai_leaves_out_is_known_with_the_interceptor(way, providers, store, monkeypatch):
    """Writes to a cache and the kind of processing are in the answer, and not in CrewAI's event."""
    details = {"cached_tokens": 1000, "cache_write_tokens": 64}
    monkeypatch.setitem(bill.USAGE, "chat", {**bill.USAGE["chat"], "prompt_tokens_details": details})
    interceptor = tc_crewai.TrackingInterceptor()
    ASKED[way](lambda **options: llm("chat", providers.url, interceptor=interceptor, **options))
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.usage_source, event.usage[:5]) == ("provider", (1100, 300, 1000, 64, 200))


def test_anthropics_hours_and_searches_are_known_with_the_interceptor(providers, store, monkeypatch):
    kept = {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50}
    more = {"cache_creation": kept, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}}
    monkeypatch.setitem(bill.USAGE, "anthropic", {**bill.USAGE["anthropic"], **more})
    if version("anthropic") >= "2":
        pytest.skip("CrewAI's interceptors do not fit anthropic 2, which wants a client of httpx2")
    llm("anthropic", providers.url, interceptor=tc_crewai.TrackingInterceptor()).call("hello")
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.usage.cache_write_tokens, event.usage.cache_write_1h_tokens) == (200, 50)
    assert (event.usage_source, event.charges) == ("provider", {"web_searches": 2})


def test_a_cut_off_answer_is_billed_all_the_same(providers, store):
    """CrewAI tells only that the call has failed; the interceptor has seen the answer."""

    class Town(BaseModel):
        """A town."""

        mayor: str

    with pytest.raises(Exception, match="mayor"):
        llm("chat", providers.url, interceptor=tc_crewai.TrackingInterceptor()).call("hello", response_model=Town)
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.status, event.usage_source, told(event.usage)) == ("error", "provider", told(RIGHT["chat"]))
