"""HTTP clients that see what callbacks are not told: the retries of a client library, and the tokens of embeddings.

>>> ChatOpenAI(http_client=tracking_client(), http_async_client=async_tracking_client())

A request that belongs to a recorded call becomes one of its attempts: it says more about the call, and never adds to
its cost. A request for embeddings that belongs to none is recorded as an event of its own.
"""

import time
from pathlib import Path
from typing import Any

import orjson

from tc_core.model import ids
from tc_core.model.event import EventRecord
from tc_core.model.usage import MOST_TOKENS, Usage
from tc_core.record.context import requesting
from tc_core.record.guard import attempt, never_raises
from tc_core.runtime.recorders import open_storage, recorder_for
from tc_core.store.base import StorageBackend

try:
    import httpx
except ModuleNotFoundError as error:
    raise ImportError("httpx is not installed: pip install httpx") from error

Storage = StorageBackend | str | Path | None

_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)


class TrackingClient(httpx.Client):
    """An `httpx.Client` that records what it sends; see `tracking_client`."""

    def __init__(self, *, storage: Storage = None, **options: Any) -> None:
        super().__init__(**options)
        self._storage = open_storage(storage)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request as `httpx.Client` does, and note it."""
        begun = _Begun()
        try:
            response = super().send(request, **options)
        except httpx.TransportError:
            begun.note(self._storage, request, None)
            raise
        begun.note(self._storage, request, response)
        return response


class AsyncTrackingClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that records what it sends; see `async_tracking_client`."""

    def __init__(self, *, storage: Storage = None, **options: Any) -> None:
        super().__init__(**options)
        self._storage = open_storage(storage)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request as `httpx.AsyncClient` does, and note it."""
        begun = _Begun()
        try:
            response = await super().send(request, **options)
        except httpx.TransportError:
            begun.note(self._storage, request, None)
            raise
        begun.note(self._storage, request, response)
        return response


def tracking_client(storage: Storage = None, **options: Any) -> httpx.Client:
    """Return a client for `http_client=` of the OpenAI and Anthropic libraries and of what is built on them.

    `options` are those of `httpx.Client`; redirects and the number of connections are as in OpenAI's own client.
    """
    return TrackingClient(storage=storage, **{"follow_redirects": True, "limits": _LIMITS, **options})


def async_tracking_client(storage: Storage = None, **options: Any) -> httpx.AsyncClient:
    """Return the same for asyncio, for `http_async_client=` in LangChain."""
    return AsyncTrackingClient(storage=storage, **{"follow_redirects": True, "limits": _LIMITS, **options})


class _Begun:
    """A request that is on its way."""

    __slots__ = ("at_us", "started_ns")

    def __init__(self) -> None:
        self.at_us, self.started_ns = time.time_ns() // 1000, time.perf_counter_ns()

    @never_raises
    def note(self, storage: StorageBackend, request: httpx.Request, response: httpx.Response | None) -> None:
        """Book a request under the call that is open here, or embeddings by themselves."""
        if request.method != "POST":
            return
        latency_us = (time.perf_counter_ns() - self.started_ns) // 1000
        answer = attempt(_answer, response) or {}
        usage, status = attempt(_usage, answer), None if response is None else response.status_code
        belongs = requesting.get()
        if belongs is not None:
            recorder, key = belongs
            retry = attempt(int, request.headers.get("x-stainless-retry-count", 0)) or 0
            if recorder.attempt(key, retry=retry, status=status, latency_us=latency_us, usage=usage):
                return
        if usage is not None and request.url.path.endswith("/embeddings"):
            record = EventRecord(ids.new_id(), "embedding", self.at_us, status="ok", latency_us=latency_us)
            model = answer.get("model")
            record.model = model if isinstance(model, str) else None
            record.usage, record.usage_source = usage, "provider"
            recorder = recorder_for(storage)
            recorder.add(recorder.place(record))


def reported(response: httpx.Response) -> Usage | None:
    """Return the tokens that the body of an answer reports; None for a stream, an error or a body not read."""
    return _usage(_answer(response) or {})


def _answer(response: httpx.Response | None) -> dict[str, Any] | None:
    """Return the body of an answer that is read already; a stream is never read here."""
    if response is None or not response.is_success or not response.is_stream_consumed:
        return None
    if "json" not in response.headers.get("content-type", ""):
        return None
    body = orjson.loads(response.content)
    return body if isinstance(body, dict) else None


def _usage(answer: dict[str, Any]) -> Usage | None:
    """Return what an answer reports, as OpenAI and Anthropic name it."""
    reported = answer.get("usage")
    if not isinstance(reported, dict):
        return None
    read = reported.get("prompt_tokens", reported.get("input_tokens"))
    written = reported.get("completion_tokens", reported.get("output_tokens", 0))
    are_counts = all(type(count) is int and 0 <= count <= MOST_TOKENS for count in (read, written))
    return Usage(read, written) if are_counts else None
