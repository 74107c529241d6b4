"""Waste: what some events spent, what of it was not needed, and what to do about it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tc_core.ledger.prompts import PromptReader
from tc_core.lineage import recommendations
from tc_core.lineage.patterns import cycles
from tc_core.lineage.patterns.detector import Detectors
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.pattern import Pattern, exclusive
from tc_core.lineage.patterns.seen import Seen, read
from tc_core.model import money, written
from tc_core.model.event import TrackingEvent
from tc_core.model.notebook import Bar, InNotebook, Shown
from tc_core.model.recommendation import Recommendation
from tc_core.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Waste(InNotebook):
    """What some `events`, so many, show. `spent_nanos` is what their calls cost, None where none has a price."""

    spent_nanos: int | None
    patterns: tuple[Pattern, ...]
    recommendations: tuple[Recommendation, ...]
    events: int

    @property
    def wasted_nanos(self) -> int:
        """What was not needed, in nano-dollars: no event's cost is in it twice."""
        return sum(each.cost_nanos or 0 for each in self.patterns)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "spent": None if self.spent_nanos is None else money.to_dollars(self.spent_nanos),
            "spent_nanos": self.spent_nanos,
            "wasted": money.to_dollars(self.wasted_nanos),
            "wasted_nanos": self.wasted_nanos,
            "patterns": [each.to_dict() for each in self.patterns],
            "recommendations": [each.to_dict() for each in self.recommendations],
        }

    def _shown(self) -> Shown:
        from tc_core.lineage.patterns import present  # which says what this class holds

        told = [
            (present.NAMES[each.kind][0], present.facts(each), each.cost_nanos, written.usd(each.cost_nanos))
            for each in self.patterns
        ]
        sums: dict[str, int] = {}
        for kind, _, nanos, _ in told:
            sums[kind] = sums.get(kind, 0) + (nanos or 0)
        return Shown(
            present.title(self, ()).plain,
            ["pattern", "what", "wasted"],
            [[kind, facts, said] for kind, facts, _, said in told],
            [Bar(kind, float(nanos), written.usd(nanos)) for kind, nanos in sums.items()],
            names=2,
        )


def waste(
    store: SqlStore,
    events: Sequence[TrackingEvent],
    kinds: Collection[str] | None = None,
    limits: PatternLimits | None = None,
) -> Waste:
    """Put some events through the detectors; patterns and recommendations come dearest first."""
    kinds = [kinds] if isinstance(kinds, str) else kinds
    detectors = Detectors(kinds, limits)
    calls: list[Seen] = []
    for seen in read(PromptReader(store), events):
        for _ in detectors.see(seen):
            pass  # as they stand in the end is what counts
        if seen.prompt is not None:
            calls.append(seen)
    found = detectors.patterns()
    if kinds is None or "cycle" in kinds:
        known = {event.event_id for event in events}
        closed = cycles.of_relations(store.relationships())
        found = exclusive([*found, *(each for each in closed if known.intersection(each.event_ids))])
    costs = [event.cost_nanos for event in events if event.is_call and event.cost_nanos is not None]
    return Waste(sum(costs) if costs else None, tuple(found), _advice(found, calls, events), len(events))


def _advice(
    found: Sequence[Pattern], calls: Sequence[Seen], events: Sequence[TrackingEvent]
) -> tuple[Recommendation, ...]:
    times = [event.timestamp for event in events]
    span = max(times) - min(times) if times else timedelta()
    taken: dict[str, int] = {}
    for each in found:
        for event_id, nanos in each.wasted_nanos.items():
            taken[event_id] = taken.get(event_id, 0) + nanos
    every = [
        *recommendations.of_patterns(found, span),
        *recommendations.of_unmarked_caches(calls, taken, span),
    ]
    return tuple(sorted(every, key=lambda each: (-(each.savings or 0), each.kind, each.title)))
