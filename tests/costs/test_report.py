"""A report's figures agree with each other, whatever is recorded meanwhile."""

from datetime import UTC, datetime

import pytest

from tc_core import CostTracker, InMemoryStorage
from tc_core.costs.report import report
from tc_core.model.event import TrackingEvent
from tc_core.model.period import Period

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


class Busy:
    """A store in which another call ends after each question."""

    def __init__(self, store):
        self._store = store

    def totals(self, *question, **options):
        found = self._store.totals(*question, **options)
        self._store.save_event(TrackingEvent(timestamp=NOON, model="gpt-4o", input_tokens=7, cost=0.5, agent_id="late"))
        return found


@pytest.fixture
def store():
    store = InMemoryStorage()
    for agent in ("a", "b", None):
        store.save_event(TrackingEvent(timestamp=NOON, model="gpt-4o", input_tokens=1, cost=0.25, agent_id=agent))
    store.save_event(TrackingEvent(timestamp=NOON, event_type="tool", name="search", status="error", agent_id="a"))
    return store


@pytest.mark.parametrize("names", [["agent_id"], ["agent_id", "day"], ["user_id"], ["session_id", "model"]])
def test_groups_add_up_to_the_total_while_others_record(store, names):
    found = report(Busy(store), Period(None, None), group_by=names)
    assert sum(group.cost_nanos for group in found.groups) == found.total_cost_nanos == 750_000_000
    assert sum(group.calls for group in found.groups) == found.total_calls == 3
    assert (found.input_tokens, found.errors) == (3, 0)


def test_the_total_counts_failed_calls_alone_also_where_groups_tell_of_tools(store):
    found = report(store, Period(None, None), group_by=["event_type"])
    assert {group.key["event_type"]: group.errors for group in found.groups} == {"llm_call": 0, "tool": 1}
    assert found.errors == 0


def test_a_period_without_events_costs_nothing():
    found = CostTracker(InMemoryStorage()).get_costs(group_by=["agent_id"])
    assert (found.total_cost, found.total_calls, found.groups) == (0.0, 0, [])
