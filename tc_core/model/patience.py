"""How long a piece of work may wait for others in all: a question, the end of a program."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("token_calculator_patience", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Have all waits in a block end after so many seconds together, or sooner where a block around it says so."""
    before, until = _until.get(), time.monotonic() + seconds
    token = _until.set(until if before is None else min(before, until))
    try:
        yield
    finally:
        _until.reset(token)


def is_out() -> bool:
    """Whether nothing may be waited for here any more: what fails then is not at fault."""
    return not left(1.0)


def left(most: float) -> float:
    """Return how many seconds may be waited here, at most `most`."""
    until = _until.get()
    return most if until is None else max(min(most, until - time.monotonic()), 0.0)
