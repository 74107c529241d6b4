"""A clock that goes back, or has never been set."""

from datetime import UTC, datetime

import pytest

from tc_core import CostTracker, SQLiteStorage, StoreKeeper, Usage
from tc_core.model.clock import clock
from tc_core.runtime.recorders import recorder_for
from tc_core.store.keep.retention import Retention

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = 1_000_000_000
HOUR = 3600 * SECOND


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield store


@pytest.fixture
def set_clock(monkeypatch):
    """Have the clock on the wall stand at a moment, in nanoseconds since 1970."""

    def set_to(nanoseconds):
        monkeypatch.setattr(clock, "wall_ns", lambda: nanoseconds)

    return set_to


def test_a_clock_that_goes_back_in_the_middle_of_a_call(store, set_clock):
    noon, recorder = int(NOON.timestamp()) * SECOND, recorder_for(store)
    set_clock(noon)
    recorder.start("workflow", key="run", name="planner")
    for number in range(200):
        set_clock(noon)
        recorder.start("llm_call", key=number, parent="run", model="gpt-4o")
        set_clock(noon - HOUR)
        recorder.finish(number, usage=Usage(100, 10))
        recorder.start("llm_call", key=(number, "back"), parent="run", model="gpt-4o")
        recorder.finish((number, "back"), usage=Usage(1, 1))
    recorder.finish("run")
    events = store.query_events()
    assert len({event.event_id for event in events}) == 401
    assert all(0 <= event.latency_ms < 60_000 for event in events)
    by_hour = store.totals(["hour"])
    assert {key[0][:16]: (total.calls, total.input_tokens) for key, total in by_hour.items()} == {
        "2026-11-20T11:00": (200, 200),
        "2026-11-20T12:00": (200, 20_000),
    }
    (run,) = store.runs()
    assert (run.events, run.totals.calls, run.event.name) == (401, 400, "planner")
    assert {event.depth for event in store.tree(run.event.event_id)[0]} == {0, 1}
    assert all(finding.state == "ok" for finding in StoreKeeper(store).check())


def test_a_clock_that_was_never_set(store, set_clock):
    set_clock(5 * SECOND)
    tracker = CostTracker(store)
    tracker.track_call("gpt-4o", 1000, 100, agent_id="a")
    report = tracker.get_costs(group_by=["day", "agent_id"])
    assert [group.key for group in report.groups] == [{"day": "1970-01-01", "agent_id": "a"}]
    retention = Retention(store._database, 30)
    while retention.step():
        pass
    assert retention.removed.events == 0
    set_clock(int(NOON.timestamp()) * SECOND)
    tracker.track_call("gpt-4o", 1000, 100)
    assert tracker.get_costs().total_calls == 2
    assert tracker.get_costs("2026-11-20", "2026-11-20", tz="UTC").total_calls == 1
