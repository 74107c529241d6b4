"""Recorded spending for tests: days of calls that cost what is said."""

import random
from datetime import UTC, datetime, timedelta

from tc_core import TrackingEvent

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
