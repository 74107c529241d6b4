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


class Replay(Server):
    """Answers every request with one body, or with a stream of pieces."""

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
