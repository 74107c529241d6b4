"""Whether hard budgets have room for what a policy would route to another model."""

from tc_core.budgets import sql
from tc_core.budgets.budget import Budget
from tc_core.budgets.live import live_of
from tc_core.budgets.periods import Span, is_each
from tc_core.errors import PolicyError
from tc_core.model.clock import clock
from tc_core.model.event import from_us
from tc_core.model.period import Period
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.simulation import simulate
from tc_core.store.sql import SqlStore


def check(store: SqlStore, policy: Policy) -> None:
    """Raise PolicyError where a hard budget of the cheaper model would be broken by what comes from the other one.

    A budget that counts both can only gain: what is routed costs less.
    """
    for budget in live_of(store).definitions.current():
        models = budget.filters.get("model", ())
        if budget.hard and budget.unit != "tokens" and policy.to in models and policy.model not in models:
            _check(store, policy, budget)


def _check(store: SqlStore, policy: Policy, budget: Budget) -> None:
    """Hold what was spent lately, in as long as the budget's period, and what would have come to it against it."""
    now_us = clock.wall_ns() // 1000
    start_us = None
    if not is_each(budget.period):
        span = budget.spans(now_us)
        if span is not None and span.start_us is not None and span.end_us is not None:
            start_us = now_us - (span.end_us - span.start_us)
    start = None if start_us is None else from_us(start_us)
    found = simulate(store, policy, Period(start, from_us(now_us)))
    like = Span("as long as it", start_us, now_us)
    with store.database.reading() as connection:
        spent = sql.spent(store, connection, budget, like)
    more = found.acts if budget.unit == "calls" else (found.cost_nanos or 0) - (found.saved_nanos or 0)
    limit = budget.limit(now_us)
    if spent + more > limit:
        raise PolicyError(
            f"policy {policy.name!r} would break the hard budget {budget.name!r} of {budget.said(limit)}: in as long "
            f"as its period {budget.said(spent)} were spent on it, and {found.acts:,} calls that would go to "
            f"{policy.to!r} take {budget.said(more)}. Raise the budget, or choose fewer calls by filters"
        )
