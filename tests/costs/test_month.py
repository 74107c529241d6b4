"""A month that was recorded answers what has changed since last week, and why."""

import pytest

from tc_core import CostTracker, SQLiteStorage


@pytest.fixture
def tracker(month):
    with SQLiteStorage(month) as store:
        yield CostTracker(store)


def test_what_changed_since_last_week_and_why(tracker):
    found = tracker.compare(("2026-03-16", "2026-03-22"), ("2026-03-23", "2026-03-29"), by=["agent_id"])
    assert sum(driver.cost_nanos for driver in found.drivers) == found.difference_nanos > 0
    reasons = {group.key["agent_id"]: group.drivers[0] for group in found.groups}
    assert (reasons["support"].kind, reasons["planner"].kind) == ("model_mix", "tokens_per_call")
    assert "gpt-4o 50 % of calls instead of 0 %" in reasons["support"].explanation
    assert {name: driver.cost_nanos for name, driver in reasons.items() if name in ("contracts", "summaries")} == {
        "contracts": 0,
        "summaries": 0,
    }
    (support,) = (group for group in found.groups if group.key["agent_id"] == "support")
    assert {driver.kind for driver in support.drivers if driver.cost_nanos} == {"model_mix", "volume"}


def test_the_week_of_the_loop_stands_out(tracker):
    weeks = {group.key["week"]: group.cost for group in tracker.get_costs(group_by=["week"]).groups}
    assert max(weeks, key=weeks.get) == "2026-W11"
    report = tracker.get_costs(group_by=["workflow"], percentiles=[50, 95], per="success")
    assert {group.key["workflow"] for group in report.groups} == {
        "planner",
        "contract-check",
        "nightly-summaries",
        None,
    }
    assert report.per["success"].count == report.total_calls - 172 - 60 - 120 + 50 + 20 + 30
