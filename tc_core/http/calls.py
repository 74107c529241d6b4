"""The requests that are on their way: attempts of a framework's model call, or calls of their own."""

import importlib
from functools import partial
from typing import Any

from tc_core.http import retries
from tc_core.http.endpoints import Asked, asked
from tc_core.http.reading import Answer, answer, prompt, reported
from tc_core.http.retries import Held, fingerprint
from tc_core.http.streams import Passed, guard, watch
from tc_core.model.clock import clock
from tc_core.model.event import Status
from tc_core.model.segment import Segment
from tc_core.model.usage import Report
from tc_core.record import context
from tc_core.record.guard import attempt, never_raises
from tc_core.record.pending import status_of
from tc_core.record.recorder import Recorder
from tc_core.runtime.recorders import recorder_for
from tc_core.store.base import StorageBackend

_RETRY_COUNT = "x-stainless-retry-count"
_RETRIED = frozenset({408, 409, 429})

NOTHING_SAID = Answer()


@never_raises
def begin(storage: StorageBackend | None, request: Any) -> "Attempt | Call | None":
    """Note that a request is sent; return what is to be told of its answer, or None for what is no business of ours."""
    if request.method != "POST":
        return None
    what = attempt(asked, request)
    note = context.caller(None if what is None else what.event_type)
    if note is not None:
        return Attempt(request, note)
    return None if what is None else Call.of(recorder_for(storage), request, what)


class Attempt:
    """A request of a model call that a framework tells of."""

    def __init__(self, request: Any, note: context.Note) -> None:
        self._note, self._retry, self._cut = note, _retry(request), context.cutter()
        self._started_ns = clock.steady_ns()

    @never_raises
    def answered(self, response: Any) -> None:
        """Note an answer; the body of a stream is the framework's to read, until it is cut."""
        if self._cut is not None and response.is_success and not response.is_stream_consumed:
            guard(response, self._cut)
        self._tell(response.status_code, attempt(reported, response))

    @never_raises
    def failed(self, error: BaseException) -> None:
        """Note that no answer came."""
        self._tell(None, None)

    def _tell(self, status: int | None, report: Report | None) -> None:
        latency_us = (clock.steady_ns() - self._started_ns) // 1000
        self._note(retry=self._retry, status=status, latency_us=latency_us, report=report)


class Call:
    """A request that is a model call of its own, or one more try of such a call."""

    def __init__(self, recorder: Recorder, key: object, request: Any, print_: bytes) -> None:
        self._recorder, self._key, self._retry, self._print = recorder, key, _retry(request), print_
        self._counts_retries = _RETRY_COUNT in request.headers
        self._started_ns = clock.steady_ns()
        self._status: int | None = None

    @classmethod
    def of(cls, recorder: Recorder, request: Any, what: Asked) -> "Call":
        """Note that a model is asked, unless a client library only tries again what has failed here."""
        print_ = fingerprint(request)
        repeated = retries.take(recorder, print_, _retry(request))
        if repeated is not None:
            return cls(recorder, repeated, request, print_)
        key = object()
        recorder.start(
            what.event_type,
            key=key,
            model=what.model,
            provider=what.provider,
            content=partial(_prompt, what),
        )
        return cls(recorder, key, request, print_)

    @never_raises
    def answered(self, response: Any) -> None:
        """Note an answer, or have its end noted if its body is still to be read."""
        self._status = response.status_code
        if not response.is_success:
            self._error(f"HTTP {self._status}", may_retry=self._status in _RETRIED or self._status >= 500)
        elif response.is_stream_consumed:
            said = attempt(answer, response.content, response.headers.get("content-type", ""))
            self._finish(said or NOTHING_SAID, is_complete=True)
        else:
            library = type(response).__module__.partition(".")[0]
            watch(response, partial(self._ended, library, dict(response.headers)))

    @never_raises
    def failed(self, error: BaseException) -> None:
        """Note that no answer came."""
        if status_of(error) == "error":
            self._error(type(error).__name__, may_retry=True)
        else:
            self._finish(NOTHING_SAID, error)

    def _ended(self, library: str, headers: dict[str, str], passed: Passed) -> None:
        content = attempt(_decoded, library, headers, passed.content)
        said = None if content is None else attempt(answer, content, headers.get("content-type", ""))
        self._finish(said or NOTHING_SAID, passed.error, is_complete=passed.is_complete)

    def _finish(self, said: Answer, error: BaseException | None = None, *, is_complete: bool = False) -> None:
        if not self._recorder.is_open(self._key):
            return
        status: Status = "ok"
        error_type = said.error_type
        if error_type is not None:
            status = "error"
        elif not said.is_whole and not is_complete:
            status = "closed" if error is None else status_of(error)
            error_type = type(error).__name__ if status == "error" else None
        self._attempted(said)
        self._recorder.finish(
            self._key,
            status=status,
            error_type=error_type,
            model=said.model,
            output=said.output,
        )

    def _error(self, error_type: str, *, may_retry: bool) -> None:
        """Note a failure, now or once it is known that the client library does not try again."""
        if not self._recorder.is_open(self._key):
            return
        self._attempted(NOTHING_SAID)
        if may_retry and self._counts_retries:
            retries.hold(Held(self._recorder, self._key, self._print, self._retry, error_type, clock.wall_ns() // 1000))
        else:
            self._recorder.fail(self._key, error_type=error_type)

    def _attempted(self, said: Answer) -> None:
        latency_us = (clock.steady_ns() - self._started_ns) // 1000
        self._recorder.attempt(
            self._key, retry=self._retry, status=self._status, latency_us=latency_us, report=said.report
        )


def _retry(request: Any) -> int:
    return attempt(int, request.headers.get(_RETRY_COUNT, 0)) or 0


def _prompt(what: Asked) -> list[Segment]:
    return attempt(prompt, what.body) or []


def _decoded(library: str, headers: dict[str, str], body: bytes | None) -> bytes | None:
    """Return a body without its compression, as the library itself takes that off."""
    encoding = headers.get("content-encoding")
    if body is None or encoding is None:
        return body
    module: Any = importlib.import_module(library)
    try:
        decoded: bytes = module.Response(200, headers={"content-encoding": encoding}, content=body).content
    except module.DecodingError:  # it broke off
        return None
    return decoded
