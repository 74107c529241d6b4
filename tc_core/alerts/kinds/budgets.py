"""Kinds about budgets: how much of one is spent, and how much of it will be at the end of its period."""

from collections.abc import Iterable

from tc_core.alerts.kinds.asking import Figure, Level
from tc_core.alerts.words import usd
from tc_core.budgets.status import LEAST_SHARE, BudgetStatus, elapsed_share
from tc_core.budgets.tracker import BudgetTracker
from tc_core.model import clock


class BudgetShare(Level):
    """The share of a budget that is spent: 1.0 is all of it."""

    threshold, has_window = 0.8, False
    every_seconds = 1.0

    def figures(self) -> Iterable[Figure]:
        """Return the share of each budget, or of the one that is named."""
        for found in BudgetTracker(self.store).list():
            share = None if self.said.budget not in (None, found.name) or not found.amount else self.share(found)
            if share is not None:
                yield Figure(found.name, *share)

    def share(self, found: BudgetStatus) -> tuple[float, str] | None:
        """Return a budget's figure and what there is to say of it, None where it has none."""
        share = found.spent / found.amount
        spent, amount = _amounts(found)
        until = "" if found.period_end is None else f", until {found.period_end:%Y-%m-%d %H:%M} UTC"
        return share, f"{share:.0%} of budget {found.name!r} spent: {spent} of {amount}{until}"


class BudgetForecast(BudgetShare):
    """The share of a budget that will be spent at the end of its period, if it goes on as so far."""

    threshold = 1.0

    def share(self, found: BudgetStatus) -> tuple[float, str] | None:
        """Return what is to be expected; early in a period, and without one, nothing is."""
        elapsed = elapsed_share(found, clock.now())
        if elapsed is None or elapsed < LEAST_SHARE / 2:
            return None
        share = found.spent / elapsed / found.amount
        _, amount = _amounts(found)
        out = "" if found.runs_out_at is None else f", it runs out about {found.runs_out_at:%Y-%m-%d %H:%M} UTC"
        return share, f"budget {found.name!r} will be {share:.0%} spent of {amount} if it goes on like this{out}"


def _amounts(found: BudgetStatus) -> tuple[str, str]:
    if found.unit == "usd":
        return usd(found.spent), usd(found.amount)
    return f"{found.spent:,.0f}", f"{found.amount:,.0f} {found.unit}"
