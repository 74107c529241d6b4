"""A server on this machine that answers as told, in whatever provider's language."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Said:
    """One answer: a JSON value, or the pieces of a stream."""

    body: object = field(default_factory=dict)
    status: int = 200
    kind: str | None = None
    headers: dict = field(default_factory=dict)
    pause: float = 0.0


class Told:
    """A server that gives its answers in their order, the last one again and again."""

    def __init__(self):
        told, self.answers, self.seen = self, [], []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.do_POST()

            def do_POST(self):
                sent = self.rfile.read(int(self.headers.get("content-length") or 0))
                told.seen.append((self.path, sent))
                said = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
                pieces = said.body if isinstance(said.body, list) else [json.dumps(said.body)]
                is_stream = isinstance(said.body, list)
                self.send_response(said.status)
                self.send_header(
                    "content-type", said.kind or ("text/event-stream" if is_stream else "application/json")
                )
                self.send_header("transfer-encoding", "chunked")
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for piece in pieces:
                        piece = piece if isinstance(piece, bytes) else piece.encode()
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                        self.wfile.flush()
                        time.sleep(said.pause)
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    self.close_connection = True

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def say(self, *answers):
        self.answers = [each if isinstance(each, Said) else Said(each) for each in answers]


@pytest.fixture
def told():
    server = Told()
    yield server
    server.http.shutdown()
    server.http.server_close()
