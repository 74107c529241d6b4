"""A finding that is still growing, as a detector keeps it: bounded, and made into a `Pattern` when it is asked for."""

from typing import Any

from tc_core.lineage.patterns.pattern import Pattern, PatternKind, Severity, severity_of
from tc_core.lineage.patterns.seen import Seen
from tc_core.model import money

MOST_EVENTS = 2_000
"""So many events one finding names; further ones are counted."""


class Finding:
    """Some events that show one pattern. `is_withdrawn` where what came later has shown that it was none."""

    def __init__(self, kind: PatternKind, advice: str, *, least: Severity = "low") -> None:
        self.kind, self.advice, self.least = kind, advice, least
        self.event_ids: list[str] = []
        self.count = 0
        self.evidence: dict[str, Any] = {}
        self.is_withdrawn = False
        self.told_at = 0
        self._wasted: dict[str, int] = {}
        self._is_unpriced = True
        self._named: set[str] = set()

    def name(self, seen: Seen) -> None:
        """Add an event that is part of it, once."""
        event_id = seen.event.event_id
        if event_id in self._named:
            return
        self.count += 1
        if len(self.event_ids) < MOST_EVENTS:
            self._named.add(event_id)
            self.event_ids.append(event_id)

    def waste(self, seen: Seen, nanos: int | None) -> None:
        """Add what of an event's cost was wasted; None where it has no price."""
        self.name(seen)
        if nanos is None:
            return
        self._is_unpriced = False
        event_id = seen.event.event_id
        if event_id in self._named:
            self._wasted[event_id] = max(nanos, self._wasted.get(event_id, 0))

    def waste_nothing(self) -> None:
        """Say that it has cost nothing that could have been saved."""
        self._is_unpriced = False

    @property
    def wasted_nanos(self) -> int | None:
        """What it has cost so far."""
        return None if self._is_unpriced else sum(self._wasted.values())

    def pattern(self) -> Pattern:
        """Return it as it stands."""
        nanos = self.wasted_nanos
        return Pattern(
            self.kind,
            severity_of(nanos, least=self.least),
            tuple(self.event_ids),
            None if nanos is None else money.to_dollars(nanos),
            {"events": self.count, **self.evidence},
            self.advice,
            dict(self._wasted),
        )
