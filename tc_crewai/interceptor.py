"""What goes over the wire for a model call: each HTTP request, also those that the client library makes again."""

import time
from contextvars import ContextVar

import crewai  # noqa: F401  # whole before its parts, which another thread may be importing
import httpx
from crewai.llms.base_llm import get_current_call_id
from crewai.llms.hooks.base import BaseInterceptor

from tc_core.adapter import attempt, never_raises
from tc_core.http import reported
from tc_crewai.runs import runs
from tc_crewai.telling import Request

_begun: ContextVar[tuple[int, int] | None] = ContextVar("tc_crewai_begun", default=None)
"""When the request that is on its way began, in nanoseconds, and how often it was tried before."""


class TrackingInterceptor(BaseInterceptor[httpx.Request, httpx.Response]):
    """Notes each HTTP request of a model call, with the tokens of answers that CrewAI then cannot parse.

    >>> llm = LLM(model="openai/gpt-4o", interceptor=tc_crewai.TrackingInterceptor())

    The requests become attempts of the recorded call and never add to its cost. A request that gets no answer at all
    is not seen, and of a stream the tokens are not read here.
    """

    def on_outbound(self, message: httpx.Request) -> httpx.Request:
        """Note that a request is sent."""
        _begin(message)
        return message

    def on_inbound(self, message: httpx.Response) -> httpx.Response:
        """Note that it is answered; the body is read as the client would read it, unless it is a stream."""
        if _has_body(message):
            message.read()
        _note(message)
        return message

    async def aon_outbound(self, message: httpx.Request) -> httpx.Request:
        """Note that a request is sent."""
        _begin(message)
        return message

    async def aon_inbound(self, message: httpx.Response) -> httpx.Response:
        """Note that it is answered."""
        if _has_body(message):
            await message.aread()
        _note(message)
        return message


def _has_body(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "")


@never_raises
def _begin(request: httpx.Request) -> None:
    retry = attempt(int, request.headers.get("x-stainless-retry-count", 0)) or 0
    _begun.set((time.perf_counter_ns(), retry))


@never_raises
def _note(response: httpx.Response) -> None:
    if not runs.sinks:
        return
    begun_ns, retry = _begun.get() or (time.perf_counter_ns(), 0)
    latency_us = (time.perf_counter_ns() - begun_ns) // 1000
    report = attempt(reported, response)
    runs.requested(get_current_call_id(), Request(retry, response.status_code, latency_us, report))
