"""What a call takes of a budget, what a program is told where that has no room, and when to wait for it."""

import asyncio
import time
from collections.abc import Sequence

from tc_core.budgets.books import Page, Wanted
from tc_core.budgets.budget import ALLOW, REFUSE, Budget
from tc_core.budgets.estimate import Expected
from tc_core.errors import BudgetExceededError
from tc_core.meter import prices
from tc_core.model.event import from_us
from tc_core.model.part import Request
from tc_core.model.usage import Usage

WAIT_SECONDS = 1.0
"""How long a call waits for others under way, where only what is reserved for them leaves it no room."""
LOOK_SECONDS = 0.02


def amount_of(budget: Budget, request: Request, expected: Expected, now_us: int) -> int:
    """Return what a call will take of a budget; raises BudgetExceededError for a price that is not known."""
    if budget.unit == "calls":
        return 1
    if budget.unit == "tokens":
        return sum(expected)
    usage, model = Usage(*expected), request.model
    price = None if model is None else prices.price_of(usage, model, provider=request.provider, at_us=now_us)
    if price is None and budget.unpriced not in (REFUSE, ALLOW):
        price = prices.price_of(usage, budget.unpriced, at_us=now_us)
    if price is not None:
        return price.cost_nanos
    if budget.unpriced == ALLOW:
        return 0
    raise BudgetExceededError(
        f"budget {budget.name!r} cannot tell what a call of {model!r} will cost: the model has no price. Give it one "
        "in a price file of your own (docs/prices.md), or set the budget with unpriced='allow', or with the name of a "
        "model whose price stands in for it",
        budget=budget.name,
        amount=budget.shown(budget.limit(now_us)),
    )


def refusal(
    page: Page, wanted: Sequence[Wanted], now_us: int, *, received_tokens: int | None = None
) -> BudgetExceededError:
    """Return what a program is told of a call that has no room, or whose stream is cut after so many tokens."""
    asked = next(each for each in wanted if each.key == (page.budget, page.period))
    budget, limit = asked.budget, page.limit(now_us)
    renews_at = None if page.end_us is None else from_us(page.end_us)
    under_way = f", {budget.said(page.reserved)} reserved for calls under way" if page.reserved else ""
    renews = "" if renews_at is None else f"; it renews at {renews_at:%Y-%m-%d %H:%M} UTC"
    what = "this call" if received_tokens is None else "more of this answer"
    cut = "" if received_tokens is None else f"; the stream was cut after about {received_tokens:,} tokens of it"
    return BudgetExceededError(
        f"budget {budget.name!r} has no room for {what}: {budget.said(page.spent)} of {budget.said(limit)} spent"
        f"{under_way}, and it may take {budget.said(asked.amount)}{renews}{cut}",
        budget=budget.name,
        unit=budget.unit,
        amount=budget.shown(limit),
        spent=budget.shown(page.spent),
        reserved=budget.shown(page.reserved),
        asked=budget.shown(asked.amount),
        renews_at=renews_at,
        received_tokens=received_tokens,
    )


def deadline() -> float:
    """Return until when (of `time.monotonic`) a call may wait where this is called: an event loop is not held up."""
    return time.monotonic() + (0.0 if is_in_event_loop() else WAIT_SECONDS)


def may_wait(full: Sequence[Page], wanted: Sequence[Wanted], now_us: int) -> bool:
    """Tell whether there is room but for what is reserved."""
    asked = {each.key: each.amount for each in wanted}
    return all(page.spent + asked[page.budget, page.period] <= page.limit(now_us) for page in full)


def is_in_event_loop() -> bool:
    """Tell whether waiting here would hold up the very calls that are waited for."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
