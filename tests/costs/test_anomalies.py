import math
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import AnomalyWatch, CostTracker, SQLiteStorage, TrackingEvent
from tc_core.testing import FakeClock
from tests.costs.spending import FIRST, OwnBackend, calls, day, steady


@pytest.fixture(autouse=True)
def clock():
    """All of it is past."""
    with FakeClock(datetime(2026, 7, 1, tzinfo=UTC)) as clock:
        yield clock


@pytest.fixture
def tracker(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield CostTracker(store)


def save(tracker, *parts):
    tracker.storage.save_events([event for part in parts for event in part])


def test_a_spike_is_found_and_explains_itself(tracker):
    costly = calls(30, 10, count=5)
    save(tracker, steady(30), costly, steady(10, first=31, seed=2))
    (found,) = tracker.detect_anomalies()
    assert found.key == {"agent_id": "researcher"}
    assert found.period_start == FIRST + timedelta(days=30)
    assert found.observed == pytest.approx(10)
    assert found.expected == pytest.approx(1, rel=0.1)
    assert (found.kind, found.bucket, found.calls) == ("spike", "day", 5)
    assert sorted(found.event_ids) == sorted(event.event_id for event in costly)
    assert found.explanation.startswith("agent researcher cost $10.00 on Wed 2026-02-04, ")
    assert "calls: as usual (5); cost per call: " in found.explanation.lower()
    assert found.usual < 3 < found.observed
    assert found.to_dict()["period_start"] == "2026-02-04T00:00:00+00:00"


def test_the_dearest_calls_are_named_first(tracker):
    dear = calls(30, 9, count=1, hour=3)
    save(tracker, steady(30), calls(30, 2, count=40), dear)
    (found,) = tracker.detect_anomalies()
    assert (found.event_ids[0], len(found.event_ids), found.calls) == (dear[0].event_id, 10, 41)


def test_nothing_is_odd_about_noise_or_two_calls(tracker):
    save(
        tracker, steady(60, noise=0.6), calls(0, 0.01, count=1, agent_id="rare"), calls(1, 5, count=1, agent_id="rare")
    )
    assert tracker.detect_anomalies(direction="both", end_date=day(59, 24)) == []


def test_the_weekend_is_no_anomaly_and_a_working_day_on_it_is(tracker):
    days = [number for number in range(56) if number % 7 < 5]
    save(tracker, *(calls(number, 1 + number % 3 / 10) for number in days))
    save(tracker, *(calls(number, 0.1) for number in range(56) if number % 7 >= 5))
    assert tracker.detect_anomalies(direction="both", end_date=day(55, 24)) == []
    save(tracker, calls(54, 1.1))
    (found,) = tracker.detect_anomalies()
    assert (found.period_start, found.expected) == (FIRST + timedelta(days=54), pytest.approx(0.1, rel=0.2))


def test_a_new_level_is_told_from_a_spike_once_it_lasts(tracker):
    save(tracker, steady(30), steady(30, 4, first=30))
    found = tracker.detect_anomalies()
    assert [each.kind for each in found[:3]] == ["spike", "spike", "shift"]
    assert [each.since for each in found[:3]] == [FIRST + timedelta(days=30)] * 3
    assert "so since Wed 2026-02-04: a new level" in found[2].explanation
    assert found[-1].period_start < FIRST + timedelta(days=44)  # then it is the usual one


def test_what_stops_is_found_only_when_asked_for(tracker):
    save(tracker, steady(30), steady(40, agent_id="other"))
    assert tracker.detect_anomalies() == []
    found = tracker.detect_anomalies(direction="down", end_date=FIRST + timedelta(days=40))
    assert {(each.key["agent_id"], each.observed, each.calls) for each in found} == {("researcher", 0.0, 0)}
    assert (found[0].kind, found[0].event_ids) == ("drop", [])
    assert found[0].period_start == FIRST + timedelta(days=30)
    assert "There was no call." in found[0].explanation


def test_a_new_spender_is_told_once_and_only_where_it_spends_what_others_do(tracker):
    big = {"agent_id": "big", "first": 30}
    save(tracker, steady(60), steady(30, 3, **big), steady(30, 0.001, agent_id="small", first=30))
    (found,) = tracker.detect_anomalies()
    assert (found.key, found.kind, found.expected) == ({"agent_id": "big"}, "new", 0.0)
    assert found.period_start == FIRST + timedelta(days=30)
    assert "a new spender" in found.explanation
    assert tracker.detect_anomalies(direction="down", end_date=FIRST + timedelta(days=60)) == []


def test_a_new_spender_that_began_small_is_said_to_have_cost_nothing_before_it_began(tracker):
    save(tracker, steady(60), steady(3, 0.001, agent_id="slow", first=30), steady(27, 3, agent_id="slow", first=33))
    (found,) = (each for each in tracker.detect_anomalies() if each.kind == "new")
    assert (found.period_start, found.since) == (FIRST + timedelta(days=33), FIRST + timedelta(days=30))
    assert f"nothing before {found.since:%a %Y-%m-%d}: a new spender" in found.explanation


def test_nobody_is_new_in_a_store_that_is_new(tracker):
    save(tracker, steady(20), steady(15, 5, agent_id="second", first=5))
    assert tracker.detect_anomalies() == []


def test_the_threshold_is_how_many_times_what_was_expected(tracker):
    save(tracker, steady(40, noise=0.02), calls(40, 1.9))
    assert tracker.detect_anomalies() == []
    (found,) = tracker.detect_anomalies(1.5)
    assert found.observed / found.expected == pytest.approx(1.9, rel=0.05)


def test_hours_know_the_time_of_the_day(tracker):
    events = [
        event for number in range(20) for hour in range(24) for event in calls(number, 5 if hour == 9 else 1, hour=hour)
    ]
    save(tracker, events, calls(20, 5, hour=9), calls(20, 5, hour=10), calls(20, 5, hour=11))
    found = tracker.detect_anomalies(bucket="hour")
    assert [each.period_start for each in found] == [day(20, 10), day(20, 11)]
    assert "this hour of the last 14 days" in found[0].explanation


def test_days_are_those_of_the_zone(tracker):
    save(tracker, steady(30), calls(30, 10, hour=23))
    (found,) = tracker.detect_anomalies(tz="Asia/Kolkata")
    assert found.period_start == datetime(2026, 2, 4, 18, 30, tzinfo=UTC)
    assert "on Thu 2026-02-05" in found.explanation


def test_labels_and_several_names_are_dimensions_too(tracker):
    quiet = steady(31, labels={"customer": "b"})
    save(tracker, steady(30, labels={"customer": "a"}), quiet, calls(30, 10, labels={"customer": "a"}))
    (found,) = tracker.detect_anomalies(by=["customer", "model"])
    assert found.key == {"customer": "a", "model": "gpt-4o"}
    (found,) = tracker.detect_anomalies(by=())
    assert (found.key, found.explanation[:9]) == ({}, "All calls")
    assert tracker.detect_anomalies(by="customer", filters={"labels.customer": "b"}) == []


def test_a_day_without_prices_is_unknown_and_not_free(tracker):
    free = [TrackingEvent(model="x", input_tokens=1, output_tokens=1, timestamp=day(30), agent_id="researcher")] * 1
    save(tracker, steady(30), free, steady(10, first=31))
    assert tracker.detect_anomalies(direction="both", end_date=FIRST + timedelta(days=41)) == []


def test_a_day_that_has_not_ended_is_judged_only_upwards(tracker, clock):
    save(tracker, steady(30), calls(30, 0.01, hour=1))
    clock.advance(day(30, 2) - clock.now)
    assert tracker.detect_anomalies(direction="both") == []
    save(tracker, calls(30, 9, hour=1))
    (found,) = tracker.detect_anomalies(direction="both")
    assert not found.is_over
    assert "so far" in found.explanation


EVENTFUL = [
    *(steady(70, noise=0.3), calls(40, 8), calls(55, 30), steady(20, 3, first=50)),
    *(steady(60, 2, first=10, agent_id="writer", noise=0.5), calls(35, 20, agent_id="writer")),
    *(steady(30, 4, first=40, agent_id="late"), calls(66, 40, agent_id="late")),
]


def test_the_answer_is_the_same_wherever_the_question_begins_and_ends(tracker):
    save(tracker, *EVENTFUL)
    whole = tracker.detect_anomalies(direction="both")
    assert len({each.kind for each in whole}) == 4
    apart = []
    for number in range(71):
        start = FIRST + timedelta(days=number)
        apart += tracker.detect_anomalies(direction="both", start_date=start, end_date=start + timedelta(days=1))
    assert apart == [each for each in whole if each.period_start < FIRST + timedelta(days=71)]


@pytest.mark.parametrize("bucket", ["day", "hour"])
def test_live_and_afterwards_agree(tracker, bucket, clock):
    events = sorted((event for part in EVENTFUL for event in part), key=lambda event: event.timestamp)
    clock.advance(FIRST - clock.now)
    live = []
    watch = AnomalyWatch(tracker, live.append, bucket=bucket)
    for number in range(70):
        of_day = [event for event in events if event.timestamp.date() == day(number).date()]
        clock.advance(day(number, 23) - clock.now)
        save(tracker, of_day)
        watch(of_day)  # a listener hears of events when they are in the store
    afterwards = tracker.detect_anomalies(bucket=bucket, end_date=day(69, 0) if bucket == "day" else day(69, 12))
    assert live == afterwards != []


def test_a_watch_listens_to_what_is_recorded(tracker):
    found = []
    tracker.storage.add_listener(AnomalyWatch(tracker, found.append, bucket="day"))
    for number in (*range(30), 30, 31):
        tracker.track_call("gpt-4o", 1_000_000 if number == 30 else 10_000, 100, timestamp=day(number), agent_id="a")
        tracker.storage.flush()
    tracker.storage.close()  # listeners hear what waits
    assert [each.period_start for each in found] == [FIRST + timedelta(days=30)]


def test_a_backend_of_ones_own_is_answered_alike(tracker):
    memory = CostTracker(OwnBackend())
    events = [*steady(30), *calls(30, 10)]
    save(tracker, events)
    save(memory, events)
    assert memory.detect_anomalies() == tracker.detect_anomalies()


def test_an_empty_store_one_event_and_the_future_have_nothing_odd(tracker):
    assert tracker.detect_anomalies(direction="both") == []
    assert tracker.detect_anomalies(by="nobody_knows") == []
    save(tracker, calls(0, 1, count=1))
    assert tracker.detect_anomalies() == []
    assert tracker.detect_anomalies(start_date="2027-01-01") == []
    assert tracker.detect_anomalies(start_date="1990-01-01", end_date="1990-02-01") == []


def test_calls_without_a_price_have_nothing_odd(tracker):
    save(tracker, [TrackingEvent(model="x", input_tokens=1, output_tokens=1, timestamp=day(n)) for n in range(40)])
    assert tracker.detect_anomalies(direction="both", bucket="hour") == []
    assert tracker.detect_anomalies(direction="both") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 0.5}, "threshold must be a number from 1 on, how many times the expected cost, not 0.5"),
        ({"threshold": math.nan}, "not nan"),
        ({"threshold": "2"}, "not '2'"),
        ({"bucket": "week"}, "bucket must be one of day, hour, not 'week'"),
        ({"direction": "sideways"}, "direction must be one of up, down, both, not 'sideways'"),
        ({"by": ["day"]}, "by must name dimensions or labels such as agent_id, not 'day'"),
        ({"by": ["agnet"]}, "no call has a label 'agnet'"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "the period is empty: 2026-02-01"),
        ({"start_date": "someday"}, "cannot read 'someday' as a date"),
        ({"tz": "Mars"}, "unknown time zone 'Mars'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_question_that_cannot_be_is_named(tracker, options, said):
    save(tracker, steady(3))
    with pytest.raises(Exception, match=said) as raised:
        tracker.detect_anomalies(**options)
    assert isinstance(raised.value, ValueError) or type(raised.value).__name__ == "ConfigurationError"


def test_a_long_history_is_judged_in_parts_with_the_same_answer(tracker, monkeypatch):
    from tc_core.costs.anomalies import detect

    save(tracker, *EVENTFUL)
    whole = {bucket: tracker.detect_anomalies(bucket=bucket, direction="both") for bucket in ("day", "hour")}
    monkeypatch.setattr(detect, "_SPAN_DAYS", {"day": 9, "hour": 5})
    for bucket, found in whole.items():
        assert tracker.detect_anomalies(bucket=bucket, direction="both") == found != []


def test_days_whose_events_have_left_the_store_are_unknown_and_not_free(tracker, clock):
    save(tracker, steady(40, labels={"customer": "a"}), steady(40, first=40, labels={"customer": "b"}, seed=3))
    clock.advance(day(80, 0) - clock.now)
    retention = tracker.storage.retention(60)
    while retention.step():
        pass
    down = {"by": ["customer", "session_id"], "direction": "both", "end_date": FIRST + timedelta(days=40)}
    assert tracker.detect_anomalies(**down) == []
