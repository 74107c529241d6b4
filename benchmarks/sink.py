"""A server on this machine that swallows what tracing libraries send: it counts bytes and spans and answers at once."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TO_A_SPAN = (1, 2, 2)
"""The fields of an ExportTraceServiceRequest that lead to a span: resource_spans, scope_spans, spans."""


class Sink:
    """An HTTP server on the loopback interface, while its block lasts.

    `bytes` are those of the bodies as they were sent, `spans` those of OTLP in protobuf.
    """

    def __enter__(self) -> Self:
        self.bytes = self.spans = 0
        self._lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sink._take(self._body(), self.headers)
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def log_message(self, *args: Any) -> None:
                pass

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _answer(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", self.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: bytes, headers: Any) -> None:
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        is_trace = headers.get("Content-Type") == "application/x-protobuf"
        spans = count_messages(plain, TO_A_SPAN) if is_trace else 0
        with self._lock:
            self.bytes += len(body)
            self.spans += spans


def count_messages(body: bytes, fields: tuple[int, ...]) -> int:
    """Count the messages of protobuf that lie under these fields, one inside the other."""
    found = [each for field, each in _parts(body) if field == fields[0]]
    if len(fields) == 1:
        return len(found)
    return sum(count_messages(each, fields[1:]) for each in found)


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of a message that have a length, each with its number."""
    at = 0
    while at < len(body):
        tag, at = _number(body, at)
        kind = tag & 7
        if kind == 2:
            length, at = _number(body, at)
            yield tag >> 3, body[at : at + length]
            at += length
        elif kind == 0:
            _, at = _number(body, at)
        else:
            at += {1: 8, 5: 4}[kind]


def _number(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
