"""What real providers answer, replayed through CrewAI's own clients: their figures are what is recorded."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from crewai import LLM

from tests.langchain import answers


class Replay(ThreadingHTTPServer):
    """Answers every request with one body, or with a stream of pieces; sets no header that is not needed."""

    daemon_threads = True
    body: object = None


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = self.server.body
        is_stream = isinstance(body, list)
        sent = "".join(f"data: {json.dumps(piece)}\n\n" for piece in body) + "data: [DONE]\n\n" if is_stream else None
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if is_stream else "application/json")
        self.end_headers()
        self.wfile.write((sent or json.dumps(body)).encode())


@pytest.fixture(scope="module")
def replay():
    server = Replay(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def call(replay, **options):
    url = f"http://127.0.0.1:{replay.server_address[1]}/v1"
    LLM(model="openai/any", base_url=url, api_key="x", max_retries=0, **options).call("hello")


@pytest.mark.parametrize("name", answers.PLAIN)
def test_answers_in_openais_format(name, replay, store):
    replay.body, expected = answers.PLAIN[name]
    call(replay)
    (event,) = store.query_events()
    assert (event.status, event.usage_source) == ("ok", "provider")
    assert event.usage[:2] == expected[:2]
    assert (event.usage.cached_tokens or 0) == (expected.cached_tokens or 0)  # CrewAI tells 0 for what is not said
    assert (event.usage.reasoning_tokens or 0) == (expected.reasoning_tokens or 0)


@pytest.mark.parametrize("name", answers.STREAMS)
def test_streams_in_openais_format(name, replay, store):
    replay.body, expected = answers.STREAMS[name]
    replay.body = list(replay.body)
    call(replay, stream=True)
    (event,) = store.query_events()
    assert (event.status, event.usage[:2]) == ("ok", expected[:2])
