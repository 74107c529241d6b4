"""A real client for the server on this machine, and one that answers with what it is given."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain_openai import ChatOpenAI


@pytest.fixture
def chat(server):
    """Make a chat model that talks to the server."""

    def make(model="gpt-4o-mini", **options):
        return ChatOpenAI(model=model, base_url=server.base_url, api_key="x", **{"max_retries": 0, **options})

    return make


class Replay(ThreadingHTTPServer):
    """Answers every request with one body, or with a stream of pieces."""

    daemon_threads = True
    body: object = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = self.server.body
        if isinstance(body, list):
            named = (f"event: {piece['type']}\n" if "type" in piece else "" for piece in body)
            pieces = (f"data: {json.dumps(piece)}\n\n" for piece in body)
            sent = "".join(f"{name}{piece}" for name, piece in zip(named, pieces, strict=True))
            sent += "" if "type" in body[0] or "candidates" in body[0] else "data: [DONE]\n\n"
        else:
            sent = json.dumps(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if isinstance(body, list) else "application/json")
        self.end_headers()
        self.wfile.write(sent.encode())


@pytest.fixture
def replay():
    server = Replay(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
