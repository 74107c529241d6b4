"""How a budget stands: what is spent, what is left, and when it runs out if spending goes on as it did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

from tc_core.budgets.books import Page
from tc_core.budgets.budget import Budget
from tc_core.model.event import from_us

LEAST_SHARE = 0.1
"""In the first tenth of a period spending a tenth of the amount is in order: less is no evidence."""
_EIGHTY = 1.2816
"""Standard deviations on either side within which 80 of 100 values lie."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One budget in one period: dollars, tokens or calls, as `unit` says.

    `remaining` is what is neither spent nor reserved for calls under way, `pct` its share of the amount, 0 to 1. The
    amount includes what an override grants. `on_track` compares what is spent with how much of the period has gone by.
    `runs_out_at` is when the amount is spent if it goes on as so far, `runs_out_between` the two moments between which
    that lies in 80 of 100 cases; None when it lasts, or too little has happened to tell. `estimated` is what of `spent`
    stands for calls whose end was never recorded.
    """

    name: str
    amount: float
    spent: float
    reserved: float
    remaining: float
    pct: float
    on_track: bool
    runs_out_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    runs_out_between: tuple[datetime, datetime] | None = None
    period: str = ""
    key: str = ""
    unit: str = "usd"
    hard: bool = False
    estimated: float = 0
    filters: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    thresholds: Sequence[float] = ()

    @property
    def is_over(self) -> bool:
        """Whether more is spent than the amount; spending exactly the amount is not."""
        return self.spent > self.amount

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        for name in ("runs_out_at", "period_start", "period_end"):
            plain[name] = None if plain[name] is None else plain[name].isoformat()
        between = self.runs_out_between
        plain["runs_out_between"] = None if between is None else [each.isoformat() for each in between]
        plain["filters"] = {name: list(values) for name, values in self.filters.items()}
        plain["thresholds"] = list(self.thresholds)
        return plain


def status(budget: Budget, page: Page, now_us: int, *, estimated: int = 0, calls: int = 0) -> BudgetStatus:
    """Return how a budget stands in a period; `calls` are those that the spending came in."""
    limit, free = page.limit(now_us), page.limit(now_us) - page.spent - page.reserved
    elapsed = _elapsed(page, now_us)
    runs_out, between = _runs_out(page, limit, now_us, calls)
    return BudgetStatus(
        name=budget.name,
        amount=budget.shown(limit),
        spent=budget.shown(page.spent),
        reserved=budget.shown(page.reserved),
        remaining=budget.shown(free),
        pct=min(max(free / limit, 0.0), 1.0) if limit else 0.0,
        on_track=page.spent <= limit * (1.0 if elapsed is None else max(elapsed, LEAST_SHARE)),
        runs_out_at=runs_out,
        period_start=None if page.start_us is None else from_us(page.start_us),
        period_end=None if page.end_us is None else from_us(page.end_us),
        runs_out_between=between,
        period=budget.period,
        key=page.period,
        unit=budget.unit,
        hard=budget.hard,
        estimated=budget.shown(estimated),
        filters=budget.filters,
        thresholds=budget.thresholds,
    )


def elapsed_share(found: BudgetStatus, now: datetime) -> float | None:
    """Return how much of a period has gone by, None where that is no time."""
    if found.period_start is None or found.period_end is None:
        return None
    return min(max((now - found.period_start) / (found.period_end - found.period_start), 0.0), 1.0)


def _elapsed(page: Page, now_us: int) -> float | None:
    if page.start_us is None or page.end_us is None:
        return None
    return min(max((now_us - page.start_us) / (page.end_us - page.start_us), 0.0), 1.0)


def _runs_out(
    page: Page, limit: int, now_us: int, calls: int
) -> tuple[datetime | None, tuple[datetime, datetime] | None]:
    """Go on as so far. The interval takes the calls for independent of each other, so their number for a Poisson's."""
    if page.spent >= limit:
        return from_us(now_us), (from_us(now_us), from_us(now_us))
    elapsed = _elapsed(page, now_us)
    if elapsed is None or elapsed < LEAST_SHARE / 2 or page.start_us is None or page.end_us is None or page.spent <= 0:
        return None, None
    left_us = (limit - page.spent) * (now_us - page.start_us) / page.spent
    if now_us + left_us >= page.end_us:
        return None, None
    error = _EIGHTY / sqrt(max(calls, 1))
    soonest = left_us / (1 + error)
    latest = left_us / (1 - error) if error < 0.9 else left_us * 10
    at = from_us(now_us)
    return at + timedelta(microseconds=left_us), (
        at + timedelta(microseconds=soonest),
        at + timedelta(microseconds=min(latest, 10 * (page.end_us - page.start_us))),
    )
