"""Answers of real providers, as their APIs send them: where each says what was used, in its own words.

Texts are shortened; fields, counts and their relations are those of the providers.
"""

from tc_core import Usage

CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_763_000_000}
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_763_000_000}
STOP = [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "logprobs": None, "finish_reason": "stop"}]


def chat(model, usage, **more):
    return {**CHAT, "model": model, "choices": STOP, "usage": usage, **more}


def chunks(model, *usages, last=None):
    """A stream whose pieces have the usages given, and one more with `last` and no choices."""
    head = {**CHUNK, "model": model}
    for number, usage in enumerate(usages):
        choice = {"index": 0, "delta": {"role": "assistant", "content": "word "}, "finish_reason": None}
        if number == len(usages) - 1:
            choice["finish_reason"] = "stop"
        yield {**head, "choices": [choice], **({} if usage is None else {"usage": usage})}
    if last is not None:
        yield {**head, "choices": [], "usage": last}


PLAIN = {
    "openai: cached and reasoning": (
        chat(
            "o4-mini-2025-04-16",
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 192,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            service_tier="default",
            system_fingerprint=None,
        ),
        Usage(2006, 300, 1920, None, 192, 0, 0),
    ),
    "openai: flex": (
        chat(
            "gpt-5-2025-08-07",
            {
                "prompt_tokens": 1500,
                "completion_tokens": 80,
                "total_tokens": 1580,
                "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0},
            },
            service_tier="flex",
        ),
        Usage(1500, 80, 1024, None, 64, 0, 0),
    ),
    "openai: audio": (
        chat(
            "gpt-4o-audio-preview-2024-12-17",
            {
                "prompt_tokens": 120,
                "completion_tokens": 90,
                "total_tokens": 210,
                "prompt_tokens_details": {"audio_tokens": 100, "cached_tokens": 0, "text_tokens": 20},
                "completion_tokens_details": {"audio_tokens": 70, "reasoning_tokens": 0, "text_tokens": 20},
            },
        ),
        Usage(120, 90, 0, None, 0, 100, 70),
    ),
    "azure: with its filters": (
        chat(
            "gpt-4o-2024-11-20",
            {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 20},
            prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}],
        ),
        Usage(11, 9),
    ),
    "deepseek: hits and misses": (
        chat(
            "deepseek-chat",
            {
                "prompt_tokens": 1017,
                "completion_tokens": 9,
                "total_tokens": 1026,
                "prompt_tokens_details": {"cached_tokens": 960},
                "prompt_cache_hit_tokens": 960,
                "prompt_cache_miss_tokens": 57,
            },
        ),
        Usage(1017, 9, 960),
    ),
    "xai: reasoning beside the completion": (
        chat(
            "grok-4.20",
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
                "num_sources_used": 0,
            },
        ),
        Usage(32, 103, 6, None, 94, 0, 0),
    ),
    "gemini, OpenAI-compatible: thoughts only in the total": (
        chat("gemini-2.5-flash", {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 620}),
        Usage(8, 612, reasoning_tokens=600),  # 620 - 8 - 12
    ),
    "groq: with its times": (
        chat(
            "llama-3.3-70b-versatile",
            {
                "queue_time": 0.05,
                "prompt_tokens": 40,
                "prompt_time": 0.01,
                "completion_tokens": 5,
                "completion_time": 0.02,
                "total_tokens": 45,
                "total_time": 0.03,
            },
            service_tier="on_demand",
            x_groq={"id": "req_01"},
        ),
        Usage(40, 5),
    ),
    "openrouter: with its price": (
        chat(
            "anthropic/claude-sonnet-4.5",
            {
                "prompt_tokens": 194,
                "completion_tokens": 2,
                "total_tokens": 196,
                "cost": 0.000612,
                "is_byok": False,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
            },
            provider="Anthropic",
        ),
        Usage(194, 2, 0, None, 0, 0, None),
    ),
    "vllm: null details": (
        chat(
            "Qwen/Qwen3-8B",
            {"prompt_tokens": 21, "completion_tokens": 4, "total_tokens": 25, "prompt_tokens_details": None},
            service_tier=None,
            kv_transfer_params=None,
        ),
        Usage(21, 4),
    ),
}

STREAMS = {
    "openai: usage in a last chunk": (
        list(
            chunks(
                "gpt-4o-mini-2024-07-18",
                None,
                None,
                last={"prompt_tokens": 19, "completion_tokens": 2, "total_tokens": 21},
            )
        ),
        Usage(19, 2),
    ),
    "xai: sums so far in each chunk": (
        [
            *chunks(
                "grok-4.20",
                *(
                    {"prompt_tokens": 38, "completion_tokens": number, "total_tokens": 38 + number}
                    for number in (1, 2, 3)
                ),
            )
        ],
        Usage(38, 3),
    ),
    "vllm: sums so far, and once more at the end": (
        [
            *chunks(
                "Qwen/Qwen3-8B",
                {"prompt_tokens": 21, "completion_tokens": 1, "total_tokens": 22},
                {"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23},
                last={"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23},
            )
        ],
        Usage(21, 2),
    ),
}

MESSAGE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello!"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
}

ANTHROPIC = {
    "a cache is written": (
        {
            "input_tokens": 21,
            "cache_creation_input_tokens": 188_086,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 188_086, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 393,
            "service_tier": "standard",
        },
        Usage(188_107, 393, 0, 188_086, None, None, None, 0),
    ),
    "a cache is read": (
        {
            "input_tokens": 21,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 188_086,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 393,
            "service_tier": "standard",
        },
        Usage(188_107, 393, 188_086, 0, None, None, None, 0),
    ),
    "a cache for five minutes and one for an hour": (
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 556,
            "cache_read_input_tokens": 1800,
            "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 503,
            "service_tier": "standard",
        },
        Usage(2366, 503, 1800, 556, None, None, None, 100),
    ),
    "before there were hours": (
        {
            "input_tokens": 50,
            "cache_creation_input_tokens": 1000,
            "cache_read_input_tokens": 0,
            "output_tokens": 5,
        },
        Usage(1050, 5, 0, 1000),
    ),
}


def anthropic_stream(started, ended):
    """A stream of Anthropic's: what is read is told at its start, what is written at its end."""
    yield {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": started}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for word in ("Hello", "!"):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": ended}
    yield {"type": "message_stop"}


_STARTED = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 1000,
    "output_tokens": 1,
    "service_tier": "standard",
}
ANTHROPIC_STREAMS = {
    "the end tells all": (
        [*anthropic_stream(_STARTED, {**_STARTED, "output_tokens": 15})],
        Usage(1025, 15, 1000),
    ),
}
