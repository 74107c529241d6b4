"""A model server that answers with what a real one has answered before: recorded once, and offline from then on.

What it keeps of a request is how many tokens it has and hashes of its parts, never a text; of an answer all. A request
that has changed since gets the answer of the one it resembles most, with the input tokens that it has now.
"""

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tc_core.errors import ConfigurationError
from tc_core.meter import tokens

Request = Mapping[str, Any]

ASK_SECONDS = 600
"""How long a real server may take for an answer while it is recorded."""

_HEADERS = ("authorization", "x-api-key", "api-key", "anthropic-version", "anthropic-beta", "openai-organization")
"""What of a request's headers a real server needs; none of it is kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer, and what is known of the request that it answered."""

    path: str
    model: str
    is_stream: bool
    parts: tuple[str, ...]
    """Hashes of the messages and tools, in their order."""
    tokens: int
    """What these weigh, by the model's tokenizer."""
    status: int
    kind: str
    body: str


class RecordedAnswers:
    """A server on the loopback interface that answers what was recorded into a file.

    With `upstream`, the address of a real server, it passes everything on, and the file is written anew when it stops.
    Without, nothing is asked outside; a missing file is a ConfigurationError, and a request that nothing was recorded
    for is answered with an error that says so.

    >>> with RecordedAnswers("answers.json") as server:
    ...     run_my_agent(base_url=server.base_url)
    """

    def __init__(self, path: str | Path, *, upstream: str | None = None) -> None:
        self.path = Path(path)
        self.upstream = None if upstream is None else upstream.rstrip("/")
        self.answers: list[Answer] = [] if upstream is not None else _read(self.path)
        self._unused = list(self.answers)
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if self.upstream is not None and kind is None:
            _write(self.path, self.answers)

    def answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a request, from the real server or from the file."""
        request = json.loads(body or b"{}")
        parts, weight = _parts(request)
        asked = (path, str(request.get("model") or ""), bool(request.get("stream")))
        if self.upstream is not None:
            status, kind, text = self._ask(path, body, headers)
            found = Answer(*asked, parts, weight, status, kind, text)
            with self._lock:
                self.answers.append(found)
            return found
        alike = self._alike(asked, parts)
        if alike is None:
            return _nothing(asked, self.path)
        return alike if alike.parts == parts else _with_input(alike, weight - alike.tokens)

    def _alike(self, asked: tuple[str, str, bool], parts: tuple[str, ...]) -> Answer | None:
        """Return the answer of the very request, else of the one that most parts are the same of, each once."""
        with self._lock:
            same = [each for each in self._unused if (each.path, each.model, each.is_stream) == asked]
            best = max(same, key=lambda each: _resemblance(each.parts, parts), default=None)
            exact = next(
                (each for each in self.answers if each.parts == parts and (each.path, each.model) == asked[:2]), None
            )
            if exact is not None and (best is None or best.parts != parts):
                return exact  # asked more often than it was recorded
            if best is not None:
                self._unused.remove(best)
            return best

    def _ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, str]:
        given = {name: value for name, value in headers.items() if name.lower() in _HEADERS}
        given |= {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        asked = urllib.request.Request(f"{self.upstream}{path}", data=body, headers=given)  # noqa: S310  # the user's
        try:
            with urllib.request.urlopen(asked, timeout=ASK_SECONDS) as response:  # noqa: S310  # the same
                return response.status, response.headers.get_content_type(), response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get_content_type(), error.read().decode(errors="replace")
        except OSError as error:
            said = {"error": {"message": f"{self.upstream} cannot be reached: {error}", "type": "not_reached"}}
            return 502, "application/json", json.dumps(said)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answers: RecordedAnswers) -> None:
        self.recorded = answers
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_POST(self) -> None:  # the name that http.server wants
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            found = self.server.recorded.answer(self.path.removeprefix("/v1"), body, dict(self.headers.items()))
            sent = found.body.encode()
            self.send_response(found.status)
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(sent)))
            if found.status >= 400:
                self.send_header("x-should-retry", "false")  # which OpenAI's and Anthropic's clients heed
            self.end_headers()
            self.wfile.write(sent)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has gone


# What is kept of a request


def _parts(request: Request) -> tuple[tuple[str, ...], int]:
    """Return hashes of the parts of a request that are paid for, and what they weigh together."""
    said: list[Any] = []
    for name in ("tools", "system", "instructions", "messages", "input", "prompt", "response_format"):
        value = request.get(name)
        said += value if isinstance(value, list) else [] if value is None else [value]
    texts = [each if isinstance(each, str) else json.dumps(each, sort_keys=True, ensure_ascii=False) for each in said]
    model = str(request.get("model") or "")
    return tuple(map(_hash, texts)), sum(tokens.count(text, model, corrects=False).tokens for text in texts)


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _resemblance(recorded: tuple[str, ...], parts: tuple[str, ...]) -> tuple[bool, int, int]:
    """Return how much two requests resemble each other: larger is more."""
    shared = len(set(recorded) & set(parts))
    return recorded == parts, shared, -abs(len(recorded) - len(parts))


# What is answered


def _nothing(asked: tuple[str, str, bool], path: Path) -> Answer:
    what = f"a request of {asked[1]} to {asked[0]}{', streamed' if asked[2] else ''}"
    said = f"no answer to {what} is left in {path}: record it anew (pytest --token-record)"
    body = json.dumps({"error": {"message": said, "type": "not_recorded"}})
    return Answer(*asked, (), 0, 404, "application/json", body)


def _with_input(answer: Answer, more: int) -> Answer:
    """Return an answer whose usage says so many more input tokens."""
    if answer.kind != "text/event-stream":
        body = _changed(answer.body, more)
    else:
        lines = answer.body.split("\n")
        body = "\n".join(f"data: {_changed(line[6:], more)}" if line.startswith("data: {") else line for line in lines)
    return Answer(**{**asdict(answer), "parts": answer.parts, "body": body})


def _changed(text: str, more: int) -> str:
    try:
        payload = json.loads(text)
    except ValueError:
        return text
    _add(payload, more)
    return json.dumps(payload, ensure_ascii=False)


_INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount")
_CACHED = ("cached_tokens", "cache_read_input_tokens", "cachedContentTokenCount")
_TOTAL = ("total_tokens", "totalTokenCount")


def _add(payload: object, more: int) -> None:
    """Add to the counts of input wherever a usage is told."""
    if isinstance(payload, list):
        for each in payload:
            _add(each, more)
    if not isinstance(payload, dict):
        return
    for name, value in payload.items():
        if name in ("usage", "usageMetadata") and isinstance(value, dict):
            _add_to_usage(value, more)
        else:
            _add(value, more)


def _add_to_usage(usage: dict[str, Any], more: int) -> None:
    counts = [name for name in _INPUT if isinstance(usage.get(name), int) and usage[name]]
    for name in (*counts, *(name for name in _TOTAL if isinstance(usage.get(name), int))):
        usage[name] = max(usage[name] + more, 1)
    for details in (usage, *(each for each in usage.values() if isinstance(each, dict))):
        for name in _CACHED:
            if isinstance(details.get(name), int) and counts:
                details[name] = min(details[name], usage[counts[0]])


# The file


def _read(path: Path) -> list[Answer]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return [Answer(**{**each, "parts": tuple(each["parts"])}) for each in said["answers"]]
    except FileNotFoundError:
        raise ConfigurationError(
            f"there are no recorded answers at {path}: record them once, with a real model (pytest --token-record)"
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{path} has no recorded answers: {error}") from error


def _write(path: Path, answers: list[Answer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    written = json.dumps({"version": 1, "answers": [asdict(each) for each in answers]}, ensure_ascii=False, indent=1)
    new.write_text(f"{written}\n", encoding="utf-8")
    new.replace(path)
