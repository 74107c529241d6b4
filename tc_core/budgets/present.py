"""How budgets are told to people: the sentence that answers the question, and the words of each figure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from tc_core import settings
from tc_core.budgets.status import BudgetStatus
from tc_core.model import money
from tc_core.model.written import usd

NEAR = 0.8
"""From this share of the amount on a budget is near its limit."""


def amount(value: float, unit: str) -> str:
    """Write dollars with as many digits as they need, or a number of tokens or calls."""
    if unit != "usd":
        return f"{value:,.0f}"
    sign, size = "-" if value < 0 else "", abs(value)
    if size >= 1:
        return f"{sign}${size:,.2f}"
    whole, _, decimals = usd(money.to_nanos(size)).partition(".")
    return f"{sign}{whole}.{decimals.rstrip('0').ljust(2, '0')}"


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


def style(found: BudgetStatus) -> str:
    """Return the colour in which a budget stands: red where it is over, yellow where it soon may be."""
    if found.is_over:
        return "red"
    return "yellow" if share(found) >= NEAR or not found.on_track else ""


def period(found: BudgetStatus) -> str:
    """Return which period is told of."""
    return found.period if found.key in ("", "range", "rolling", "total") else f"{found.period} {found.key}"


def awaited(found: Sequence[BudgetStatus]) -> str:
    """Say which budgets of the settings file are not in the store yet, or nothing."""
    there = {each.name for each in found}
    missing = [each.name for each in settings.load().budgets if each.name not in there]
    if not missing:
        return ""
    return f"Of {settings.FILE_NAME}, set as soon as a program records into this store: {', '.join(missing)}"


_USUAL = {"unit": "usd", "tz": "UTC", "unpriced": "refuse", "max_override": 1.0}


def details(said: Mapping[str, object]) -> str:
    """Write what a change of a budget was about, but what is as usual."""
    return ", ".join(_detail(key, value) for key, value in said.items() if _is_telling(key, value))


def _is_telling(key: str, value: object) -> bool:
    """Tell whether a detail is worth its room: not where it is as usual."""
    return key != "until_us" and value not in ({}, [], False) and _USUAL.get(key) != value


def _detail(key: str, value: object) -> str:
    if isinstance(value, dict) and set(value) == {"from", "to"}:
        return f"{key} {value['from']} → {value['to']}"
    if key == "filters" and isinstance(value, dict):
        return " ".join(f"{name}={','.join(map(str, values))}" for name, values in value.items())
    return f"{key} {value}"
