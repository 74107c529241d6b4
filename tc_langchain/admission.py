"""Asking the parts about each request once: whoever asks first, a middleware or the hook of the call itself."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from tc_core.adapter import Recorder

_asked: ContextVar[list[Recorder] | None] = ContextVar("tc_langchain_asked", default=None)
"""The recorders whose parts were asked about the request that is made next here."""


@contextmanager
def asked(recorder: Recorder) -> Iterator[None]:
    """Have the next model call of a block not asked about again: it is what the parts were asked about."""
    token = _asked.set([*(_asked.get() or ()), recorder])
    try:
        yield
    finally:
        _asked.reset(token)


def is_asked(recorder: Recorder, metadata: Mapping[str, Any]) -> bool:
    """Tell whether a call that begins was asked about; then the one after it, such as a retry, was not.

    What LangChain's own middlewares ask a model for themselves (`lc_source`) is another request.
    """
    recorders = _asked.get()
    if not recorders or "lc_source" in metadata or recorder not in recorders:
        return False
    recorders.remove(recorder)  # the list is shared by all copies of the context
    return True


class Batches:
    """The prompts of a batch that were let through: where a later one is refused, LangChain sends none of them."""

    def __init__(self) -> None:
        self._here = threading.local()

    def admitted(self, run_id: UUID, batch_size: int, *, is_refused: bool) -> list[UUID]:
        """Note what became of one prompt of a batch, whose hooks come one after another; return what is not sent."""
        begun: list[UUID] = getattr(self._here, "begun", [])
        begun = [*begun, run_id] if batch_size > 1 else [run_id]
        self._here.begun = begun if batch_size > 1 and not is_refused and len(begun) < batch_size else []
        return begun if is_refused else []
