"""How a period is said in a sentence."""

import pytest

from tc_core.costs.anomalies import present
from tc_core.costs.headline import when


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
