"""What would save money: every way to save looks at the same calls, and what one has saved no other counts again.

Ideas about the same calls follow one another, the one first that saves most for how sure it is: each next one saves its
share of what is left of their cost. So all savings together never exceed what the calls cost.
"""

from collections.abc import Sequence
from datetime import timedelta

from tc_core.costs import sql
from tc_core.costs.report import check_whole
from tc_core.costs.savings import batch, caching, cheaper_models, duplicates, trimming
from tc_core.costs.savings.idea import FEWEST_CALLS, Group, Idea, Scope, groups_of
from tc_core.ledger import waterfall
from tc_core.ledger.prefixes import shared_prefixes
from tc_core.lineage.waste import waste
from tc_core.model import money
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.period import Period
from tc_core.model.ports import Filters
from tc_core.model.recommendation import Recommendation
from tc_core.runtime.recorders import wait_for_parts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

MOST_CALLS = 100_000
"""So many of the latest calls are looked at."""

MOST_WATERFALLS = 8
"""Of so many of the dearest agents and models it is worked out what was sent again, which takes longest."""

LEAST_SHARE = 0.005
"""Saving less than this share of the cost is not worth a recommendation."""

DAYS_PER_MONTH = 30


def recommendations(storage: StorageBackend, asked: Period, filters: Filters, top_k: int) -> list[Recommendation]:
    """Return what would have saved most of the calls of a period, the largest savings first."""
    check_whole("top_k", top_k)
    calls = storage.query_events(filters, asked.start, asked.end, limit=MOST_CALLS, descending=True)[::-1]
    groups = groups_of(calls)
    if not groups:
        return []
    ideas = [*cheaper_models.ideas(groups)]
    if isinstance(storage, SqlStore):
        wait_for_parts(storage)
        ideas += _from_lineage(storage, groups, asked, filters)
        again = waste(storage, calls, ("duplicate",)).patterns
        ideas += duplicates.ideas(groups, {id_: nanos for each in again for id_, nanos in each.wasted_nanos.items()})
    days = _days(calls)
    whole = sum(group.cost_nanos for group in groups)
    found = [(idea, left) for idea, left in _none_twice(ideas) if idea.nanos * left >= whole * LEAST_SHARE]
    ranked = sorted(found, key=lambda each: -each[0].nanos * each[1])
    return [_made(idea, left, days) for idea, left in ranked[:top_k]]


def _from_lineage(store: SqlStore, groups: Sequence[Group], asked: Period, filters: Filters) -> list[Idea]:
    """Return the ideas that need to know what was sent, and what followed from what."""
    start_us, end_us = (None if each is None else to_us(each) for each in (asked.start, asked.end))
    with store.question() as connection:
        found = batch.ideas(groups, frozenset(sql.continued(connection)))
    if any(caching.rule_of(group.calls[0]) is not None for group in groups):
        sent = shared_prefixes(store, filters, start_us, end_us, lifetime_s=caching.LIFETIME_S)
        found += caching.ideas(groups, {each.event_id: each for each in sent})
    waterfalls = {}
    dearest = sorted(groups, key=lambda group: -group.cost_nanos)[:MOST_WATERFALLS]
    for group in dearest:
        if len(group.calls) >= FEWEST_CALLS and group.scope.who is not None:
            whose = "agent_id" if group.calls[0].agent_id is not None else "workflow_id"
            wanted = {**filters, whose: group.scope.who, "model": group.scope.model}
            waterfalls[group.scope] = waterfall.waterfall(store, wanted, start_us, end_us, is_single=True)
    return found + trimming.ideas(groups, waterfalls)


def _none_twice(ideas: Sequence[Idea]) -> list[tuple[Idea, float]]:
    """Return ideas with the share of their savings that is left when those before them are followed."""
    left: dict[Scope, float] = {}
    found: list[tuple[Idea, float]] = []
    waiting = list(ideas)
    while waiting:
        best = max(waiting, key=lambda idea: idea.nanos * idea.confidence * left.get(idea.group.scope, 1.0))
        waiting.remove(best)
        scope = best.group.scope
        now = left.get(scope, 1.0)
        found.append((best, now))
        left[scope] = now * max(0.0, 1 - best.nanos / best.group.cost_nanos)
    return found


def _made(idea: Idea, left: float, days: float) -> Recommendation:
    savings, low, high = (
        money.to_dollars(round(each * left)) for each in (idea.nanos, idea.low_nanos, idea.high_nanos)
    )
    is_about_model = idea.kind == "cheaper_model"
    return Recommendation(
        kind=idea.kind,
        title=idea.title,
        savings=savings,
        savings_low=low,
        savings_high=high,
        confidence=idea.confidence,
        evidence={"agent_id": idea.group.scope.who, "model": idea.group.scope.model, **idea.evidence},
        reasoning=idea.reasoning if left > 0.999 else f"{idea.reasoning} What other recommendations save is not in it.",
        suggested_model=idea.suggested_model,
        current_model=idea.group.scope.model if is_about_model else None,
        monthly_savings=savings * DAYS_PER_MONTH / days,
    )


def _days(calls: Sequence[TrackingEvent]) -> float:
    """Return how many days the calls are from, at least one."""
    return max(1.0, (calls[-1].timestamp - calls[0].timestamp) / timedelta(days=1))
