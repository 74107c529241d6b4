"""What kinds of rules share: thresholds and their defaults, and which events they are about."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tc_core import settings
from tc_core.alerts.rules import Signal, named, value_of
from tc_core.alerts.state import is_over
from tc_core.alerts.words import read_span
from tc_core.costs import filters as filtering
from tc_core.costs.filters import Condition
from tc_core.errors import ConfigurationError
from tc_core.model.event import TrackingEvent
from tc_core.model.period import Period
from tc_core.store.sql import SqlStore


class Figure(NamedTuple):
    """What a rule's threshold is held against, for one key."""

    key: str
    value: float
    message: str
    event_id: str | None = None


class Level(ABC):
    """A kind about the store: it fires when a figure reaches the threshold, and is over when that is well below."""

    repeats, tells_end = False, True
    every_seconds = 1.0
    threshold = 1.0
    window = "1h"
    has_window = True
    """Whether it looks back so far, and no other way."""

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        self.said, self.store = said, store
        self.limit = self.threshold if said.threshold is None else said.threshold
        self.span = span(said, self.window)
        self.chosen = Chosen(said, store)

    def see(self, events: Sequence[TrackingEvent]) -> Iterable[Signal]:
        """Return nothing: the store is asked instead."""
        return ()

    def look(self, firing: Collection[str]) -> Iterable[Signal]:
        """Return how each figure stands; what fired and has none any more is over."""
        known = set()
        for figure in self.figures():
            known.add(figure.key)
            is_on = is_over(figure.value, self.limit, self.said.hysteresis, is_firing=figure.key in firing)
            yield Signal(figure.key, is_on, figure.message, figure.value, figure.event_id)
        for key in set(firing) - known:
            yield Signal(key, is_on=False)

    @abstractmethod
    def figures(self) -> Iterable[Figure]:
        """Return the figures of now."""

    def key(self, values: Sequence[str | None]) -> str:
        """Return the key of a group."""
        return named(dict(zip(self.said.by, values, strict=True)))


def span(said: settings.AlertRule, default: str) -> timedelta:
    """Return how far back a rule looks; raise ConfigurationError where that cannot be read."""
    written = said.window or default
    found = read_span(written)
    if found is None:
        raise ConfigurationError(f"alert rule {said.name!r}: window must be written as 30m, 1h or 7d, not {written!r}")
    return found


class Chosen:
    """Which calls a rule is about; its filters are those of reports: several values, beginnings, what is left out."""

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        self._store, self._said = store, said.filters
        self._conditions = [Condition.of(name, value) for name, value in said.filters.items()]

    def has(self, event: TrackingEvent) -> bool:
        """Tell whether an event is one of them."""
        return all(condition.holds(value_of(event, condition.name)) for condition in self._conditions)

    def filters(self, since: datetime | None = None, until: datetime | None = None) -> dict[str, Any]:
        """Return filters that name each value which the calls of a while have."""
        return dict(filtering.resolved(self._store, self._said, Period(since, until)))
