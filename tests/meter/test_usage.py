import json
import math
from enum import Enum
from types import SimpleNamespace
from typing import Any

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr

from tc_core.meter.usage import join_parts, read, usage_part
from tc_core.meter.usage.counts import Counts
from tc_core.meter.usage.extraction import extract
from tc_core.meter.usage.spelling import spell
from tc_core.model.usage import MOST_TOKENS, Usage, check_usage


def read_body(body: object, **hints: Any):
    """Read a body as it goes: through the JSON of a spool."""
    return read(json.loads(json.dumps(usage_part(body))), **hints)


def compared(reading) -> dict[str, int]:
    """Return the counts that are more than zero, without `_tokens`; zero and unknown are alike for details."""
    return {name.removesuffix("_tokens"): count for name, count in reading.usage._asdict().items() if count}


GEMINI = {"promptTokenCount": 500, "candidatesTokenCount": 120, "thoughtsTokenCount": 10, "totalTokenCount": 930}

SHAPES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "openai chat": (
        {
            "model": "gpt-4o",
            "choices": [{"message": {"content": "hello"}}],
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 300,
                "total_tokens": 1300,
                "prompt_tokens_details": {"cached_tokens": 640, "audio_tokens": 25},
                "completion_tokens_details": {"reasoning_tokens": 128, "audio_tokens": 40},
            },
        },
        {"input": 1000, "output": 300, "cached": 640, "reasoning": 128, "audio_input": 25, "audio_output": 40},
    ),
    "openai cache writes": (
        {
            "usage": {
                "prompt_tokens": 9000,
                "completion_tokens": 10,
                "total_tokens": 9010,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 8990},
            }
        },
        {"input": 9000, "output": 10, "cache_write": 8990},
    ),
    "openai responses": (
        {
            "object": "response",
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 5},
                "output_tokens": 20,
                "output_tokens_details": {"reasoning_tokens": 12},
                "total_tokens": 70,
            },
        },
        {"input": 50, "output": 20, "cached": 32, "cache_write": 5, "reasoning": 12},
    ),
    "the last event of a stream of responses": (
        {"type": "response.completed", "response": {"model": "o3", "usage": {"input_tokens": 7, "output_tokens": 2}}},
        {"input": 7, "output": 2},
    ),
    "openai realtime": (
        {
            "response": {
                "usage": {
                    "input_tokens": 90,
                    "output_tokens": 60,
                    "input_token_details": {"audio_tokens": 70, "cached_tokens": 30},
                    "output_token_details": {"audio_tokens": 45},
                }
            }
        },
        {"input": 90, "output": 60, "cached": 30, "audio_input": 70, "audio_output": 45},
    ),
    # what Alibaba writes to an explicit cache costs a quarter more than input
    "qwen's explicit cache": (
        {
            "model": "qwen3-max",
            "usage": {
                "prompt_tokens": 2059,
                "completion_tokens": 201,
                "total_tokens": 2260,
                "prompt_tokens_details": {
                    "cached_tokens": 0,
                    "text_tokens": 2059,
                    "cache_type": "ephemeral",
                    "cache_creation_input_tokens": 2048,
                    "cache_creation": {"ephemeral_5m_input_tokens": 2048},
                },
            },
        },
        {"input": 2059, "output": 201, "cache_write": 2048},
    ),
    "qwen's cache in the responses API": (
        {
            "usage": {
                "input_tokens": 2000,
                "output_tokens": 20,
                "total_tokens": 2020,
                "input_tokens_details": {"cached_tokens": 1305, "cache_creation_input_tokens": 213},
            }
        },
        {"input": 2000, "output": 20, "cached": 1305, "cache_write": 213},
    ),
    "embeddings": (
        {
            "object": "list",
            "model": "e",
            "data": [{"embedding": [0.1]}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        {"input": 8},
    ),
    "embeddings that tell a total alone": ({"object": "list", "usage": {"total_tokens": 8}}, {"input": 8}),
    # 3 + 1,000 read from the cache + 400 written to it
    "anthropic": (
        {
            "type": "message",
            "model": "claude-sonnet-4-6",
            "usage": {
                "input_tokens": 3,
                "output_tokens": 90,
                "cache_read_input_tokens": 1000,
                "cache_creation_input_tokens": 400,
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300},
                "output_tokens_details": {"thinking_tokens": 60},
            },
        },
        {"input": 1403, "output": 90, "cached": 1000, "cache_write": 400, "cache_write_1h": 300, "reasoning": 60},
    ),
    "anthropic tells writes by how long they are kept alone": (
        {"input_tokens": 3, "output_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 30}},
        {"input": 33, "output": 9, "cache_write": 30, "cache_write_1h": 30},
    ),
    "the first event of a stream of anthropic's": (
        {"type": "message_start", "message": {"usage": {"input_tokens": 4, "output_tokens": 1}}},
        {"input": 4, "output": 1},
    ),
    # what the tool read is input; thoughts are output
    "gemini": (
        {"usageMetadata": {**GEMINI, "toolUsePromptTokenCount": 300}},
        {"input": 800, "output": 130, "reasoning": 10},
    ),
    "gemini in snake case": (
        {
            "usage_metadata": {
                "prompt_token_count": 500,
                "candidates_token_count": 120,
                "thoughts_token_count": 10,
                "tool_use_prompt_token_count": 300,
                "cached_content_token_count": 200,
                "total_token_count": 930,
            }
        },
        {"input": 800, "output": 130, "reasoning": 10, "cached": 200},
    ),
    "gemini where the total alone knows of the tool": (
        {"usageMetadata": GEMINI},
        {"input": 800, "output": 130, "reasoning": 10},
    ),
    "gemini where the total alone knows of thoughts": (
        {"promptTokenCount": 5, "candidatesTokenCount": 2, "toolUsePromptTokenCount": 1, "totalTokenCount": 28},
        {"input": 6, "output": 22, "reasoning": 20},
    ),
    "gemini only thinks": (
        {"usageMetadata": {"promptTokenCount": 40, "thoughtsTokenCount": 7, "totalTokenCount": 47}},
        {"input": 40, "output": 7, "reasoning": 7},
    ),
    "gemini without a count of the answer": (
        {"promptTokenCount": 40, "totalTokenCount": 52},
        {"input": 40, "output": 12},
    ),
    "gemini without a count of the prompt": (
        {"candidatesTokenCount": 10, "thoughtsTokenCount": 2, "totalTokenCount": 52},
        {"input": 40, "output": 12, "reasoning": 2},
    ),
    "gemini counts thoughts among the answer": (
        {"promptTokenCount": 40, "candidatesTokenCount": 12, "thoughtsTokenCount": 7, "totalTokenCount": 52},
        {"input": 40, "output": 12, "reasoning": 7},
    ),
    "gemini's modalities": (
        {
            "usageMetadata": {
                "promptTokenCount": 100,
                "candidatesTokenCount": 50,
                "totalTokenCount": 150,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 20},
                    {"modality": "AUDIO", "tokenCount": 80},
                ],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
            }
        },
        {"input": 100, "output": 50, "audio_input": 80, "audio_output": 50},
    ),
    "gemini's embeddings": (
        {"usageMetadata": {"promptTokenCount": 9, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 9}]}},
        {"input": 9},
    ),
    # thoughts are in nothing but the total: 109 - 35 - 12 = 62
    "gemini in openai's spelling": (
        {"model": "gemini-2.5-pro", "usage": {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}},
        {"input": 35, "output": 74, "reasoning": 62},
    ),
    # 9 + 17,102 read + 500 written
    "bedrock converse": (
        {
            "output": {"message": {}},
            "usage": {
                "inputTokens": 9,
                "outputTokens": 100,
                "totalTokens": 17711,
                "cacheReadInputTokens": 17102,
                "cacheReadInputTokenCount": 17102,
                "cacheWriteInputTokens": 500,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 200}, {"ttl": "1h", "inputTokens": 300}],
            },
        },
        {"input": 17611, "output": 100, "cached": 17102, "cache_write": 500, "cache_write_1h": 300},
    ),
    "bedrock converse in snake case": (
        {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 20, "cache_write_input_tokens": 30},
        {"input": 59, "output": 1, "cached": 20, "cache_write": 30},
    ),
    "the end of a stream of bedrock converse": (
        {"metadata": {"usage": {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10}, "metrics": {"latencyMs": 2}}},
        {"input": 9, "output": 1},
    ),
    "bedrock's titan": (
        {"inputTextTokenCount": 5, "results": [{"tokenCount": 7, "outputText": "hello"}]},
        {"input": 5, "output": 7},
    ),
    "bedrock's llama": (
        {"generation": "hello", "prompt_token_count": 5, "generation_token_count": 7},
        {"input": 5, "output": 7},
    ),
    "bedrock's metrics": (
        {
            "amazon-bedrock-invocationMetrics": {
                "inputTokenCount": 5,
                "outputTokenCount": 7,
                "cacheReadInputTokenCount": 2,
            }
        },
        {"input": 7, "output": 7, "cached": 2},
    ),
    # billed units leave out what Cohere adds to the prompt
    "cohere": (
        {"usage": {"billed_units": {"input_tokens": 51, "output_tokens": 13}, "tokens": {"input_tokens": 1533}}},
        {"input": 51, "output": 13},
    ),
    "cohere's client": (
        {"usage": {"billed_units": {"input_tokens": 51.0, "output_tokens": 13.0}}},
        {"input": 51, "output": 13},
    ),
    "cohere's embeddings": ({"meta": {"billed_units": {"input_tokens": 4}}}, {"input": 4}),
    "mistral's own count of its cache is not billed": (
        {"usage": {"prompt_tokens": 70, "completion_tokens": 12, "total_tokens": 82, "num_cached_tokens": 69}},
        {"input": 70, "output": 12},
    ),
    "deepseek": (
        {
            "usage": {
                "prompt_tokens": 900,
                "completion_tokens": 5,
                "prompt_cache_hit_tokens": 832,
                "prompt_cache_miss_tokens": 68,
            }
        },
        {"input": 900, "output": 5, "cached": 832},
    ),
    "deepseek by hits and misses": (
        {"completion_tokens": 5, "prompt_cache_hit_tokens": 832, "prompt_cache_miss_tokens": 68},
        {"input": 900, "output": 5, "cached": 832},
    ),
    "moonshot": (
        {"usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25, "cached_tokens": 16}},
        {"input": 20, "output": 5, "cached": 16},
    ),
    "the end of a stream of groq's": (
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 20, "completion_tokens": 5, "prompt_time": 0.1}}},
        {"input": 20, "output": 5},
    ),
    # 20 + 5 + 100 of reasoning beside the completion
    "xai": (
        {
            "usage": {
                "prompt_tokens": 20,
                "completion_tokens": 5,
                "total_tokens": 125,
                "completion_tokens_details": {"reasoning_tokens": 100},
            }
        },
        {"input": 20, "output": 105, "reasoning": 100},
    ),
    "xai without a total": (
        {
            "model": "grok-4",
            "prompt_tokens": 20,
            "completion_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        {"input": 20, "output": 8, "reasoning": 3},
    ),
    # 30 answered, 200 of reasoning and 900 of citations beside
    "perplexity's deep research": (
        {
            "prompt_tokens": 20,
            "completion_tokens": 30,
            "total_tokens": 50,
            "reasoning_tokens": 200,
            "citation_tokens": 900,
        },
        {"input": 20, "output": 1130, "reasoning": 200},
    ),
    "litellm": (
        {
            "usage": {
                "prompt_tokens": 600,
                "completion_tokens": 5,
                "total_tokens": 605,
                "cache_read_input_tokens": 500,
                "cache_creation_input_tokens": 90,
                "prompt_tokens_details": {
                    "cached_tokens": 500,
                    "cache_creation_tokens": 90,
                    "cache_creation_token_details": {"ephemeral_1h_input_tokens": 80},
                },
            }
        },
        {"input": 600, "output": 5, "cached": 500, "cache_write": 90, "cache_write_1h": 80},
    ),
    "cache beside a prompt, as the total says": (
        {
            "prompt_tokens": 9,
            "completion_tokens": 1,
            "total_tokens": 60,
            "cache_read_input_tokens": 20,
            "cache_write_input_tokens": 30,
        },
        {"input": 59, "output": 1, "cached": 20, "cache_write": 30},
    ),
    "cache beside a prompt, as it is more": (
        {"prompt_tokens": 9, "completion_tokens": 1, "cache_read_input_tokens": 20},
        {"input": 29, "output": 1, "cached": 20},
    ),
    "ollama": (
        {"model": "qwen3", "prompt_eval_count": 26, "eval_count": 9, "eval_duration": 4},
        {"input": 26, "output": 9},
    ),
    "crewai's gemini": (
        {
            "prompt_token_count": 500,
            "candidates_token_count": 120,
            "completion_tokens": 130,
            "total_token_count": 930,
            "total_tokens": 930,
            "cached_prompt_tokens": 200,
            "reasoning_tokens": 10,
        },
        {"input": 800, "output": 130, "reasoning": 10, "cached": 200},
    ),
    "crewai's anthropic counts the cache in": (
        {
            "input_tokens": 50,
            "output_tokens": 5,
            "total_tokens": 55,
            "cached_prompt_tokens": 30,
            "cache_creation_tokens": 10,
        },
        {"input": 50, "output": 5, "cached": 30, "cache_write": 10},
    ),
    "crewai's openai": (
        {
            "prompt_tokens": 50,
            "completion_tokens": 5,
            "total_tokens": 55,
            "cached_prompt_tokens": 30,
            "reasoning_tokens": 2,
        },
        {"input": 50, "output": 5, "cached": 30, "reasoning": 2},
    ),
    "langchain's own": (
        {
            "input_tokens": 50,
            "output_tokens": 5,
            "total_tokens": 55,
            "input_token_details": {"cache_read": 30, "cache_creation": 0, "ephemeral_1h_input_tokens": 8, "audio": 1},
            "output_token_details": {"reasoning": 2},
        },
        {
            "input": 50,
            "output": 5,
            "cached": 30,
            "cache_write": 8,
            "cache_write_1h": 8,
            "reasoning": 2,
            "audio_input": 1,
        },
    ),
    "langchain's response metadata": (
        {"token_usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, "model_name": "gpt-4o"},
        {"input": 5, "output": 2},
    ),
    "alibaba": (
        {"usage": {"input_tokens": 20, "output_tokens": 5, "prompt_tokens_details": {"cached_tokens": 16}}},
        {"input": 20, "output": 5, "cached": 16},
    ),
    "gemini live": (
        {"usage_metadata": {"prompt_token_count": 4, "response_token_count": 6, "total_token_count": 10}},
        {"input": 4, "output": 6},
    ),
    "the end of a stream of cohere's": (
        {"type": "message-end", "delta": {"usage": {"billed_units": {"input_tokens": 5, "output_tokens": 2}}}},
        {"input": 5, "output": 2},
    ),
    "one count follows from the total": ({"prompt_tokens": 5, "total_tokens": 7}, {"input": 5, "output": 2}),
    "the other follows from the total": ({"usage": {"output_tokens": 2, "total_tokens": 7}}, {"input": 5, "output": 2}),
}


@pytest.mark.parametrize(("body", "expected"), SHAPES.values(), ids=SHAPES)
def test_the_counts_of_each_shape(body, expected):
    reading = read_body(body)
    assert compared(reading) == expected
    assert reading.is_whole
    assert reading.faults == ()


@pytest.mark.parametrize(("body", "expected"), SHAPES.values(), ids=SHAPES)
def test_objects_of_client_libraries_read_like_their_dicts(body, expected):
    assert compared(read_body(as_object(body))) == expected


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(each) for key, each in value.items()})
    return [as_object(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("body", "_expected"), SHAPES.values(), ids=SHAPES)
def test_a_part_of_a_part_is_that_part(body, _expected):
    part = usage_part(body)
    assert usage_part(part) == part


@pytest.mark.parametrize(("body", "_expected"), SHAPES.values(), ids=SHAPES)
def test_the_tables_are_walked_as_genai_prices_walks_them(body, _expected):
    spelled = spell(Counts(usage_part(body)["usage"]))
    root = {"google": "usageMetadata"}.get(spelled.provider, "usage")
    usage = {name: value for name, value in spelled.usage.items() if value is not None}
    try:
        theirs = vars(
            genai_prices.extract_usage({root: usage}, provider_id=spelled.provider, api_flavor=spelled.flavor).usage
        )
    except ValueError:  # it refuses a usage without one of the two
        assert {"input_tokens", "output_tokens"} - extract(spelled).keys()
        return
    mine = {kind: count for kind, count in extract(spelled).items() if kind not in spelled.more}
    assert mine == {kind: count for kind, count in theirs.items() if kind not in spelled.more}


def step(kind: str, read: int, written: int, model: str | None = None, **more: int) -> dict[str, Any]:
    return {"type": kind, "input_tokens": read, "output_tokens": written, **more, **({"model": model} if model else {})}


def test_a_compaction_comes_on_top_of_what_leaves_it_out():
    steps = [step("compaction", 100, 80, cache_creation_input_tokens=5000), step("message", 180, 8)]
    reading = read_body({"model": "claude-a", "usage": {"input_tokens": 180, "output_tokens": 8, "iterations": steps}})
    # 180 + 100 + 5,000 in, 8 + 80 out
    assert compared(reading) == {"input": 5280, "output": 88, "cache_write": 5000}


def test_an_answer_that_only_compacts_is_possible():
    usage = {"input_tokens": 0, "output_tokens": 0, "iterations": [step("compaction", 900, 50)]}
    reading = read_body({"usage": usage})
    assert (compared(reading), reading.is_whole) == ({"input": 900, "output": 50}, True)


def test_the_steps_of_the_answer_itself_are_in_the_top_level_already():
    usage = {"input_tokens": 30, "output_tokens": 5, "iterations": [step("message", 10, 2), step("message", 20, 3)]}
    assert compared(read_body({"usage": usage})) == {"input": 30, "output": 5}


def test_what_an_advisor_did_is_told_apart_with_its_model():
    steps = [step("message", 10, 2), step("advisor_message", 500, 40, model="claude-big"), step("message", 20, 3)]
    reading = read_body(
        {"model": "claude-small", "usage": {"input_tokens": 30, "output_tokens": 5, "iterations": steps}}
    )
    assert compared(reading) == {"input": 30, "output": 5}
    assert [(model, usage[:2]) for model, usage in reading.by_other_models] == [("claude-big", (500, 40))]


def test_of_an_answer_that_another_model_took_over_each_model_has_its_own():
    steps = [step("message", 10, 2, model="claude-big"), step("fallback_message", 20, 3, model="claude-small-20260101")]
    reading = read_body(
        {"model": "claude-small", "usage": {"input_tokens": 30, "output_tokens": 5, "iterations": steps}}
    )
    assert compared(reading) == {"input": 20, "output": 3}
    assert [(model, usage[:2]) for model, usage in reading.by_other_models] == [("claude-big", (10, 2))]


def test_a_step_without_counts_makes_the_report_an_estimate():
    usage = {"input_tokens": 30, "output_tokens": 5, "iterations": [{"type": "compaction", "input_tokens": "many"}]}
    reading = read_body({"usage": usage})
    assert (reading.is_possible, reading.faults) == (False, ("a step of the answer has no counts",))


TOKENS = {"input_tokens": 10, "output_tokens": 5}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            {"usage": {**TOKENS, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3}}},
            {"web_searches": 2},
            id="anthropic's searches cost, what it fetches does not",
        ),
        pytest.param(
            {
                "output": [
                    {"type": "web_search_call", "action": {"type": "search", "query": "secret"}},
                    {"type": "web_search_call", "action": {"type": "open_page"}},
                    {"type": "file_search_call"},
                    {"type": "function_call"},
                    {"type": "message", "content": []},
                ],
                "usage": TOKENS,
            },
            {"web_searches": 1, "storage_searches": 1},
            id="the tools of openai's responses",
        ),
        pytest.param(
            {"model": "gpt-4o-search-preview", "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
            {"web_searches": 1},
            id="a model that always searches",
        ),
        pytest.param(
            {
                "modelVersion": "gemini-3-flash",
                "usageMetadata": GEMINI,
                "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
            },
            {"web_searches": 2},
            id="gemini's searches",
        ),
        pytest.param(
            {
                "model_version": "gemini-2.5-pro",
                "usage_metadata": GEMINI,
                "candidates": [{"grounding_metadata": {"web_search_queries": ["a", "b"]}}],
            },
            {"web_searches": 1},
            id="gemini 2 is charged for the request",
        ),
        pytest.param(
            {
                "usageMetadata": {
                    "promptTokenCount": 9,
                    "candidatesTokenCount": 1290,
                    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
                }
            },
            {"output_image_tokens": 1290},
            id="gemini's images",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 70, "completion_tokens_details": {"image_tokens": 64}},
            {"output_image_tokens": 64},
            id="images of a router",
        ),
        pytest.param(
            {"usage": {"prompt_tokens": 9, "completion_tokens": 7, "server_tool_use": {"web_search_requests": 1}}},
            {"web_searches": 1},
            id="openrouter's searches",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": {"web_search_requests": 1}},
            {"web_searches": 1},
            id="litellm's searches",
        ),
        pytest.param(
            {"usage": {**TOKENS, "num_sources_used": 4, "server_side_tool_usage_details": {"x_search_calls": 2}}},
            {"search_sources": 4, "social_searches": 2},
            id="xai's searches",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 7, "citation_tokens": 5, "num_search_queries": 3},
            {"web_searches": 3, "output_citation_tokens": 5},
            id="perplexity's searches",
        ),
        pytest.param(
            {"usage": {"inputTokens": 1, "outputTokens": 2, "serverToolUsage": {"webGrounding": 1}}},
            {"server_tool_webGrounding": 1},
            id="bedrock's tools",
        ),
        pytest.param({"meta": {"billed_units": {"search_units": 1}}}, {"rerank_searches": 1}, id="cohere's rerank"),
        pytest.param(
            {"meta": {"billed_units": {"input_tokens": 4, "image_tokens": 6}}},
            {"input_image_tokens": 6},
            id="cohere's images",
        ),
        pytest.param({"usage_info": {"pages_processed": 3}}, {"input_document_pages": 3}, id="mistral's pages"),
        pytest.param({"usage": {"type": "duration", "seconds": 12.5}}, {"audio_seconds": 12.5}, id="transcription"),
    ],
)
def test_charges_beside_tokens(body, expected):
    assert read_body(body).charges == expected
    assert read_body(as_object(body)).charges == expected


CHAT = {"prompt_tokens": 10, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"usage": {**CHAT, "cost": 0.0161}}, 16_100_000, id="openrouter"),
        pytest.param({"usage": {**CHAT, "cost": 0, "is_byok": False}}, 0, id="openrouter for nothing"),
        # its fee of 0.001 and the maker's 0.02
        pytest.param(
            {"usage": {**CHAT, "cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}},
            21_000_000,
            id="openrouter with the user's own key",
        ),
        pytest.param({"usage": {**CHAT, "cost": 0, "is_byok": True}}, None, id="a maker's price that is not told"),
        pytest.param(
            {"usage": {**CHAT, "cost": {"request_cost": 0.005, "total_cost": 0.006}}}, 6_000_000, id="perplexity"
        ),
        pytest.param({"usage": {**CHAT, "cost_in_usd_ticks": 37_756_000}}, 3_775_600, id="xai"),
        pytest.param({"usage": CHAT, "_hidden_params": {"response_cost": 0.25}}, 250_000_000, id="litellm"),
        pytest.param({"usage": CHAT, "_hidden_params": {"response_cost": 0.0}}, None, id="a model unknown to litellm"),
        pytest.param({"usage": {**CHAT, "cost": -1.0}}, None, id="negative"),
        pytest.param({"usage": {**CHAT, "cost": "0.5"}}, None, id="a text"),
        pytest.param({"usage": {**CHAT, "cost": math.nan}}, None, id="no number"),
        pytest.param({"usage": {**CHAT, "cost": True}}, None, id="a truth"),
        pytest.param({"usage": {**CHAT, "cost": 1e30}}, None, id="more than there is"),
        pytest.param({"usage": CHAT, "response_cost": 10**400}, None, id="more than a float holds"),
    ],
)
def test_the_cost_that_a_provider_states(body, expected):
    assert read_body(body).billed_nanos == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"usage": CHAT, "service_tier": "default"}, None),
        ({"usage": CHAT, "service_tier": "flex"}, "flex"),
        ({"usage": CHAT, "service_tier": "on_demand"}, None),
        ({"usage": {**TOKENS, "service_tier": "priority"}}, "priority"),
        ({"usage": {**TOKENS, "service_tier": "batch", "speed": "standard"}}, "batch"),
        ({"usage": {**TOKENS, "service_tier": "standard", "speed": "fast"}}, "fast"),
        ({"usageMetadata": {**GEMINI, "trafficType": "ON_DEMAND"}}, None),
        ({"usageMetadata": {**GEMINI, "trafficType": "ON_DEMAND_FLEX"}}, "flex"),
        ({"usageMetadata": {**GEMINI, "serviceTier": "priority"}}, "priority"),
        ({"usage": {"inputTokens": 1, "outputTokens": 1}, "serviceTier": {"type": "flex"}}, "flex"),
        ({"usage": CHAT, "service_tier": "say: hello"}, None),
    ],
)
def test_the_kind_of_processing(body, expected):
    assert read_body(body).service_tier == expected


def test_a_region_that_costs_more_is_told():
    assert read_body({"usage": {**TOKENS, "inference_geo": "us"}}).inference_geo == "us"
    assert read_body({"usage": {**TOKENS, "inference_geo": "global"}}).inference_geo is None


def test_model_and_provider_are_those_of_the_body_or_of_the_caller():
    told = read_body({"model": "a/b", "provider": "Some Cloud", "usage": CHAT}, model="other")
    assert (told.provider, told.model) == ("Some Cloud", "a/b")
    hinted = read_body({"usage": CHAT}, provider="azure", model="deployment")
    assert (hinted.provider, hinted.model) == ("azure", "deployment")


@pytest.mark.parametrize(
    ("usage", "kept", "fault"),
    [
        pytest.param(
            {"input_tokens": 0, "output_tokens": 528}, {"output": 528}, "no input beside output", id="no input"
        ),
        pytest.param({"input_tokens": 0, "output_tokens": 0}, {}, "no tokens at all", id="nothing"),
        pytest.param(
            {"input_tokens": 5, "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 40}},
            {"input": 5, "output": 46, "reasoning": 40},
            "more reasoning than output",
            id="reasoning that the output seems to leave out",
        ),
        pytest.param(
            {
                "input_tokens": 5,
                "output_tokens": 6,
                "total_tokens": 11,
                "output_tokens_details": {"reasoning_tokens": 40},
            },
            {"input": 5, "output": 6},
            "more reasoning than output",
            id="reasoning that the total denies",
        ),
        pytest.param(
            {"input_tokens": 5, "output_tokens": 6, "input_tokens_details": {"cached_tokens": 40}},
            {"input": 5, "output": 6},
            "more cached than input",
            id="cached",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"audio_tokens": 40}},
            {"input": 5, "output": 6},
            "more audio than tokens",
            id="audio",
        ),
    ],
)
def test_what_cannot_be_true_is_not_what_the_provider_reports(usage, kept, fault):
    reading = read_body({"usage": usage})
    assert compared(reading) == kept
    assert (reading.is_possible, reading.is_whole, reading.faults) == (False, False, (fault,))
    check_usage(reading.usage)


@pytest.mark.parametrize(
    "usage",
    [
        {
            "prompt_tokens": 90,
            "completion_tokens": 30,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 20, "audio_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 3},
        },
        {"prompt_tokens": 90, "completion_tokens": 30, "prompt_tokens_details": {"cache_creation_tokens": 20}},
        {"prompt_tokens": 90, "completion_tokens": 30, "prompt_tokens_details": {"cache_creation_input_tokens": 20}},
        {"prompt_tokens": 90, "completion_tokens": "30", "total_tokens": 120},
        {
            "input_tokens": 90,
            "output_tokens": 30,
            "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 20},
            "output_tokens_details": {"reasoning_tokens": 7},
        },
    ],
)
def test_what_most_answers_tell_is_read_by_the_short_way_as_by_the_long_one(usage):
    # a field beside the counts, as Groq has it, has all spellings looked for
    assert read(usage_part({"usage": usage})) == read(usage_part({"usage": usage | {"queue_time": 0.5}}))


def test_output_alone_is_not_whole():
    reading = read_body({"usage": {"output_tokens": 528}})
    assert (reading.usage, reading.is_possible, reading.is_whole) == (Usage(None, 528), True, False)


def test_a_total_alone_is_the_input_of_embeddings_and_nothing_else():
    assert read_body({"usage": {"total_tokens": 8}}) is None
    assert read_body({"usage": {"total_tokens": 8}}, is_embedding=True).usage[:2] == (8, 0)


def test_a_stream_that_tells_the_input_first_and_the_output_last_tells_both():
    first = usage_part({"message": {"model": "claude-a", "usage": {"input_tokens": 9548, "output_tokens": 1}}})
    for last in ({"output_tokens": 528}, {"input_tokens": 0, "output_tokens": 528, "cache_read_input_tokens": 0}):
        reading = read(join_parts(first, usage_part({"type": "message_delta", "usage": last})))
        assert (compared(reading), reading.model) == ({"input": 9548, "output": 528}, "claude-a")


def test_more_in_total_that_nobody_names_is_no_output():
    reading = read_body({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 900}})
    assert compared(reading) == {"input": 10, "output": 5}
    assert reading.faults == ("the total is more than its parts",)


@pytest.mark.parametrize(
    "bad", ["12", -1, 12.5, 12.0, math.nan, math.inf, True, MOST_TOKENS + 1, 10**400, b"1", {"a": 1}, [1], object()]
)
@pytest.mark.parametrize("place", ["prompt_tokens", "completion_tokens", "cached_tokens"])
def test_what_is_no_count_is_never_booked(bad, place):
    usage: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    (usage["prompt_tokens_details"] if place == "cached_tokens" else usage)[place] = bad
    reading = read_body({"usage": usage})
    known = {"prompt_tokens": {"output": 5, "cached": 4}, "completion_tokens": {"input": 10, "cached": 4}}
    assert compared(reading) == known.get(place, {"input": 10, "output": 5})
    assert reading.faults
    assert reading.is_whole is (place == "cached_tokens")


@pytest.mark.parametrize(
    "body", [None, "usage", 5, [], {}, {"usage": None}, {"usage": {}}, {"usage": "many"}, object()]
)
def test_what_reports_nothing_is_none(body):
    assert usage_part(body) is None
    assert read(body) is None


def test_no_text_gets_into_a_part():
    secret = "the secret of the prompt"
    body = {
        "id": secret,
        "choices": [{"message": {"content": secret}}],
        "output": [{"type": "message", "content": [{"text": secret}]}],
        "candidates": [{"groundingMetadata": {"webSearchQueries": [secret]}}],
        "usage": {**CHAT, "note": secret, "service_tier": "flex", "details": [{"text": secret}]},
    }
    assert secret not in json.dumps(usage_part(body))
    assert secret not in json.dumps(usage_part({**CHAT, "results": [{"outputText": secret}], "text": secret}))


def test_a_part_is_bounded():
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"deeper": deep}
    wide = {f"name{number}": number for number in range(100_000)}
    body = {"usage": {**CHAT, "deep": deep, "wide": wide, "long": "x" * 1_000_000, "steps": [CHAT] * 100_000}}
    part = usage_part(body)
    assert part is not None
    assert len(json.dumps(part)) < 50_000
    reading = read(part)
    assert (reading.is_whole, reading.faults) == (False, ("the report is too big",))


def test_counts_that_are_only_a_part_of_the_calls_are_kept_and_not_taken_for_the_providers_own():
    part = usage_part({"usage": CHAT})
    assert part is not None
    reading = read({**part, "is_partial": True})
    whole = read(part)
    assert reading is not None
    assert whole is not None
    assert (reading.usage, reading.is_whole, reading.faults) == (whole.usage, False, ())


def test_fields_that_a_client_library_does_not_know_yet_are_read():
    class Inner(BaseModel):
        model_config = ConfigDict(extra="allow")
        prompt_tokens: int

    class Outer(BaseModel):
        usage: Inner

    body = Outer(
        usage=Inner.model_validate({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8})
    )
    assert compared(read_body(body)) == {"input": 10, "output": 5, "cached": 8}


def test_the_cost_that_litellm_hides_in_its_objects_is_read():
    class Response(BaseModel):
        usage: dict[str, int]
        _hidden_params: dict[str, Any] = PrivateAttr(default_factory=lambda: {"response_cost": 0.25})

    assert read_body(Response(usage=CHAT)).billed_nanos == 250_000_000


def test_enumerations_of_a_client_library_are_read():
    class Modality(Enum):
        AUDIO = "AUDIO"

    details = [{"modality": Modality.AUDIO, "token_count": 3}]
    usage = {"prompt_token_count": 4, "candidates_token_count": 1, "prompt_tokens_details": details}
    assert compared(read_body({"usage_metadata": usage})) == {"input": 4, "output": 1, "audio_input": 3}


WORDS = """
usage usageMetadata usage_metadata iterations cost cost_details billed_units model prompt_tokens completion_tokens
total_tokens prompt_tokens_details cached_tokens output input_tokens output_tokens cache_creation cacheDetails
promptTokensDetails tools type promptTokenCount totalTokenCount inputTokens results inputTextTokenCount searches
serverToolUsage server_side_tool_usage_details seconds service_tier speed inference_geo modality tokenCount
"""
NAMES = st.sampled_from(WORDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "12", "flex"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_no_body_raises_nor_gives_what_no_call_can_have(body):
    part = usage_part(body)
    reading = read(None if part is None else json.loads(json.dumps(part)))
    for each in (reading, read(body)):  # a spool that somebody else wrote
        if each is not None:
            check_usage(each.usage)
            assert all(count > 0 for count in each.charges.values())
            assert each.billed_nanos is None or each.billed_nanos >= 0
