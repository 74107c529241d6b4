from datetime import UTC, datetime, timedelta, timezone

import pytest

from tc_core.model.event import EventRecord, TrackingEvent, from_us, rank, to_us


def test_a_naive_timestamp_is_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    import time

    time.tzset()
    try:
        event = TrackingEvent(timestamp=datetime(2026, 1, 1, 12, 0))
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
    assert event.timestamp == datetime(2026, 1, 1, 6, 30, tzinfo=UTC)


def test_any_zone_becomes_utc():
    event = TrackingEvent(timestamp=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert event.timestamp.isoformat() == "2025-12-31T23:00:00+00:00"


def test_microseconds_survive():
    moment = datetime(2026, 11, 23, 4, 39, 35, 649_791, tzinfo=UTC)
    assert from_us(to_us(moment)) == moment


def test_a_label_named_like_a_dimension_fills_it_and_stays():
    event = TrackingEvent(labels={"agent_id": "support", "user_id": 17})
    assert event.agent_id == "support"
    assert event.labels == {"agent_id": "support", "user_id": "17"}


def test_a_dimension_that_is_set_is_not_filled():
    assert TrackingEvent(agent_id="a", labels={"agent_id": "b"}).agent_id == "a"


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        pytest.param({"input_tokens": -1}, "input_tokens", id="negative"),
        pytest.param({"output_tokens": 10**13}, "output_tokens", id="absurd"),
        pytest.param({"input_tokens": 1.5}, "input_tokens", id="fraction"),
        pytest.param({"input_tokens": True}, "input_tokens", id="bool"),
        pytest.param({"input_tokens": 10, "cached_tokens": 11}, "cached_tokens", id="more-cached-than-read"),
        pytest.param({"output_tokens": 1, "reasoning_tokens": 2}, "reasoning_tokens", id="more-reasoning"),
        pytest.param({"status": "fine"}, "status", id="status"),
        pytest.param({"usage_source": "guess"}, "usage_source", id="source"),
        pytest.param({"timestamp": datetime(1969, 12, 31, tzinfo=UTC)}, "1970", id="before-1970"),
        pytest.param({"event_id": ""}, "event_id", id="empty-id"),
        pytest.param({"cost": float("nan")}, "cost", id="cost"),
        pytest.param({"cost": -0.01}, "cost", id="negative-cost"),
        pytest.param({"cost": 1e30}, "cost", id="absurd-cost"),
        pytest.param({"charges": {3: 1}}, "charges", id="charge-of-no-name"),
        pytest.param({"charges": {"web_searches": -1}}, "web_searches", id="negative-charge"),
        pytest.param({"charges": {"web_searches": float("nan")}}, "web_searches", id="charge-of-no-number"),
        pytest.param({"charges": {"web_searches": True}}, "web_searches", id="charge-of-truth"),
        pytest.param({"charges": {"web_searches": "2"}}, "web_searches", id="charge-of-text"),
        pytest.param({"charges": {"audio_seconds": 10**12 + 1}}, "audio_seconds", id="absurd-charge"),
        pytest.param({"charges": {f"kind {n}": 1 for n in range(65)}}, "charges", id="charges-of-everything"),
        pytest.param({"charges": ["web_searches"]}, "charges", id="charges-in-a-list"),
        pytest.param({"charges_nanos": 1.0}, "charges_nanos", id="fraction-of-a-charge"),
        pytest.param({"charges_nanos": -1}, "charges_nanos", id="negative-charges"),
        pytest.param({"event_type": ""}, "event_type", id="empty-type"),
        pytest.param({"event_type": None}, "event_type", id="no-type"),
    ],
)
def test_facts_that_no_event_can_have_are_refused_by_name(facts, named):
    with pytest.raises(ValueError, match=named):
        TrackingEvent(**facts).check()


def test_cost_is_exact_beside_the_float():
    event = TrackingEvent(cost=0.1)
    assert (event.cost_nanos, str(event.cost_exact)) == (100_000_000, "0.100000000")
    assert TrackingEvent().cost_exact is None


def test_revisions_rank_from_open_to_reported():
    estimated = [("open", None), ("abandoned", None), ("cancelled", "estimate"), ("ok", "estimate")]
    reported = [("cancelled", "provider"), ("ok", "provider")]
    assert [rank(*each) for each in estimated + reported] == [0, 1, 2, 3, 4, 5]
    assert rank("closed", "exact") == rank("cancelled", None)
    assert rank("error", None) == rank("ok", "estimate")


def test_record_and_event_say_the_same():
    event = TrackingEvent(
        event_id="req_1",
        parent_id="req_0",
        model="gpt-4o",
        input_tokens=10,
        cached_tokens=3,
        output_tokens=2,
        cost=0.5,
        labels={"user_id": "u"},
        metadata={"k": [1, None]},
        agent_id="a",
        latency_ms=12.345,
        charges={"web_searches": 2, "audio_seconds": 0.5},
        charges_nanos=20,
    )
    assert EventRecord.from_event(event).to_event() == event


def test_to_dict_is_plain_json():
    import json

    plain = TrackingEvent(model="m", input_tokens=1).to_dict()
    assert json.loads(json.dumps(plain))["cost"] is None
    assert "agent_id" not in plain
    assert "charges" not in plain


def test_charges_that_can_be_are_told_as_they_are():
    event = TrackingEvent(charges={"web_searches": 0, "audio_seconds": 1e12}, charges_nanos=0)
    event.check()
    plain = event.to_dict()
    assert (plain["charges"], plain["charges_nanos"]) == ({"web_searches": 0, "audio_seconds": 1e12}, 0)
