"""What the tests of alerts share: a real HTTP receiver on this machine, and settings that lead there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tc_core import SQLiteStorage, settings


class Receiver:
    """Takes webhooks; answers with what it was given, then with 200. A status of None hangs until the end."""

    def __init__(self):
        self.requests, self.answers, self.headers = [], [], {}
        self.came, self.ended = threading.Condition(), threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.came:
                    status = receiver.answers.pop(0) if receiver.answers else 200
                    receiver.requests.append((self.path, dict(self.headers.items()), body))
                    receiver.came.notify_all()
                if status is None:
                    receiver.ended.wait(120)
                    return
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def bodies(self):
        return [json.loads(body) for _, _, body in self.requests]

    def wait_for(self, count, seconds=60):
        """Wait until so many requests have come: this is a limit for a test that fails, not for one that passes."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} came"
        return self.bodies

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Write a settings file, and have it read."""

    def write(text):
        (tmp_path / "token_calculator.yaml").write_text(text)
        settings.forget()

    return write


@pytest.fixture
def to_receiver(configure, receiver):
    """Have webhooks go to the receiver; `rules` are lines of the settings file below `alerts:`."""

    def write(rules=""):
        lines = f"  webhook_url: {receiver.url}\n  webhook_secret: secret\n  allow_private_webhooks: true\n"
        configure(f"alerts:\n{lines}{rules}")

    return write


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "alerts.db") as store:
        yield store
