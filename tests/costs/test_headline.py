"""How a period is said in a sentence."""

from datetime import UTC, datetime

import pytest

from tc_core import CostTracker, InMemoryStorage
from tc_core.costs import compare
from tc_core.costs.anomalies import present
from tc_core.costs.headline import when
from tc_core.costs.reading import reader_of
from tc_core.testing import FakeClock
from tc_core.workflows import changes


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (None, None, ""),
        ("today", None, "today"),
        ("yesterday", None, "yesterday"),
        ("this-week", None, "this week"),
        ("last-30-days", None, "in the last 30 days"),
        ("last-1-day", None, "in the last 1 day"),
        ("Last 7 days", None, "in the last 7 days"),
        ("2026-01-31", None, "since 2026-01-31"),
        ("this-month", "yesterday", "from this-month to yesterday"),
    ],
)
def test_a_period_is_said_as_it_was_given(since, until, said):
    assert when(since, until) == said
    assert present.when(since, until) == (f" {said}" if said else "")


def test_a_period_of_which_only_a_part_is_compared_is_not_said_to_be_the_whole():
    store = InMemoryStorage()
    with FakeClock(datetime(2026, 3, 11, 12, tzinfo=UTC)):  # a Wednesday: half of this week has gone by
        for day in (3, 10):
            CostTracker(store).track_call("gpt-4o", 1_000, 100, timestamp=datetime(2026, 3, day, tzinfo=UTC))
        last, this = (compare.as_period(name, UTC) for name in ("last-week", "this-week"))
        said = [
            changes.headline(
                compare.compare(reader_of(store), store, before, this), "last-week", "this-week", {}, UTC
            ).plain
            for before in (compare.same_part(last, this), last)
        ]
    assert "$0.00350 in as much of last week in 1 call: the same." in said[0]
    assert "$0.00350 last week in 1 call: the same." in said[1]
