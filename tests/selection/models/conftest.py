"""A store in memory, a clock that is set, and calls of an agent."""

from datetime import UTC, datetime, timedelta

import pytest

from tc_core import CostTracker, InMemoryStorage
from tc_core.testing import FakeClock

NOW = datetime(2026, 3, 29, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with FakeClock(NOW) as clock:
        yield clock


@pytest.fixture
def storage():
    return InMemoryStorage()


@pytest.fixture
def calls(storage):
    """Record calls, a minute apart; return their ids."""
    tracker = CostTracker(storage)

    def record(number, model="gpt-4o", tokens=(1_000, 100), *, hours_ago=48, **facts):
        return [
            tracker.track_call(
                model, *tokens, timestamp=NOW - timedelta(hours=hours_ago, minutes=-minute), **facts
            ).event_id
            for minute in range(number)
        ]

    return record
