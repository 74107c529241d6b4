"""The HTTP requests that a call took: each retry of a client library is one more."""

from typing import NamedTuple


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


def answered(attempt: Attempt) -> bool:
    """Tell whether a request brought an answer, and not an error."""
    return attempt.status is not None and attempt.status < 400
