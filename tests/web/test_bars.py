"""Costs over time are put into bars without losing any."""

from datetime import UTC, date, timedelta

import pytest

from tc_core.costs.report import CostGroup, CostReport
from tc_core.model.totals import Totals
from tc_core.web.bars import bars, ticks


def report_of(days, *, agents=1, nanos=1_000_000):
    first = date(2026, 1, 1)
    totals = Totals(calls=1, priced=1, cost_nanos=nanos)
    groups = [
        CostGroup.of({"day": f"{first + timedelta(days=day)}", "agent_id": f"agent {agent:02}"}, totals)
        for day in days
        for agent in range(agents)
    ]
    return CostReport(None, len(groups), 0, 0, 0, 0, 0, groups)


@pytest.mark.parametrize(("days", "unit"), [(1, "day"), (120, "day"), (200, "week"), (900, "month")])
def test_long_times_have_wide_bars(days, unit):
    found = bars(report_of(range(days)), "day", "agent_id", UTC, fits=True)
    assert found["unit"] == unit
    assert sum(found["series"][0]["value"]) == days * 1_000_000
    assert found["buckets"] == sorted(set(found["buckets"]))


def test_days_without_costs_have_a_place():
    found = bars(report_of([0, 3]), "day", None, UTC)
    assert found["buckets"] == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert found["series"][0]["value"] == [1_000_000, 0, 0, 1_000_000]


def test_the_many_are_one_series():
    found = bars(report_of([0], agents=10), "day", "agent_id", UTC)
    assert [each["name"] for each in found["series"]][-2:] == ["agent 06", "3 others"]
    assert found["series"][-1]["value"] == [3_000_000]
    assert found["total"] == ["$0.010"]


def test_nothing_spent_has_no_bars():
    assert bars(report_of([0, 1], nanos=0), "day", None, UTC) is None


@pytest.mark.parametrize("most", [1, 7, 99, 1_000, 132_000_000, 5_000_000_001, 10**12])
def test_marks_of_an_axis_are_round_and_reach_the_largest(most):
    marks = ticks(most)
    assert marks[0] == 0
    assert marks[-2] < most <= marks[-1]
    assert 2 <= len(marks) <= 6
    assert all(len(str(mark).rstrip("0")) <= 2 for mark in marks)
