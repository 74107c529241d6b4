"""Asking the parts about each request once: whoever asks first, a middleware or the hook of the call itself."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tc_core.adapter import Recorder


@dataclass(slots=True, eq=False)
class _Asked:
    """A request that the parts of a recorder were asked about, under an id."""

    recorder: Recorder
    event_id: bytes
    may_cut: bool = True
    is_made: bool = False


_asked: ContextVar[tuple[_Asked, ...]] = ContextVar("tc_langchain_asked", default=())
"""What the parts were asked about of the request that is made next here."""


@contextmanager
def asked(recorder: Recorder, event_id: bytes, *, may_cut: bool = True) -> Iterator[None]:
    """Have the next model call of a block not asked about again: it is what the parts were asked about.

    Where no call is made in it, the parts are told so. Its stream is not watched unless it `may_cut`.
    """
    mine = _Asked(recorder, event_id, may_cut)
    token = _asked.set((*_asked.get(), mine))
    try:
        yield
    finally:
        _asked.reset(token)
        if not mine.is_made:
            recorder.withdraw(event_id)


def asked_as(recorder: Recorder, metadata: Mapping[str, Any]) -> _Asked | None:
    """Return as what a call that begins was asked about; then the one after it, such as a retry, was not.

    What LangChain's own middlewares ask a model for themselves (`lc_source`) is another request.
    """
    if "lc_source" in metadata:
        return None
    for each in _asked.get():
        if each.recorder is recorder and not each.is_made:
            each.is_made = True  # for all copies of the context
            return each
    return None


def is_asked(recorder: Recorder, metadata: Mapping[str, Any]) -> bool:
    """Tell whether a call that begins was asked about."""
    return "lc_source" not in metadata and any(each.recorder is recorder and not each.is_made for each in _asked.get())


class Batches:
    """The prompts of a batch that were let through: where a later one is refused, LangChain sends none of them."""

    def __init__(self) -> None:
        self._here = threading.local()

    def refused(self, parameters: object) -> Exception | None:
        """Return what a prompt of the same request was refused with, whose parameters are the same object.

        Asynchronous completion models begin those that come after it all the same, and send none.
        """
        found: tuple[object, Exception] | None = getattr(self._here, "refused", None)
        return found[1] if found is not None and found[0] is parameters else None

    def note_refusal(self, parameters: object, refusal: Exception) -> None:
        """Note what a prompt of a request is refused with."""
        self._here.refused = (parameters, refusal)

    def admitted(self, run_id: UUID, batch_size: int, *, is_refused: bool) -> list[UUID]:
        """Note what became of one prompt of a batch, whose hooks come one after another; return what is not sent."""
        begun: list[UUID] = getattr(self._here, "begun", [])
        begun = [*begun, run_id] if batch_size > 1 else [run_id]
        self._here.begun = begun if batch_size > 1 and not is_refused and len(begun) < batch_size else []
        return begun if is_refused else []
