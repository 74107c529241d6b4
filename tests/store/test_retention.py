"""What leaves the store and what stays; what stays is sound, and its sums are what they were."""

import itertools
import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import tenacity
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tc_core import CostTracker, InMemoryStorage, ProvenanceRelationship, SQLiteStorage, TrackingEvent
from tc_core.costs.report import report
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord, to_us
from tc_core.model.period import Period
from tc_core.model.ports import Batch
from tc_core.record.chores import AFTER_ERROR_SECONDS, Chores
from tc_core.record.guard import faults
from tc_core.store.engine import sqlite
from tc_core.store.keep import deletion
from tc_core.store.keep.retention import Retention
from tests.store.contract import call

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(deletion, "MOST", 3)


def old(event_id, *, days=40, **facts):
    return call(-days * 24 * 60, event_id=event_id, **facts)


def retain(store, days=30, now=NOW):
    """Let go what is older, to the end."""
    retention = Retention(store._database, days, now=now.timestamp)
    while retention.step():
        pass
    return retention.removed


def names(store):
    return sorted(event.event_id for event in store.query_events())


def assert_sound(store):
    """Nothing refers to what is not there, and nothing is there that nothing refers to."""
    with store._database.reading() as connection:
        for statement in (
            "SELECT parent FROM event WHERE parent IS NOT NULL EXCEPT SELECT key FROM event",
            "SELECT root FROM event EXCEPT SELECT key FROM event",
            "SELECT source FROM relation EXCEPT SELECT key FROM event",
            "SELECT target FROM relation EXCEPT SELECT key FROM event",
            "SELECT event FROM attempt EXCEPT SELECT key FROM event",
            "SELECT event FROM orphan EXCEPT SELECT key FROM event",
            "SELECT labels FROM event WHERE labels IS NOT NULL EXCEPT SELECT id FROM label_set",
            "SELECT details FROM event WHERE details IS NOT NULL EXCEPT SELECT id FROM metadata_body",
            "SELECT id FROM label_set EXCEPT SELECT labels FROM event",
            "SELECT id FROM metadata_body EXCEPT SELECT details FROM event EXCEPT SELECT details FROM relation",
            "SELECT id FROM external_id EXCEPT SELECT id FROM event EXCEPT SELECT parent_id FROM orphan",
        ):
            assert connection.exec_driver_sql(statement.replace("key FROM", '"key" FROM')).all() == [], statement


def test_whole_days_leave_and_the_limit_is_a_midnight_of_utc(each_store):
    midnight = datetime(2026, 10, 21, tzinfo=UTC)  # thirty whole days before the day of NOW
    at = {"gone": midnight - timedelta(microseconds=1), "kept": midnight, "today": NOW}

    each_store.save_events([TrackingEvent(event_id=name, timestamp=when, cost=1.0) for name, when in at.items()])
    assert retain(each_store).events == 1
    assert names(each_store) == ["kept", "today"]
    assert each_store.removals() == {midnight.date() - timedelta(days=1): 1}
    assert each_store.aggregate("cost") == {(): 3.0}
    assert retain(each_store).events == 0


def test_calls_without_a_price_stay_with_all_that_they_hang_under(each_store):
    each_store.save_events(
        [
            old("run", event_type="agent", cost=None, model=None),
            old("step", parent_id="run", event_type="task", cost=None, metadata={"kept": True}),
            old("unpriced", parent_id="step", cost=None, labels={"user_id": "u"}),
            old("priced", parent_id="step", labels={"user_id": "gone"}, metadata={"gone": True}),
            old("tool", parent_id="run", event_type="tool", cost=None, model=None),
            old("failed", cost=None, input_tokens=None, output_tokens=None, status="error"),
        ]
    )
    before = each_store.totals(["event_type"])
    assert retain(each_store).events == 3
    assert names(each_store) == ["run", "step", "unpriced"]
    assert_sound(each_store)
    assert each_store.totals(["event_type"]) == before
    assert each_store.get_event("unpriced").labels == {"user_id": "u"}
    assert each_store.get_event("step").metadata == {"kept": True}
    priced = list(each_store.reprice(lambda event: None))
    assert [event.event_id for event, _ in priced] == ["unpriced"]


def test_a_run_across_the_limit_stays_whole_until_its_last_event_is_past_it(each_store):
    each_store.save_events(
        [
            old("run", days=31, event_type="agent", cost=None, model=None),
            old("first", days=31, parent_id="run"),
            old("last", days=30, parent_id="run"),
        ]
    )
    assert retain(each_store).events == 0
    assert retain(each_store, now=NOW + timedelta(days=1)).events == 3
    assert [events for _, events in sorted(each_store.removals().items())] == [2, 1]


def test_an_open_run_stays(each_store):
    each_store.save_events([old("run", event_type="agent", status="open", model=None), old("call", parent_id="run")])
    assert retain(each_store).events == 0


def test_a_run_of_more_events_than_a_step_deletes_goes_from_its_leaves(each_store):
    chain = [old("e0"), *(old(f"e{n}", parent_id=f"e{n - 1}") for n in range(1, 90))]
    each_store.save_events(chain)
    retention = Retention(each_store._database, 30, now=NOW.timestamp)
    seen = set()
    while retention.step():
        assert_no_dangling_parents(each_store)
        seen.add(len(each_store.query_events()))
    assert len(seen) > 10
    assert names(each_store) == []
    assert_sound(each_store)


def assert_no_dangling_parents(store):
    with store._database.reading() as connection:
        question = 'SELECT parent FROM event WHERE parent NOT IN (SELECT "key" FROM event)'
        assert connection.exec_driver_sql(question).all() == []


def test_what_belongs_to_an_event_goes_with_it(each_store):
    each_store.save_events([old("a", parent_id="never"), old("b"), call(event_id="c", parent_id="lost")])
    each_store.sink.write(Batch(attempts=[(ids.from_text("a"), Attempt(1, 0, 500, 10))]))
    for source, target in (("a", "b"), ("c", "a")):
        each_store.save_relationship(ProvenanceRelationship(source, target, "retry_of", metadata={"why": source}))
    retain(each_store)
    assert names(each_store) == ["c"]
    assert each_store.relationships() == []
    assert each_store.get_event("c").parent_id == "lost"
    assert_sound(each_store)
    each_store.save_event(call(event_id="late", parent_id="a"))  # a child of what is gone waits for it like any other
    assert each_store.get_event("late").parent_id == "a"


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12), st.integers(0, 12), st.integers(0, 4), st.booleans(), st.sampled_from(["ok", "open"])
        ),
        max_size=14,
        unique_by=lambda each: each[0],
    ),
    st.integers(1, 3),
)
def test_whatever_leaves_all_that_stays_is_sound_and_the_sums_are_as_they_were(drawn, days):
    store = InMemoryStorage()
    for number, parent, ago, is_priced, status in drawn:
        record = EventRecord(
            ids.from_text(f"e{number}"),
            "llm_call",
            to_us(NOW - timedelta(days=ago)),
            external_id=f"e{number}",
            parent_id=ids.from_text(f"e{parent}") if parent < number else None,
            parent_external_id=f"e{parent}" if parent < number else None,
            cost_nanos=5 if is_priced else None,
            metadata={"n": number % 3},
            status=status,
        )
        store.sink.write(Batch([record]))
    before, events = store.totals(["hour", "model"]), store.query_events()
    removed = retain(store, days)
    left = {event.event_id for event in store.query_events()}
    limit = (NOW - timedelta(days=days)).replace(hour=0, minute=0)
    assert {event.event_id for event in events if event.timestamp >= limit or event.cost is None} <= left
    assert removed.events == len(events) - len(left) == sum(store.removals().values())
    assert store.totals(["hour", "model"]) == before
    assert_sound(store)


# When it happens


def test_it_happens_by_itself_on_the_writers_thread_and_not_on_the_callers(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_RETENTION_DAYS", "30")
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events([old(f"e{n}", days=400) for n in range(10)])
    threads = set()
    remove = deletion.remove
    monkeypatch.setattr(
        deletion, "remove", lambda *arguments: [threads.add(threading.current_thread().name), remove(*arguments)][1]
    )
    tracker = CostTracker(tmp_path / "s.db")
    tracker.track_call("gpt-4o", 1, 1)
    for _ in range(200):
        if len(tracker.storage.query_events()) == 1:
            break
        time.sleep(0.05)
    assert len(tracker.storage.query_events()) == 1
    assert threads == {"token-calculator-writer"}
    assert tracker.get_costs().total_calls == 11


def test_without_the_setting_nothing_leaves(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_event(old("e", days=4000))
        CostTracker(store).track_call("gpt-4o", 1, 1)
        assert len(store.query_events()) == 2


def test_it_is_done_once_a_day(each_store):
    clock = itertools.chain([NOW], itertools.repeat(NOW))
    retention = Retention(each_store._database, 30, now=lambda: next(clock).timestamp())
    each_store.save_event(old("first"))
    while not retention.daily():
        pass
    each_store.save_event(old("second"))
    assert retention.daily() == 8.5 * 3600  # from 15:30 to midnight
    assert names(each_store) == ["second"]
    clock = itertools.repeat(NOW + timedelta(days=1))
    while not retention.daily():
        pass
    assert names(each_store) == []


@pytest.mark.swallows
def test_a_store_that_is_locked_is_left_alone_for_a_while(tmp_path, monkeypatch):
    import sqlite3

    monkeypatch.setattr(sqlite.in_turn, "stop", tenacity.stop_after_delay(0.1))
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_event(old("e"))
        retention = Retention(store._database, 30, now=NOW.timestamp)
        other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        chores = Chores([retention.daily])
        assert chores.do() == pytest.approx(AFTER_ERROR_SECONDS, abs=5)
        assert chores.do() == pytest.approx(AFTER_ERROR_SECONDS, abs=5)
        assert sum(count for fault, count in faults.counts.items() if fault.startswith("chore Retention.daily")) == 1
        other.execute("ROLLBACK")
        other.close()


# What a question then does not know


@pytest.fixture
def past(each_store):
    """A store that has lost the details of three calls of one day, one of them in the last half hour of it."""
    evening = datetime(2026, 10, 1, 18, 45, tzinfo=UTC)
    for n, when in enumerate([evening - timedelta(hours=6), evening - timedelta(hours=5), evening, NOW]):
        each_store.save_event(
            TrackingEvent(event_id=f"e{n}", timestamp=when, model="m", agent_id="a", session_id="s", cost=1.0,
                          input_tokens=1, output_tokens=1)
        )  # fmt: skip
    retain(each_store)
    return each_store


DAY = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "removed", "calls"),
    [
        pytest.param({"group_by": ["model"]}, 0, 4, id="roll-up"),
        pytest.param({"group_by": ["day"], "filters": {"agent_id": "a"}}, 0, 4, id="days-of-a-roll-up"),
        pytest.param({"filters": {"session_id": "s"}}, 3, 1, id="rows"),
        pytest.param({"group_by": ["session_id"]}, 3, 4, id="a-group-by-rows"),
        pytest.param({"filters": {"session_id": "s", "day": "2026-11-20"}}, 0, 1, id="rows-of-a-whole-day"),
        pytest.param({"filters": {"session_id": "s", "hour": "2026-10-01T18:00"}}, 3, 0, id="rows-of-an-hour"),
        pytest.param({"filters": {"session_id": "s", "month": "2026-10"}}, 3, 0, id="rows-of-a-month"),
        pytest.param({"filters": {"session_id": "s"}, "start": NOW - timedelta(days=1)}, 0, 1, id="after"),
        pytest.param({"filters": {"session_id": "s"}, "end": DAY}, 0, 0, id="before"),
        pytest.param({"start": DAY + timedelta(hours=18, minutes=30)}, 3, 1, id="the-edge-of-a-period"),
        pytest.param({"start": DAY + timedelta(hours=18)}, 0, 2, id="whole-hours"),
    ],
)
def test_a_report_says_what_it_does_not_know_any_more(past, question, removed, calls):
    span = Period(question.get("start"), question.get("end"))
    found = report(past, span, group_by=question.get("group_by", ()), filters=question.get("filters"))
    assert (found.removed_events, found.total_calls) == (removed, calls)
    assert found.details_since == (datetime(2026, 10, 2, tzinfo=UTC) if removed else None)
    assert found.to_dict()["details_since"] == ("2026-10-02T00:00:00+00:00" if removed else None)


def test_days_of_a_zone_of_half_hours_need_only_the_hours_at_their_edges(past):
    tracker = CostTracker(past)
    kolkata = tracker.get_costs(group_by="day", tz="Asia/Kolkata")  # the call at 18:45 UTC is at 00:15 of the next day
    assert {group.key["day"]: group.calls for group in kolkata.groups} == {"2026-10-01": 2, "2026-11-20": 1}
    assert (kolkata.total_calls, kolkata.removed_events) == (4, 3)
    berlin = tracker.get_costs(group_by="day", tz="Europe/Berlin")
    assert {group.key["day"]: group.calls for group in berlin.groups} == {"2026-10-01": 3, "2026-11-20": 1}
    assert berlin.removed_events == 0


def test_a_process_that_records_is_not_held_up_while_events_leave(tmp_path, monkeypatch):
    """Ten other writers, and every call of theirs is there at the end."""
    monkeypatch.setattr(deletion, "MOST", 50)
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events([old(f"e{n}") for n in range(1500)])
        retention = Retention(store._database, 30, now=NOW.timestamp)

        def work(number):
            for n in range(20):
                store.save_event(call(event_id=f"{os.getpid()} {number} {n}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        while retention.step():
            pass
        for thread in threads:
            thread.join()
        assert len(store.query_events()) == 200
        assert store.aggregate("calls") == {(): 1700}
        assert_sound(store)
