"""Asking about a request in an event loop, which a call that waits for others must not hold up."""

import asyncio
import time
from typing import TYPE_CHECKING

from tc_core.errors import BudgetExceededError
from tc_core.model.part import Decision, Request

if TYPE_CHECKING:
    from tc_core.record.recorder import Recorder

WAIT_SECONDS = 1.0
"""How long a call waits for others under way, where only what is reserved for them leaves it no room."""
LOOK_SECONDS = 0.05


def may_pass(refusal: object) -> bool:
    """Tell whether a call is refused only because of what is reserved for calls under way."""
    return (
        isinstance(refusal, BudgetExceededError)
        and refusal.received_tokens is None
        and refusal.asked is not None
        and refusal.reserved > 0
        and refusal.spent + refusal.asked <= refusal.amount
    )


async def admitted_in_time(recorder: "Recorder", request: Request) -> Decision:
    """Return what the parts decide of a request, after a while where only calls under way leave no room for it."""
    decision, deadline = recorder.admit(request), time.monotonic() + WAIT_SECONDS
    while may_pass(decision.refusal) and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        decision = recorder.admit(request)
    return decision
