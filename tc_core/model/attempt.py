"""The HTTP requests that a call took: each retry of a client library is one more."""

from collections.abc import Sequence
from typing import NamedTuple

from tc_core.model.usage import Usage


class Attempt(NamedTuple):
    """One HTTP request of a call. It says more about the call, and never adds to its cost."""

    number: int
    """Counts the requests of the call from 1."""
    retry: int
    """How often the client had tried this request before."""
    status: int | None
    """The HTTP status; None when no answer came."""
    latency_us: int | None
    input_tokens: int | None = None
    output_tokens: int | None = None


def reported(attempts: Sequence[Attempt]) -> Usage | None:
    """Return the tokens of all requests of a call, when those that were answered say how many."""
    answered = [attempt for attempt in attempts if attempt.status is not None and attempt.status < 400]
    if not answered or any(attempt.input_tokens is None for attempt in answered):
        return None
    return Usage(sum(each.input_tokens or 0 for each in answered), sum(each.output_tokens or 0 for each in answered))
