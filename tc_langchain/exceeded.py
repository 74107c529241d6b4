"""What an agent does where a hard budget has no room for its next call."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain_core.language_models import BaseChatModel

from tc_core import BudgetExceededError, BudgetTracker, CostTracker
from tc_langchain import requests

log = logging.getLogger("tc_core")

Reaction = Callable[[BudgetExceededError, ModelRequest[Any]], Any]
"""Returns a request to make instead, `Retry`, an answer, or None to stop."""

WAYS = ("stop", "downgrade", "trim", "ask", "warn", "raise")
GRANT_DAYS = 1
"""How long what a person grants holds where the budget's period has no end."""
GRANTED_BY = "whoever resumed the agent"


@dataclass(frozen=True, slots=True)
class Retry:
    """Requests to try one after the other; where it `is_granted`, the one that was refused is made all the same."""

    requests: Iterable[ModelRequest[Any]] = ()
    is_granted: bool = False


def check(on_exceeded: str | Reaction, downgrade_to: object) -> None:
    """Raise ValueError for a way that there is not, or that lacks what it needs."""
    if callable(on_exceeded):
        return
    if on_exceeded not in WAYS:
        raise ValueError(f"on_exceeded must be one of {', '.join(WAYS)} or a callable, not {on_exceeded!r}")
    if on_exceeded == "downgrade" and downgrade_to is None:
        raise ValueError("on_exceeded='downgrade' needs downgrade_to: the name of a cheaper model, or a model")


def message(error: Exception) -> str:
    """Return what the user of an agent is told where it stops."""
    where = (
        "before asking the model again"
        if getattr(error, "received_tokens", None) is None
        else "in the midst of an answer"
    )
    return f"I had to stop here, {where}: {error}."


def reaction(
    way: str,
    downgrade_to: str | BaseChatModel | None,
    tracker: CostTracker | None,
    shorter: Callable[[ModelRequest[Any]], Iterable[ModelRequest[Any]]],
) -> Reaction:
    """Return what is done in one of the ways; `shorter` gives ever shorter ones of a request."""
    if way == "downgrade":
        return lambda _error, request: Retry([request.override(model=requests.swapped(request.model, downgrade_to))])
    if way == "trim":
        return lambda _error, request: Retry(shorter(request))
    if way == "ask":
        return lambda error, request: _asked(error, request, tracker)
    return {"stop": _stop, "warn": _warn, "raise": _raise}[way]


def _stop(_error: BudgetExceededError, _request: ModelRequest[Any]) -> None:
    return None


def _raise(error: BudgetExceededError, _request: ModelRequest[Any]) -> None:
    raise error


def _warn(error: BudgetExceededError, _request: ModelRequest[Any]) -> Retry:
    log.warning("token-calculator: %s; it is made all the same", error)
    return Retry(is_granted=True)


def _asked(error: BudgetExceededError, request: ModelRequest[Any], tracker: CostTracker | None) -> Retry:
    """Interrupt the graph; when it is resumed this is called again from its start, and the answer is returned."""
    from langgraph.types import interrupt

    answer = interrupt(
        {
            "kind": "budget_exceeded",
            "message": str(error),
            "budget": error.budget,
            "amount": error.amount,
            "spent": error.spent,
            "asked": error.asked,
            "answers": "an amount to grant, True for this call alone, or False to stop",
        }
    )
    if isinstance(answer, bool) or not isinstance(answer, (int, float)):
        return Retry(is_granted=answer is True)
    until = error.renews_at or timedelta(days=GRANT_DAYS)
    budgets = BudgetTracker(None if tracker is None else tracker.storage)
    budgets.override(error.budget, answer, until=until, by=GRANTED_BY, why="granted when the agent asked")
    return Retry([request])
