"""Servers on loopback for one test: one that answers with what it is given, and what others are made of."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Quiet(BaseHTTPRequestHandler):
    """Says nothing of its requests."""

    def log_message(self, *_arguments):
        pass

    def read(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, kind, content):
        """Answer without a header that is not needed."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """Serves on a port that is free."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(server):
    """Serve for a block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


ELSEWHERE = [
    ("openai/gpt-oss-120b", "http://api.groq.com/openai/v1", "groq", 750_000),  # 0.15 and 0.60 dollars a million
    ("qwen/qwen3-32b", "http://api.groq.com/openai/v1", "groq", 880_000),  # 0.29 and 0.59
    ("openai/gpt-oss-120b", "http://nobody.example/v1", None, 219_000),  # 0.039 and 0.18, where nobody is known
]
"""Models of which a server is asked in OpenAI's language, whose it is, and the cost there of 1,000 tokens each way."""


def answered(model):
    """Return an answer of a thousand tokens to a thousand."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": [choice], "usage": usage}


class Replay(Server):
    """Answers every request with one body, or with a stream of pieces; also as the proxy to any other server."""

    body: object = None

    def __init__(self):
        super().__init__(_Replayed)


class _Replayed(Quiet):
    def do_POST(self):
        self.read()
        body = self.server.body
        if not isinstance(body, list):
            self.answer("application/json", json.dumps(body).encode())
            return
        sent = "".join(map(_piece, body))
        sent += "" if "type" in body[0] or "candidates" in body[0] else "data: [DONE]\n\n"
        self.answer("text/event-stream", sent.encode())


def _piece(piece):
    named = f"event: {piece['type']}\n" if "type" in piece else ""
    return f"{named}data: {json.dumps(piece)}\n\n"
