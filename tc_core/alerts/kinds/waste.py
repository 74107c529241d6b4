"""Kinds about patterns of waste, such as retry storms and loops: each pattern that is found is told once."""

from collections.abc import Collection, Iterable, Sequence

from tc_core import settings
from tc_core.alerts.kinds.asking import Chosen, span
from tc_core.alerts.rules import Signal
from tc_core.alerts.words import usd
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.patterns.pattern import Pattern, PatternKind
from tc_core.model import clock
from tc_core.model.event import TrackingEvent
from tc_core.store.sql import SqlStore


class Waste:
    """A pattern that wasted at least so many US dollars, by default any."""

    repeats = tells_end = False
    every_seconds = 15.0

    def __init__(self, kind: PatternKind, said: settings.AlertRule, store: SqlStore) -> None:
        self._kind, self._said, self._store = kind, said, store
        self._span = span(said, "1h")
        self._chosen = Chosen(said, store)

    def see(self, events: Sequence[TrackingEvent]) -> Iterable[Signal]:
        """Return nothing: patterns are of several events, which the store has."""
        return ()

    def look(self, firing: Collection[str]) -> Iterable[Signal]:
        """Return the patterns of the last while, each by its first event; those that are past are over."""
        keys = set()
        begin = clock.now() - self._span
        found = ProvenanceAnalyzer(self._store).patterns(
            [self._kind], start_date=begin, filters=self._chosen.filters(begin) or None
        )
        for pattern in found:
            if (pattern.wasted_cost or 0.0) >= (self._said.threshold or 0.0):
                keys.add(pattern.event_ids[0])
                value = pattern.wasted_cost
                yield Signal(pattern.event_ids[0], True, _said(pattern), value, pattern.event_ids[-1])  # noqa: FBT003  # it holds
        for key in set(firing) - keys:
            yield Signal(key, is_on=False)


def _said(pattern: Pattern) -> str:
    cost = "" if pattern.wasted_cost is None else f", {usd(pattern.wasted_cost)} wasted"
    return f"{pattern.kind.replace('_', ' ')} of {len(pattern.event_ids)} events{cost}: {pattern.advice}"
