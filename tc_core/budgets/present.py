"""How budgets are told to people: the sentence that answers the question, and the words of each figure."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from tc_core.budgets.status import BudgetStatus

NEAR = 0.8
"""From this share of the amount on a budget is near its limit."""


def amount(value: float, unit: str) -> str:
    """Write dollars with as many digits as they need, or a number of tokens or calls."""
    if unit != "usd":
        return f"{value:,.0f}"
    sign, size = "-" if value < 0 else "", abs(value)
    if size >= 1:
        return f"{sign}${size:,.2f}"
    decimals = f"{size:.9f}".partition(".")[2]
    zeros = len(decimals) - len(decimals.lstrip("0"))
    return f"{sign}$0.{decimals[: zeros + 3].rstrip('0').ljust(2, '0')}"


def headline(found: Sequence[BudgetStatus]) -> str:
    """Return the sentence that says how it stands with all budgets."""
    over = [each for each in found if each.is_over]
    near = [each for each in found if not each.is_over and share(each) >= NEAR]
    late = [each for each in found if not each.is_over and each not in near and not each.on_track]
    if not found:
        return "No budget is set."
    parts = [f"{each.name} is over by {amount(each.spent - each.amount, each.unit)}" for each in over]
    parts += [f"{each.name} is near its limit" for each in near]
    parts += [f"{each.name} spends faster than its time goes by" for each in late]
    if not parts:
        return "The budget is on track." if len(found) == 1 else f"All {len(found)} budgets are on track."
    return f"{'; '.join(parts)}."


def share(found: BudgetStatus) -> float:
    """Return which share of the amount is spent; more than 1 where it is over."""
    return found.spent / found.amount if found.amount else 1.0


def about(found: BudgetStatus) -> str:
    """Return which calls a budget counts."""
    said = [
        f"{name}={','.join('(none)' if each is None else each for each in values)}"
        for name, values in found.filters.items()
    ]
    return " ".join(said) or "all calls"


def when(at: datetime | None, tz: tzinfo) -> str:
    """Write a moment for people, or nothing."""
    return "" if at is None else f"{at.astimezone(tz):%Y-%m-%d %H:%M}"
