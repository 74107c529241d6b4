"""Recorded spending for tests: days of calls that cost what is said."""

import random
from datetime import UTC, datetime, timedelta

from tc_core import TrackingEvent
from tc_core.costs.plain_totals import value_of
from tc_core.store.base import StorageBackend

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""


def day(number, hour=12):
    return FIRST + timedelta(days=number, hours=hour)


def calls(number, cost, *, count=5, hour=12, **facts):
    """Calls of one day that together cost so many dollars."""
    return [
        TrackingEvent(
            model="gpt-4o",
            input_tokens=1_000,
            output_tokens=100,
            cost=cost / count,
            timestamp=day(number, hour) + timedelta(minutes=minute),
            **{"agent_id": "researcher", **facts},
        )
        for minute in range(count)
    ]


def steady(days, cost=1.0, *, noise=0.1, seed=1, first=0, **facts):
    """Days that cost nearly the same."""
    chance = random.Random(seed)
    return [
        event
        for number in range(first, first + days)
        for event in calls(number, cost * (1 + noise * chance.uniform(-1, 1)), **facts)
    ]


class OwnBackend(StorageBackend):
    """A user's own storage, with no SQL."""

    def __init__(self):
        self.events = {}

    def save_event(self, event):
        self.events[event.event_id] = event

    def query_events(self, filters=None, start_time=None, end_time=None, *, limit=None, descending=False):
        return [
            event
            for event in self.events.values()
            if all(value_of(event, name) == value for name, value in (filters or {}).items())
            and (start_time is None or event.timestamp >= start_time)
            and (end_time is None or event.timestamp < end_time)
        ]

    def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
        return {}
