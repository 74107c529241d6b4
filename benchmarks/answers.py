"""Answers of providers, whole or as streams, around the usage that is laid down: what a server says in each API.

Texts are invented; where which part of a usage stands is as the providers document it.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Body = Mapping[str, Any]
Sent = tuple[str, bytes]
"""A content type, and what is sent."""


class Tool(NamedTuple):
    """A tool that an answer asks for."""

    name: str
    arguments: Body


_TOLD_LAST = ("cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens", "output_tokens")
_TOLD_LAST_TOO = ("server_tool_use", "iterations", "output_tokens_details")


class Wanted(NamedTuple):
    """An answer of a model with this body's usage; a tool is asked for only where it is no stream."""

    model: str
    body: Body
    is_stream: bool
    text: str = "Hello"
    tool: Tool | None = None


def answer(api: str, wanted: Wanted) -> Sent:
    """Return an answer in the words of an API."""
    return _ANSWERS[api](wanted)


def _chat(wanted: Wanted) -> Sent:
    model, body, is_stream, text, tool = wanted
    head = {"id": "c1", "created": 1, "model": model}
    if not is_stream:
        said: dict[str, Any] = {"role": "assistant", "content": text if tool is None else None}
        if tool is not None:
            asked = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
            said["tool_calls"] = [{"id": "t1", "type": "function", "function": asked}]
        choice = {"index": 0, "message": said, "finish_reason": "stop" if tool is None else "tool_calls"}
        return _json({**head, "object": "chat.completion", "choices": [choice], "usage": body["usage"]})
    head["object"] = "chat.completion.chunk"
    pieces = [({"role": "assistant", "content": text}, None), ({}, "stop")]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in pieces]
    return streamed([*chunks, {**head, "choices": [], "usage": body["usage"]}], last="data: [DONE]\n\n")


def _responses(wanted: Wanted) -> Sent:
    model, body, is_stream, text, tool = wanted
    part = {"type": "output_text", "text": text, "annotations": []}
    item: dict[str, Any] = {
        "type": "message",
        "id": "m1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    if tool is not None:
        asked = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
        item = {"type": "function_call", "id": "f1", "call_id": "t1", "status": "completed", **asked}
    whole: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "usage": body["usage"],
    }
    if not is_stream:
        return _json(whole)
    place = {"item_id": "m1", "output_index": 0, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return streamed({**event, "sequence_number": number} for number, event in enumerate(events))


def _anthropic(wanted: Wanted) -> Sent:
    model, body, is_stream, text, tool = wanted
    usage = body["usage"]
    content: dict[str, Any] = {"type": "text", "text": text}
    if tool is not None:
        content = {"type": "tool_use", "id": "t1", "name": tool.name, "input": tool.arguments}
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [content],
        "stop_reason": "end_turn" if tool is None else "tool_use",
        "stop_sequence": None,
        "usage": usage,
    }
    if not is_stream:
        return _json(message)
    first = {name: value for name, value in usage.items() if name not in _TOLD_LAST_TOO} | {"output_tokens": 1}
    last = {name: usage[name] for name in (*_TOLD_LAST, *_TOLD_LAST_TOO) if name in usage}
    return streamed(
        [
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": first}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": last},
            {"type": "message_stop"},
        ]
    )


def _gemini(wanted: Wanted) -> Sent:
    model, body, is_stream, text, tool = wanted
    part = {"text": text} if tool is None else {"functionCall": {"name": tool.name, "args": tool.arguments}}
    said = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    whole = {"candidates": [said], "usageMetadata": body["usageMetadata"], "modelVersion": model, "responseId": "r1"}
    if not is_stream:
        return _json(whole)
    counts = {"promptTokenCount": body["usageMetadata"]["promptTokenCount"]}
    counts["totalTokenCount"] = counts["promptTokenCount"]
    first = {**whole, "candidates": [{"content": said["content"], "index": 0}], "usageMetadata": counts}
    last = {**said, "content": {"role": "model", "parts": [{"text": ""}]}}
    return streamed([first, {**whole, "candidates": [last]}])


def _bedrock(wanted: Wanted) -> Sent:
    _, body, is_stream, text, tool = wanted
    if not is_stream:
        part: dict[str, Any] = {"text": text}
        if tool is not None:
            part = {"toolUse": {"toolUseId": "t1", "name": tool.name, "input": tool.arguments}}
        said = {"message": {"role": "assistant", "content": [part]}}
        end = "end_turn" if tool is None else "tool_use"
        return _json({"output": said, "stopReason": end, "usage": body["usage"], "metrics": {"latencyMs": 1}})
    events = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": text}, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": body["usage"], "metrics": {"latencyMs": 1}}),
    ]
    return framed(events)


def _embeddings(wanted: Wanted) -> Sent:
    vectors = [{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}]
    return _json({"object": "list", "data": vectors, "model": wanted.model, "usage": wanted.body["usage"]})


_ANSWERS = {
    "chat": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "embeddings": _embeddings,
}


def _json(said: object) -> Sent:
    return "application/json", json.dumps(said).encode()


def streamed(events: Iterable[Body], *, last: str = "") -> Sent:
    """Return events as they are streamed."""
    named = ((f"event: {event['type']}\n" if "type" in event else "", json.dumps(event)) for event in events)
    return "text/event-stream", ("".join(f"{name}data: {said}\n\n" for name, said in named) + last).encode()


def framed(events: Iterable[tuple[str, object]]) -> Sent:
    """Return events as AWS streams them."""
    return "application/vnd.amazon.eventstream", b"".join(_frame(*event) for event in events)


def _frame(event: str, payload: object) -> bytes:
    """Return one event as AWS sends it: lengths and their checksum, headers, the payload, and a checksum of all."""
    told = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in told.items()
    )
    body = json.dumps(payload).encode()
    lengths = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    whole = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + body
    return whole + struct.pack(">I", zlib.crc32(whole))
