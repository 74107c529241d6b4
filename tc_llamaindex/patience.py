"""Waiting in an event loop for calls under way: by the rate limiter of a model, which is awaited before a request.

A limiter that the model has already is asked as well.
"""

import asyncio
from typing import Any

from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index_instrumentation.span import active_span_id

from tc_llamaindex import refusals


class Patience(BaseRateLimiter):
    """Waits for room for a call whose refusal was put off, and raises that where none comes."""

    def __init__(self, own: Any = None) -> None:
        self.own = own

    def acquire(self, num_tokens: int = 0) -> None:
        """Ask the model's own limiter alone: what cannot be awaited has waited before."""
        if self.own is not None:
            self.own.acquire(num_tokens)

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """Wait for room; raises what the call is refused with."""
        await refusals.wait(active_span_id.get())
        if self.own is not None:
            await self.own.async_acquire(num_tokens)


def teach(model: Any) -> bool:
    """Have a model's calls in an event loop wait; tell whether those that are made here do."""
    if asyncio._get_running_loop() is None or not hasattr(model, "rate_limiter"):
        return False
    if not isinstance(model.rate_limiter, Patience):
        model.rate_limiter = Patience(model.rate_limiter)
    return True
