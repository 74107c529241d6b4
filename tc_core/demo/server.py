"""A model server on this machine: speaks the OpenAI API over a real socket, answers from a script, costs nothing.

It serves `token-calc demo`, examples and tests. What it counted (`exchanges`) is the truth that tests hold against what
was recorded.
"""

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tc_core.demo import answers
from tc_core.demo.script import Step, TextCounter, TokenCounts, Turn, four_characters_a_token, turn

Request = Mapping[str, Any]
Respond = Callable[[Request], Step | None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that arrived: what it said, the status it was answered with, and the tokens counted for it."""

    path: str
    request: Request
    headers: Mapping[str, str]
    status: int
    model: str
    tokens: TokenCounts | None

    @property
    def attempt(self) -> int:
        """How often the client had tried before."""
        return int(self.headers.get("x-stainless-retry-count", 0))


class ModelServer:
    """An OpenAI-compatible server on the loopback interface.

    >>> with ModelServer() as server:
    ...     server.push(Step(text="Hello."))
    ...     client = OpenAI(base_url=server.base_url, api_key="any")

    Each request takes the next step of the script; without one `respond` decides by the request; else the answer
    repeats what the user said. `count` counts the tokens of a text; `cached_tokens` and `reasoning_tokens` are part
    of every answer.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        respond: Respond | None = None,
        count: TextCounter = four_characters_a_token,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self._respond = respond
        self._count = count
        self._cached_tokens = cached_tokens
        self._reasoning_tokens = reasoning_tokens
        self._script: deque[Step] = deque()
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def requests(self) -> list[Request]:
        """The bodies of all requests, in the order of their arrival."""
        return [exchange.request for exchange in self.exchanges]

    def push(self, *steps: Step) -> None:
        """Add steps to the script."""
        with self._lock:
            self._script.extend(steps)

    def start(self) -> Self:
        """Begin to serve, on a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def turn_for(self, request: Request) -> Turn:
        """Work out the answer to a request."""
        with self._lock:
            step = self._script.popleft() if self._script else None
        if step is None and self._respond is not None:
            step = self._respond(request)
        return turn(step or Step(), request, self._count, self._cached_tokens, self._reasoning_tokens)

    def embedding_tokens(self, request: Request) -> int:
        """Count the tokens of a request for embeddings."""
        inputs = answers.embedding_inputs(request)
        return sum(self._count(item) if isinstance(item, str) else len(item) for item in inputs)

    def note(self, exchange: Exchange) -> None:
        """Remember a request."""
        with self._lock:
            self.exchanges.append(exchange)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], server: ModelServer) -> None:
        self.model_server = server
        super().__init__(address, _Handler)


_PLAIN = {"chat/completions": answers.chat, "completions": answers.text, "responses": answers.responses}
_STREAMED = {
    "chat/completions": answers.chat_stream,
    "completions": answers.text_stream,
    "responses": answers.responses_stream,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's acknowledgement
    server: _Http

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:  # the name that http.server wants
        self._send_json({"object": "list", "data": [{"id": "local", "object": "model", "owned_by": "local"}]})

    def do_POST(self) -> None:  # the same
        length = int(self.headers.get("Content-Length") or 0)
        try:
            request = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            self._send_json({"error": {"message": "the body is not JSON", "type": "invalid_request_error"}}, 400)
            return
        try:
            self._answer(self.path.rstrip("/").removeprefix("/v1/"), request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has gone; that is its right

    def _answer(self, endpoint: str, request: Request) -> None:
        server = self.server.model_server
        if endpoint == "embeddings":
            tokens = server.embedding_tokens(request)
            self._note(request, 200, str(request.get("model")), TokenCounts(tokens, 0))
            self._send_json(answers.embeddings(request, tokens))
        elif endpoint in _PLAIN:
            self._answer_turn(endpoint, request, server.turn_for(request))
        else:
            self._send_json({"error": {"message": f"no endpoint {endpoint}", "type": "not_found"}}, 404)

    def _answer_turn(self, endpoint: str, request: Request, answer: Turn) -> None:
        time.sleep(answer.step.delay)
        status = answer.step.status or 200
        self._note(request, status, answer.model, None if status >= 400 else answer.tokens)
        if status >= 400:
            message = answer.step.text or f"scripted error {status}"
            error = {"message": message, "type": "scripted_error", "code": None}
            self._send_json({"error": error}, status, {"retry-after-ms": "20"})
        elif request.get("stream"):
            self._send_events(_STREAMED[endpoint](answer, request), answer.step.chunk_delay)
        else:
            self._send_json(_PLAIN[endpoint](answer, request))

    def _note(self, request: Request, status: int, model: str, tokens: TokenCounts | None) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.model_server.note(Exchange(self.path, request, headers, status, model, tokens))

    def _send_json(
        self, payload: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", f"req_{uuid.uuid4().hex[:10]}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self, events: answers.Events, pause: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for name, payload in events:
            body = payload if isinstance(payload, str) else json.dumps(payload)
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {body}\n\n".encode())
            self.wfile.flush()
            time.sleep(pause)
