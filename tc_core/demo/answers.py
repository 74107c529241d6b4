"""The payloads of the OpenAI API: chat completions, completions, responses and embeddings, plain and streamed."""

import base64
import struct
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from tc_core.demo.script import Turn

Payload = dict[str, Any]
Events = Iterator[tuple[str | None, Payload | str]]
"""Server-sent events: a name or None, and the data."""


def chat_usage(turn: Turn) -> Payload:
    """Return the usage of chat and text completions."""
    tokens = turn.tokens
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def responses_usage(turn: Turn) -> Payload:
    """Return the usage of the Responses API."""
    tokens = turn.tokens
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.completion,
    }


# Chat completions


def chat(turn: Turn, request: Mapping[str, Any]) -> Payload:
    """Answer a chat completion."""
    message: Payload = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.tool_calls
        ]
    choice = {"message": message, "logprobs": None, "finish_reason": turn.finish}
    answer = {
        **_head("chatcmpl", "chat.completion", turn),
        "service_tier": _service_tier(request),
        "choices": [{"index": index, **choice} for index in range(request.get("n") or 1)],
    }
    return answer if turn.step.no_usage else {**answer, "usage": chat_usage(turn)}


def chat_stream(turn: Turn, request: Mapping[str, Any]) -> Events:
    """Answer a chat completion in pieces; usage comes last, and only when it was asked for."""
    includes_usage = _includes_usage(request)
    head = {**_head("chatcmpl", "chat.completion.chunk", turn), "service_tier": _service_tier(request)}

    def chunk(delta: Payload, finish: str | None = None) -> tuple[None, Payload]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, {**head, "choices": [choice], **({"usage": None} if includes_usage else {})}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for number, piece in enumerate(turn.pieces):
        if number == turn.step.cut_after:
            return
        yield chunk({"content": piece})
    for index, call in enumerate(turn.tool_calls):
        function = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": call.arguments}}]})
    yield chunk({}, turn.finish)
    if includes_usage and not turn.step.no_usage:
        yield None, {**head, "choices": [], "usage": chat_usage(turn)}
    yield None, "[DONE]"


# Text completions


def text(turn: Turn, request: Mapping[str, Any]) -> Payload:
    """Answer a text completion, each of its prompts."""
    prompts = request.get("prompt")
    choice = {"text": turn.text, "logprobs": None, "finish_reason": "stop"}
    count = len(prompts) if isinstance(prompts, list) else 1
    answer = {
        **_head("cmpl", "text_completion", turn),
        "choices": [{"index": index, **choice} for index in range(count)],
    }
    return answer if turn.step.no_usage else {**answer, "usage": chat_usage(turn)}


def text_stream(turn: Turn, request: Mapping[str, Any]) -> Events:
    """Answer a text completion in pieces."""
    head = _head("cmpl", "text_completion", turn)
    for number, piece in enumerate(turn.pieces):
        if number == turn.step.cut_after:
            return
        yield None, {**head, "choices": [{"index": 0, "text": piece, "finish_reason": None}]}
    yield None, {**head, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    if _includes_usage(request) and not turn.step.no_usage:
        yield None, {**head, "choices": [], "usage": chat_usage(turn)}
    yield None, "[DONE]"


# Responses


def responses(turn: Turn, request: Mapping[str, Any]) -> Payload:
    """Answer the Responses API."""
    return {
        "id": f"resp_{uuid.uuid4().hex[:16]}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "model": turn.model,
        "output": list(_response_items(turn)),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": request.get("tools") or [],
        "temperature": 1.0,
        "top_p": 1.0,
        "truncation": "disabled",
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": None, "summary": None},
        "metadata": {},
        "previous_response_id": request.get("previous_response_id"),
        "service_tier": _service_tier(request),
        "usage": None if turn.step.no_usage else responses_usage(turn),
    }


def responses_stream(turn: Turn, request: Mapping[str, Any]) -> Events:
    """Answer the Responses API in pieces."""
    final = responses(turn, request)
    started = {**final, "status": "in_progress", "output": [], "usage": None}
    events: list[tuple[str, Payload]] = [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
    ]
    for index, item in enumerate(final["output"]):
        where = {"item_id": item["id"], "output_index": index}
        body = _message_events(turn, item, where) if item["type"] == "message" else _call_events(item, where)
        events += [*body, ("response.output_item.done", {"output_index": index, "item": item})]
    events.append(("response.completed", {"response": final}))
    sent = 0
    for number, (kind, fields) in enumerate(events):
        sent += kind == "response.output_text.delta"
        if turn.step.cut_after is not None and sent > turn.step.cut_after:
            return
        yield kind, {"type": kind, "sequence_number": number, **fields}


def _response_items(turn: Turn) -> Iterator[Payload]:
    if turn.text:
        part = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        yield {
            "id": f"msg_{uuid.uuid4().hex[:12]}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
    for call in turn.tool_calls:
        yield {
            "id": f"fc_{uuid.uuid4().hex[:12]}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }


def _message_events(turn: Turn, item: Payload, where: Payload) -> list[tuple[str, Payload]]:
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    at = {**where, "content_index": 0}
    begun = {**item, "status": "in_progress", "content": []}
    return [
        ("response.output_item.added", {"output_index": where["output_index"], "item": begun}),
        ("response.content_part.added", {"part": part, **at}),
        *(("response.output_text.delta", {"delta": piece, "logprobs": [], **at}) for piece in turn.pieces),
        ("response.output_text.done", {"text": turn.text, "logprobs": [], **at}),
        ("response.content_part.done", {"part": {**part, "text": turn.text}, **at}),
    ]


def _call_events(item: Payload, where: Payload) -> list[tuple[str, Payload]]:
    begun = {**item, "status": "in_progress", "arguments": ""}
    arguments = item["arguments"]
    return [
        ("response.output_item.added", {"output_index": where["output_index"], "item": begun}),
        ("response.function_call_arguments.delta", {"delta": arguments, **where}),
        ("response.function_call_arguments.done", {"arguments": arguments, "name": item["name"], **where}),
    ]


# Embeddings


def embeddings(request: Mapping[str, Any], tokens: int) -> Payload:
    """Answer with vectors that depend on the text alone."""
    inputs = embedding_inputs(request)
    width = request.get("dimensions") or 8
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _vector(item, width, request.get("encoding_format")),
            }
            for index, item in enumerate(inputs)
        ],
        "model": request.get("model"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def embedding_inputs(request: Mapping[str, Any]) -> list[str | list[int]]:
    """Return the texts, or lists of token ids, that are to be embedded."""
    inputs: Any = request.get("input") or []
    is_one = isinstance(inputs, str) or (inputs and isinstance(inputs[0], int))
    return [inputs] if is_one else list(inputs)


def _vector(item: str | list[int], width: int, encoding: str | None) -> list[float] | str:
    seed = sum(map(ord, item)) if isinstance(item, str) else sum(item)
    vector = [(seed * (place + 3)) % 97 / 97 + 0.01 for place in range(width)]
    return base64.b64encode(struct.pack(f"<{width}f", *vector)).decode() if encoding == "base64" else vector


def _head(prefix: str, kind: str, turn: Turn) -> Payload:
    return {
        "id": f"{prefix}-{uuid.uuid4().hex[:16]}",
        "object": kind,
        "created": int(time.time()),
        "model": turn.model,
        "system_fingerprint": "fp_local",
    }


def _service_tier(request: Mapping[str, Any]) -> str:
    """Return the tier of the answer: the one that was asked for, as a provider that has room for it gives it."""
    tier = request.get("service_tier")
    return tier if tier in ("flex", "priority") else "default"


def _includes_usage(request: Mapping[str, Any]) -> bool:
    return bool((request.get("stream_options") or {}).get("include_usage"))
