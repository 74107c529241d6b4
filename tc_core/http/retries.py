"""Calls that have failed and that their client library may try again: held open until that is known.

A library that counts its tries in a header says with each how often it has tried before, and nothing tells when it
gives up. What is held is let go of, as failed when it failed, by the next request at that place, by any question to the
store, at the end of the process, and after `RETRY_SECONDS`.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tc_core.http.endpoints import content
from tc_core.model.clock import clock
from tc_core.record import context
from tc_core.record.recorder import Recorder

RETRY_SECONDS = 120


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A call whose last request has failed."""

    recorder: Recorder
    key: object
    fingerprint: bytes
    retry: int
    error_type: str
    at_us: int

    def let_go(self) -> None:
        """Note that the call has failed, unless it was tried again."""
        if _held.pop(id(self), None) is not None and self.recorder.is_open(self.key):
            self.recorder.fail(self.key, error_type=self.error_type, at_us=self.at_us)


_held: dict[int, Held] = {}
"""Each step on it is one of the interpreter's own, so that it needs no lock."""
_here: ContextVar[Held | None] = ContextVar("token_calculator_held", default=None)


def hold(call: Held) -> None:
    """Wait whether a call that has failed is tried again here."""
    _held[id(call)] = call
    _here.set(call)


def take(recorder: Recorder, fingerprint: bytes, retry: int) -> object | None:
    """Return the key of the failed call that a request tries again here, or None for a request of a call of its own."""
    call = _here.get()
    if call is not None:
        _here.set(None)
        is_same = call.recorder is recorder and call.fingerprint == fingerprint and call.retry == retry - 1
        if is_same and _held.pop(id(call), None) is not None and recorder.is_open(call.key):
            return call.key
        call.let_go()
    oldest_us = clock.wall_ns() // 1000 - RETRY_SECONDS * 1_000_000
    for each in list(_held.values()):
        if each.at_us < oldest_us:
            each.let_go()
    return None


def let_go_of_all() -> None:
    """Note as failed what nobody has tried again so far: a question wants to know."""
    for each in list(_held.values()):
        each.let_go()


def fingerprint(request: Any) -> bytes:
    """Return what is the same in each try of a request."""
    return blake2b(str(request.url).encode() + b"\n" + content(request), digest_size=16).digest()


context.catch_up_by("http", let_go_of_all)
