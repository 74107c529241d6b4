"""A pattern: a finding about some events, with what it has cost and what to do about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from tc_core.model import money

PatternKind = Literal[
    "retry_storm",
    "duplicate",
    "agent_loop",
    "near_duplicate",
    "cache_break",
    "cycle",
    "deep_chain",
    "expensive",
    "fan_out",
]
Severity = Literal["low", "medium", "high"]

PATTERN_KINDS: tuple[PatternKind, ...] = get_args(PatternKind)
"""All kinds, in the order in which they claim what an event has cost: a call that is wasted twice is paid once."""

MEDIUM_NANOS, HIGH_NANOS = 10_000_000, 1_000_000_000
"""From a cent and from a dollar on, waste is of that severity by itself."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A finding about some events.

    `event_ids` are the events in order of time, also those that were no waste, such as the first success.
    `wasted_cost` is in US dollars what would not have been spent without it, None where no price is known; of
    `ProvenanceAnalyzer.patterns` they sum to what was wasted in all, since what two patterns share counts for the first
    of `PATTERN_KINDS` alone. `evidence` are the facts that it rests on, as plain JSON values. `wasted_nanos` is the
    waste by event, in nano-dollars.
    """

    kind: PatternKind
    severity: Severity
    event_ids: tuple[str, ...]
    wasted_cost: float | None
    evidence: Mapping[str, Any]
    advice: str
    wasted_nanos: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def cost_nanos(self) -> int | None:
        """The waste in nano-dollars, None where it is not known."""
        return None if self.wasted_cost is None else sum(self.wasted_nanos.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "wasted_cost": self.wasted_cost,
            "wasted_cost_nanos": self.cost_nanos,
            "event_ids": list(self.event_ids),
            "evidence": dict(self.evidence),
            "advice": self.advice,
        }


def severity_of(nanos: int | None, *, least: Severity = "low") -> Severity:
    """Return how severe waste is, at least so much."""
    levels: Sequence[Severity] = get_args(Severity)
    by_cost: Severity = "high" if (nanos or 0) >= HIGH_NANOS else "medium" if (nanos or 0) >= MEDIUM_NANOS else "low"
    return max(least, by_cost, key=levels.index)


def exclusive(patterns: Iterable[Pattern]) -> list[Pattern]:
    """Have no event's cost wasted twice: it counts for the first kind, there for the earliest; the dearest come first.

    What several claim of one event is at most the largest of the claims.
    """
    claimed: dict[str, int] = {}
    found = []
    for each in sorted(patterns, key=_rank):
        left = {}
        for event_id, nanos in each.wasted_nanos.items():
            before = claimed.get(event_id, 0)
            left[event_id] = max(0, nanos - before)
            claimed[event_id] = max(nanos, before)
        cost = None if each.wasted_cost is None else money.to_dollars(sum(left.values()))
        found.append(replace(each, wasted_cost=cost, wasted_nanos=left))
    return sorted(found, key=lambda each: (-(each.cost_nanos or 0), *_rank(each)))


def wasted(patterns: Iterable[Pattern]) -> int:
    """Return what all patterns together wasted, in nano-dollars; what is not known is not in it."""
    return sum(each.cost_nanos or 0 for each in exclusive(patterns))


def _rank(pattern: Pattern) -> tuple[int, tuple[str, ...]]:
    return PATTERN_KINDS.index(pattern.kind), pattern.event_ids
