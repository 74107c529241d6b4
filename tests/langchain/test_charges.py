"""What is charged beside plain tokens, and what else decides a cost, as each class of LangChain tells it."""

import asyncio
from types import SimpleNamespace

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tc_core import tracking_client
from tc_langchain import reports
from tests.langchain import answers

COUNTS = {"input_tokens": 9548, "output_tokens": 528}
SEARCHED = {**COUNTS, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}
FOUND = [{"type": "web_search_result", "url": "http://a", "title": "A", "encrypted_content": "x", "page_age": None}]
FAILED = {"type": "web_search_tool_result_error", "error_code": "unavailable"}


class Person(BaseModel):
    """A person."""

    name: str


@pytest.fixture
def claude(replay):
    kind = pytest.importorskip("langchain_anthropic", reason="langchain-anthropic is not installed").ChatAnthropic

    def make(**options):
        return kind(model="claude-opus-4-6", base_url=replay.url, api_key="x", max_retries=0, **options)

    return make


@pytest.fixture
def gemini(replay):
    kind = pytest.importorskip("langchain_google_genai", reason="langchain-google-genai is not installed")

    def make(model):
        return kind.ChatGoogleGenerativeAI(model=model, api_key="x", base_url=replay.url)

    return make


@pytest.fixture
def openai(replay):
    def make(model="gpt-4o", **options):
        options = {"stream_usage": True, "max_retries": 0, "base_url": f"{replay.url}/v1", **options}
        return ChatOpenAI(model=model, api_key="x", **options)

    return make


def one(store):
    (event,) = store.query_events({"event_type": "llm_call"})
    return event


# Searches


def test_searches_of_anthropic(replay, claude, store):
    replay.body = {**answers.MESSAGE, "usage": SEARCHED}
    claude().invoke("hi")
    assert one(store).charges == {"web_searches": 2}


def test_searches_in_a_stream_of_anthropic_are_its_results(replay, claude, store):
    blocks = [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": FOUND},
        {"type": "web_search_tool_result", "tool_use_id": "s2", "content": FAILED},
        {"type": "web_search_tool_result", "tool_use_id": "s3", "content": FOUND},
    ]
    replay.body = with_blocks(blocks, SEARCHED)
    tool = {"type": "web_search_20250305", "name": "web_search"}
    assert list(claude().bind_tools([tool]).stream("hi"))
    event = one(store)
    assert (event.usage[:2], event.charges) == ((9548, 528), {"web_searches": 2})


def with_blocks(blocks, usage):
    """A stream of Anthropic's with more blocks before its text, in the place that they are told in."""
    first, *rest = answers.anthropic_stream({"input_tokens": 9548, "output_tokens": 1}, usage)
    inserted = []
    for index, block in enumerate(blocks):
        inserted += [
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_stop", "index": index},
        ]
    return [first, *inserted, *({**each, "index": len(blocks)} if "index" in each else each for each in rest)]


ITEMS = [
    {"type": "web_search_call", "id": "w1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "web_search_call", "id": "w2", "status": "completed", "action": {"type": "open_page", "url": "http://a"}},
    {"type": "file_search_call", "id": "f1", "status": "completed", "queries": ["q"], "results": None},
    {
        "type": "message",
        "id": "m1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
    },
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-2024-08-06",
    "output": ITEMS,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {**COUNTS, "total_tokens": 10_076},
}


@pytest.mark.parametrize("version", ["v0", "responses/v1", "v1"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "stream"])
def test_tools_of_openais_responses(replay, openai, store, version, is_stream):
    model = openai(use_responses_api=True, output_version=version)
    replay.body = RESPONSE
    if is_stream:
        begun = {**RESPONSE, "status": "in_progress", "output": []}
        done = [
            {"type": "response.output_item.done", "output_index": place, "item": item, "sequence_number": place + 1}
            for place, item in enumerate(ITEMS)
        ]
        replay.body = [
            {"type": "response.created", "response": begun, "sequence_number": 0},
            *done,
            {"type": "response.completed", "response": RESPONSE, "sequence_number": 9},
        ]
        assert list(model.stream("hi"))
    else:
        model.invoke("hi")
    event = one(store)
    # to open a page that was found is no search
    assert (event.usage[:2], event.charges) == ((9548, 528), {"web_searches": 1, "storage_searches": 1})


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "stream"])
def test_a_model_that_always_searches(replay, openai, store, is_stream):
    usage = {"prompt_tokens": 12, "completion_tokens": 90, "total_tokens": 102}
    name = "gpt-4o-search-preview-2025-03-11"
    replay.body = list(answers.chunks(name, None, last=usage)) if is_stream else answers.chat(name, usage)
    model = openai("gpt-4o-search-preview")
    assert list(model.stream("hi")) if is_stream else model.invoke("hi")
    assert one(store).charges == {"web_searches": 1}


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("name", "searches"), [("gemini-2.5-flash", 1), ("gemini-3-pro-preview", 3)])
def test_searches_of_gemini_are_charged_by_request_or_by_search(replay, gemini, store, name, searches, is_stream):
    said = {
        "content": {"role": "model", "parts": [{"text": "Hello"}]},
        "finishReason": "STOP",
        "index": 0,
        "groundingMetadata": {"webSearchQueries": ["a", "b", "c"]},
    }
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    body = {"candidates": [said], "usageMetadata": usage, "modelVersion": name, "responseId": "r1"}
    replay.body = [body] if is_stream else body
    assert list(gemini(name).stream("hi")) if is_stream else gemini(name).invoke("hi")
    event = one(store)
    assert (event.usage[:2], event.charges) == ((10, 5), {"web_searches": searches})


# What else decides a cost


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "stream"])
def test_what_anthropic_is_asked_for_counts_also_in_a_stream(replay, claude, store, is_stream):
    usage = {**COUNTS, "speed": "fast", "inference_geo": "us"}
    replay.body = {**answers.MESSAGE, "model": "claude-opus-4-6", "usage": usage}
    if is_stream:
        replay.body = list(answers.anthropic_stream({**usage, "output_tokens": 1}, COUNTS))
    model = claude(model_kwargs={"speed": "fast"}, inference_geo="us")
    assert list(model.stream("hi")) if is_stream else model.invoke("hi")
    event = one(store)
    assert (event.service_tier, event.charges) == ("fast", {"inference_geo_us": 1})


def test_steps_of_another_model_are_told_apart(replay, claude, store):
    step = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": None}
    steps = [
        {"type": "message", **COUNTS, **step},
        {"type": "advisor_message", "model": "claude-opus-4-7", "input_tokens": 800, "output_tokens": 90, **step},
    ]
    replay.body = {**answers.MESSAGE, "usage": {**COUNTS, "iterations": steps}}
    claude().invoke("hi")
    event = one(store)
    assert event.usage[:2] == (9548, 528)
    assert event.charges == {"claude-opus-4-7/input_tokens": 800, "claude-opus-4-7/output_tokens": 90}


@pytest.mark.swallows  # it is noted for doctor
def test_a_stream_that_was_compacted_is_an_estimate(replay, claude, store):
    usage = {**COUNTS, "iterations": [{"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500}]}
    replay.body = with_blocks([{"type": "compaction", "content": None}], usage)
    delta = {"type": "compaction_delta", "content": "short"}
    replay.body.insert(2, {"type": "content_block_delta", "index": 0, "delta": delta})
    assert list(claude(betas=["compact-2026-01-12"]).bind_tools([Person]).stream("hi"))
    assert one(store).usage_source == "estimate"  # LangChain hands on neither 180,000 nor 3,500


def test_a_cost_that_the_provider_states_is_the_cost(replay, openai, store):
    replay.body, _ = answers.PLAIN["openrouter: with its price"]
    openai("anthropic/claude-sonnet-4.5").invoke("hi")
    event = one(store)
    assert (event.cost_nanos, event.price_source) == (612_000, "billed")


def test_an_answer_out_of_a_cache_is_charged_nothing(replay, claude, store):
    model = claude(cache=InMemoryCache())
    replay.body = {**answers.MESSAGE, "usage": SEARCHED}
    first, second = model.invoke("hi"), model.invoke("hi")
    assert isinstance(second, AIMessage)
    assert first.content == second.content
    asked, cached = store.query_events({"event_type": "llm_call"})
    assert (asked.charges, cached.charges) == ({"web_searches": 2}, {})
    assert (cached.usage[:2], cached.cost_nanos) == ((0, 0), 0)


# Failed calls that are billed


CUT = '{"name": "An'
USAGE = {"prompt_tokens": 1794, "completion_tokens": 3000, "total_tokens": 4794}
CUT_CHAT = {
    **answers.CHAT,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": CUT}, "finish_reason": "length"}],
    "usage": USAGE,
}


@pytest.mark.parametrize("is_tracked", [False, True], ids=["alone", "tracking_client"])
def test_a_structured_answer_that_is_cut_off_is_billed(replay, openai, store, is_tracked):
    replay.body = CUT_CHAT
    options = {"http_client": tracking_client()} if is_tracked else {}
    with pytest.raises(Exception, match="length limit"):
        openai("gpt-4o-mini", **options).with_structured_output(Person).invoke("who?")
    billed(one(store))


def test_a_structured_answer_that_is_cut_off_is_billed_when_awaited(replay, openai, store):
    replay.body = CUT_CHAT
    with pytest.raises(Exception, match="length limit"):
        asyncio.run(openai("gpt-4o-mini").with_structured_output(Person).ainvoke("who?"))
    billed(one(store))


def billed(event):
    assert (event.status, event.error_type) == ("error", "LengthFinishReasonError")
    assert (event.usage[:2], event.usage_source) == ((1794, 3000), "provider")
    assert event.cost_nanos == 2_069_100  # 1794 * 150 + 3000 * 600


def test_a_cut_off_stream_is_an_estimate_of_what_came(replay, openai, store):
    head = {**answers.CHUNK, "model": "gpt-4o-mini"}
    replay.body = [
        {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": CUT}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
        {**head, "choices": [], "usage": USAGE},
    ]
    with pytest.raises(Exception, match="length limit"):
        list(openai("gpt-4o-mini").with_structured_output(Person).stream("who?"))
    estimated(one(store))  # OpenAI's client raises before the usage is told


def test_a_response_that_is_cut_off_is_billed(replay, openai, store):
    message = {**ITEMS[3], "status": "incomplete", "content": [{"type": "output_text", "text": CUT, "annotations": []}]}
    replay.body = {
        **RESPONSE,
        "output": [message],
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
    }
    with pytest.raises(ValueError, match="Invalid JSON"):
        openai(use_responses_api=True).with_structured_output(Person).invoke("who?")
    event = one(store)
    assert (event.status, event.error_type, event.usage_source) == ("error", "ValidationError", "provider")
    assert event.usage[:2] == (9548, 528)
    assert event.cost_nanos == 29_150_000  # 9548 * 2500 + 528 * 10000


def estimated(event):
    assert event.status == "error"
    assert event.usage_source != "provider"
    assert event.input_tokens > 5
    assert event.output_tokens >= 4  # an opening brace, a name, a colon and two letters are four tokens or more
    assert event.cost_nanos > 0


def test_an_error_that_has_the_completion_and_no_response_is_read_too():
    error = ValueError()
    error.completion = SimpleNamespace(usage=SimpleNamespace(**USAGE), model="gpt-4o-mini")
    assert reports.of_error(error, None)["usage"] == USAGE  # langchain-openai before it kept the response


def test_a_total_of_gemini_that_is_more_than_its_parts_was_read_by_a_tool(replay, gemini, store):
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 10, "thoughtsTokenCount": 20, "totalTokenCount": 150}
    said = {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP", "index": 0}
    replay.body = {"candidates": [said], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r"}
    gemini("gemini-2.5-flash").invoke("hi")
    event = one(store)
    # 150 - 10 - 20; in OpenAI's spelling a gap as large as the thoughts is output
    assert (event.usage[:2], event.reasoning_tokens) == ((120, 30), 20)


def test_sums_of_gemini_in_each_chunk_are_not_added_up(replay, gemini, store):
    def chunk(text, **usage):
        said = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
        return {"candidates": [said], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r"}

    last = {"candidatesTokenCount": 201, "thoughtsTokenCount": 213, "toolUsePromptTokenCount": 119}
    replay.body = [
        chunk("Hello", promptTokenCount=17, totalTokenCount=17),
        chunk("!", promptTokenCount=17, totalTokenCount=550, **last),
    ]
    assert list(gemini("gemini-2.5-flash").stream("hi"))
    assert one(store).usage[:2] == (136, 414)  # 17 + 119, 201 + 213
