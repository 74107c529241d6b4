"""A server that answers as the APIs of providers do, with usage of which the right reading was worked out by hand.

It says `{"name": "Rome"}`, which is an answer and an object at once; where a request has tools, it calls the first one
with that.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks import answers
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
        is_stream, tool = request.get("stream") is True or "tream" in self.path, _tool(api, request)
        if tool is not None and is_stream:
            kind, content = _TOOLS_STREAMED[api](request, tool)
        else:
            body = {"usageMetadata" if api == "gemini" else "usage": USAGE[api]}
            asked = None if tool is None else answers.Tool(tool, CALLED)
            wanted = answers.Wanted(request.get("model", "any"), body, is_stream, SAID, asked)
            kind, content = answers.answer(api, wanted)
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


def _tool(api, request):
    """Return the name of the first tool that a request offers, where each API has it."""
    tools = (request.get("toolConfig") or {}).get("tools") if api == "bedrock" else request.get("tools")
    if not tools or "toolResult" in json.dumps(request):  # it has what it wanted
        return None
    first = tools[0]
    if api == "gemini":
        return first["functionDeclarations"][0]["name"]
    return (first.get("function") or first.get("toolSpec") or first)["name"]


def _chat(request, tool):
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": SAID}}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
    deltas = [({"role": "assistant", "content": None, "tool_calls": [call]}, None), ({}, "tool_calls")]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
    return answers.streamed([*chunks, {**head, "choices": [], "usage": USAGE["chat"]}], last="data: [DONE]\n\n")


def _responses(request, tool):
    call = {"type": "function_call", "id": "f1", "call_id": "call_1", "name": tool, "status": "completed"}
    called = {**call, "arguments": SAID}
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": request["model"],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
    }
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    done = {**whole, "status": "completed", "output": [called], "usage": USAGE["responses"]}
    at = {"item_id": "f1", "output_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**call, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", **at, "delta": SAID},
        {"type": "response.function_call_arguments.done", **at, "arguments": SAID, "name": tool},
        {"type": "response.output_item.done", "output_index": 0, "item": called},
        {"type": "response.completed", "response": done},
    ]
    return answers.streamed({**event, "sequence_number": number} for number, event in enumerate(events))


def _anthropic(request, tool):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"], "content": []}
    first = {**message, "stop_reason": None, "stop_sequence": None, "usage": {**USAGE["anthropic"], "output_tokens": 1}}
    block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    return answers.streamed(
        [
            {"type": "message_start", "message": first},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": SAID}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ended, "usage": USAGE["anthropic"]},
            {"type": "message_stop"},
        ]
    )


def _gemini(request, tool):
    part = {"functionCall": {"name": tool, "args": CALLED}}
    said = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    return answers.streamed(
        [{"candidates": [said], "usageMetadata": USAGE["gemini"], "modelVersion": "gemini-2.5-flash"}]
    )


def _bedrock(request, tool):
    events = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStart", {"start": {"toolUse": {"toolUseId": "t1", "name": tool}}, "contentBlockIndex": 0}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": SAID}}, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": USAGE["bedrock"], "metrics": {"latencyMs": 1}}),
    ]
    return answers.framed(events)


_TOOLS_STREAMED = {
    "chat": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}
