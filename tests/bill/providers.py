"""A server that answers as the APIs of providers do, with usage of which the right reading was worked out by hand.

It says `{"name": "Rome"}`, which is an answer and an object at once; where a request has tools, it calls the first one
with that.
"""

import json
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tc_core import Usage

SAID = '{"name": "Rome"}'
CALLED = {"name": "Rome"}

USAGE = {
    "chat": {
        "prompt_tokens": 1100,
        "completion_tokens": 300,
        "total_tokens": 1400,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 200},
    },
    "responses": {
        "input_tokens": 1100,
        "output_tokens": 300,
        "total_tokens": 1400,
        "input_tokens_details": {"cached_tokens": 1000},
        "output_tokens_details": {"reasoning_tokens": 200},
    },
    "anthropic": {
        "input_tokens": 100,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 700,
        "output_tokens": 50,
    },
    "gemini": {
        "promptTokenCount": 500,
        "cachedContentTokenCount": 100,
        "toolUsePromptTokenCount": 300,
        "candidatesTokenCount": 120,
        "thoughtsTokenCount": 10,
        "totalTokenCount": 930,
    },
    "bedrock": {
        "inputTokens": 9,
        "cacheReadInputTokens": 17_000,
        "cacheWriteInputTokens": 102,
        "outputTokens": 100,
        "totalTokens": 17_211,
    },
}
RIGHT = {
    "chat": Usage(1100, 300, 1000, None, 200),
    "responses": Usage(1100, 300, 1000, None, 200),
    "anthropic": Usage(1000, 50, 700, 200),  # 100 + 200 written + 700 read
    "gemini": Usage(800, 130, 100, None, 10),  # 500 + 300 that a tool read; 120 + 10 thoughts
    "bedrock": Usage(17_111, 100, 17_000, 102),  # 9 + 17,000 read + 102 written
}


def told(usage):
    """Return the counts of a usage that are more than zero: some classes tell a zero where nothing was said."""
    return {name: count for name, count in (usage or Usage())._asdict().items() if count}


class Providers(ThreadingHTTPServer):
    """Answers as whichever API a path belongs to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.paths = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        self.server.paths.append(self.path)
        api = next(api for mark, api in _PATHS if mark in self.path)
        kind, content = _ANSWERS[api](request, request.get("stream") is True or "stream" in self.path.lower())
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_PATHS = (
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/messages", "anthropic"),
    ("enerateContent", "gemini"),
    ("/converse", "bedrock"),
)


def _chat(request, is_stream):
    tool = request["tools"][0]["function"]["name"] if request.get("tools") else None
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": json.dumps(CALLED)}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]} if tool else _said("content")
    head = {"id": "c1", "created": 1, "model": request["model"]}
    end = "tool_calls" if tool else "stop"
    if not is_stream:
        choice = {"index": 0, "message": message, "finish_reason": end}
        return _json({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE["chat"]})
    head["object"] = "chat.completion.chunk"
    delta = {**message, "tool_calls": [{"index": 0, **call}]} if tool else message
    chunks = [{**head, "choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in (delta,)]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": USAGE["chat"]})
    return _events(chunks, last="data: [DONE]\n\n")


def _responses(request, is_stream):
    tool = request["tools"][0]["name"] if request.get("tools") else None
    text = {"type": "output_text", "text": SAID, "annotations": []}
    item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
    call = {
        "type": "function_call",
        "id": "f1",
        "call_id": "call_1",
        "name": tool,
        "arguments": json.dumps(CALLED),
        "status": "completed",
    }
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": request["model"],
        "output": [call if tool else item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "usage": USAGE["responses"],
    }
    if not is_stream:
        return _json(whole)
    at = {"item_id": "f1" if tool else "m1", "output_index": 0}
    if tool:
        said = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**call, "arguments": ""}},
            {"type": "response.function_call_arguments.delta", **at, "delta": call["arguments"]},
            {"type": "response.function_call_arguments.done", **at, "arguments": call["arguments"], "name": tool},
            {"type": "response.output_item.done", "output_index": 0, "item": call},
        ]
    else:
        said = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.content_part.added", **at, "content_index": 0, "part": {**text, "text": ""}},
            {"type": "response.output_text.delta", **at, "content_index": 0, "delta": SAID, "logprobs": []},
            {"type": "response.output_text.done", **at, "content_index": 0, "text": SAID, "logprobs": []},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
        ]
    begun = {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    events = [begun, *said, {"type": "response.completed", "response": whole}]
    return _events({**event, "sequence_number": number} for number, event in enumerate(events))


def _anthropic(request, is_stream):
    tool = request["tools"][0]["name"] if request.get("tools") else None
    block = (
        {"type": "tool_use", "id": "toolu_1", "name": tool, "input": CALLED} if tool else {"type": "text", "text": SAID}
    )
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [block],
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": USAGE["anthropic"],
    }
    if not is_stream:
        return _json(message)
    empty = {**block, "input": {}} if tool else {**block, "text": ""}
    delta = {"type": "input_json_delta", "partial_json": SAID} if tool else {"type": "text_delta", "text": SAID}
    begun = {**message, "content": [], "stop_reason": None, "usage": {**USAGE["anthropic"], "output_tokens": 1}}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return _events(
        [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ended, "usage": USAGE["anthropic"]},
            {"type": "message_stop"},
        ]
    )


def _gemini(request, is_stream):
    tools = request.get("tools")
    name = tools[0]["functionDeclarations"][0]["name"] if tools else None
    part = {"functionCall": {"name": name, "args": CALLED}} if tools else {"text": SAID}
    said = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    whole = {"candidates": [said], "usageMetadata": USAGE["gemini"], "modelVersion": "gemini-2.5-flash"}
    return _events([whole]) if is_stream else _json(whole)


def _bedrock(request, is_stream):
    tools = (request.get("toolConfig") or {}).get("tools")
    call = {"toolUseId": "t1", "name": tools[0]["toolSpec"]["name"]} if tools else None
    end = {"stopReason": "tool_use" if tools else "end_turn"}
    facts = {"usage": USAGE["bedrock"], "metrics": {"latencyMs": 1}}
    if not is_stream:
        block = {"toolUse": {**call, "input": CALLED}} if tools else {"text": SAID}
        return _json({"output": {"message": {"role": "assistant", "content": [block]}}, **end, **facts})
    events = [("messageStart", {"role": "assistant"})]
    if tools:
        events.append(("contentBlockStart", {"start": {"toolUse": call}, "contentBlockIndex": 0}))
    delta = {"toolUse": {"input": SAID}} if tools else {"text": SAID}
    events += [
        ("contentBlockDelta", {"delta": delta, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", end),
        ("metadata", facts),
    ]
    return "application/vnd.amazon.eventstream", b"".join(_frame(*event) for event in events)


_ANSWERS = {
    "chat": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}


def _said(name):
    return {"role": "assistant", name: SAID}


def _json(said):
    return "application/json", json.dumps(said).encode()


def _events(events, *, last=""):
    named = ((f"event: {event['type']}\n" if "type" in event else "", json.dumps(event)) for event in events)
    return "text/event-stream", ("".join(f"{name}data: {said}\n\n" for name, said in named) + last).encode()


def _frame(event, payload):
    """One event as AWS sends it: lengths and their checksum, headers, the payload, and a checksum of all."""
    told_ = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in told_.items()
    )
    body = json.dumps(payload).encode()
    lengths = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    whole = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + body
    return whole + struct.pack(">I", zlib.crc32(whole))
