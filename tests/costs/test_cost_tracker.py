from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tc_core import ConfigurationError, CostTracker, InMemoryStorage, SQLiteStorage, TrackingEvent, labels
from tc_core.meter import own_prices


@pytest.fixture
def tracker():
    return CostTracker(InMemoryStorage())


def at(day, hour=12, minute=0):
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def own_prices_file(monkeypatch, tmp_path):
    """Write prices of one's own, which hold at once."""
    path = tmp_path / "prices.yaml"
    monkeypatch.setenv("TOKEN_CALC_PRICES", str(path))

    def write(text):
        path.write_text(text, encoding="utf-8")
        own_prices._read.cache_clear()
        own_prices.forget()

    write("")
    return write


@pytest.mark.parametrize("store", ["memory", "s.db"])
def test_reprice_fills_what_had_no_price_into_the_calls_own_period(store, own_prices_file):
    tracker = CostTracker(store)
    old, new = datetime(2026, 1, 10, 12, 30, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC)
    for moment in (old, new):
        tracker.track_call("acme-1", 1_000_000, 0, timestamp=moment, agent_id="a", user_id="u1")
    tracker.track_call("gpt-4o", 1_000_000, 0, timestamp=old, agent_id="a")
    tracker.track_call("acme-2", 1, 0, timestamp=old)
    assert tracker.reprice().to_dict() == {
        "examined": 3,
        "changed": 0,
        "still_unpriced": 3,
        "cost_change": 0,
        "cost_change_nanos": 0,
    }
    own_prices_file("- {model: acme-1, until: 2026-02-01, input: 1}\n- {model: acme-1, from: 2026-02-01, input: 3}")
    assert tracker.reprice(end_date="2026-01-31").changed == 1
    done = tracker.reprice()
    assert (done.examined, done.changed, done.still_unpriced, done.cost_change) == (2, 1, 1, 3.0)
    by_month = {group.key["month"]: group.cost for group in tracker.get_costs(group_by=["month"]).groups}
    assert by_month == {"2026-01": 3.5, "2026-03": 3.0}
    assert {group.key["user_id"]: group.cost for group in tracker.get_costs(group_by=["user_id"]).groups} == {
        "u1": 4.0,
        None: 2.5,
    }
    rows = sum(event.cost_nanos or 0 for event in tracker.storage.query_events())
    assert tracker.get_costs().total_cost == rows / 1e9 == 6.5
    assert tracker.get_costs(filters={"model": "acme-1"}).unpriced_calls == 0
    (event, *_) = tracker.storage.query_events({"model": "acme-1"}, start_time=new)
    assert (event.price_source, event.price_date) == ("own prices", date(2026, 2, 1))


def test_reprice_everything_keeps_what_was_given_by_hand_and_what_has_no_price_now(own_prices_file):
    tracker = CostTracker("memory")
    own_prices_file("- {model: acme-1, input: 1}")
    tracker.track_call("acme-1", 1_000_000, 0)
    tracker.track_call("gpt-4o", 1_000_000, 0)
    tracker.storage.save_event(TrackingEvent(model="gpt-4o", input_tokens=5, output_tokens=5, cost=7.0))
    own_prices_file("- {model: gpt-4o, input: 1}")
    assert tracker.reprice().examined == 0
    done = tracker.reprice(everything=True)
    assert (done.examined, done.changed, done.cost_change) == (3, 1, -1.5)
    assert tracker.get_costs().total_cost == 1 + 1 + 7
    assert tracker.reprice(everything=True).changed == 0


SEARCHED = {
    "model": "claude-sonnet-4-5", "provider": "anthropic", "input_tokens": 1_000, "output_tokens": 100,
    "charges": {"web_searches": 2},
}  # fmt: skip
"""1,000 x 3 and 100 x 15 dollars per million, and two searches at 10 dollars per thousand: $0.0245."""


@pytest.mark.parametrize("store", ["memory", "s.db"])
def test_reprice_prices_what_is_charged_beside_the_tokens(store):
    tracker = CostTracker(store)
    tracker.storage.save_event(TrackingEvent(**SEARCHED, timestamp=at(5), agent_id="a"))
    tracker.storage.save_event(TrackingEvent(**SEARCHED | {"charges": {"a new tool": 1}}, timestamp=at(6)))
    done = tracker.reprice()
    assert (done.examined, done.changed, done.still_unpriced, done.cost_change_nanos) == (2, 1, 1, 24_500_000)
    report = tracker.get_costs("2026-01-05", "2026-01-31", group_by=["agent_id"])
    assert (report.total_cost, report.total_charges, report.unpriced_calls) == (0.0245, 0.02, 1)
    assert (report.total_cost_nanos, report.total_charges_nanos) == (24_500_000, 20_000_000)
    groups = {group.key["agent_id"]: (group.charges, group.charges_nanos) for group in report.groups}
    assert groups == {"a": (0.02, 20_000_000), None: (None, None)}
    plain = report.to_dict()
    assert (plain["total_charges"], plain["groups"][0]["charges"]) == (0.02, 0.02)
    assert tracker.storage.aggregate("charges", ["agent_id"]) == {("a",): 0.02, (None,): None}


def test_reprice_leaves_what_the_provider_billed_and_what_a_cache_answered():
    tracker = CostTracker("memory")
    kept = [
        TrackingEvent(**SEARCHED, event_id=source, cost_nanos=nanos, price_source=source)
        for source, nanos in (("billed", 7), ("cache", 0))
    ]
    tracker.storage.save_events([*kept, TrackingEvent(**SEARCHED, cost_nanos=1, price_source="an older table")])
    done = tracker.reprice(everything=True)
    assert (done.examined, done.changed, done.cost_change_nanos) == (3, 1, 24_500_000 - 1)
    assert [tracker.storage.get_event(event.event_id) for event in kept] == kept


def test_reprice_of_many_goes_in_batches(own_prices_file):
    tracker = CostTracker("s.db")
    events = [
        TrackingEvent(event_id=f"e{n}", model="acme-1", input_tokens=1_000_000, output_tokens=0) for n in range(2500)
    ]
    tracker.storage.save_events(events)
    own_prices_file("- {model: acme-1, input: 0.001}")
    assert tracker.reprice().changed == 2500
    assert tracker.get_costs().total_cost == 2.5


def test_track_call_says_what_it_cost(tracker):
    record = tracker.track_call("gpt-4o", 10_000, 500, cached_tokens=8_000, agent_id="a")
    # 2,000 x 2.50 + 8,000 x 1.25 + 500 x 10 dollars per million.
    assert (record.cost, record.cost_exact) == (0.02, Decimal("0.020000000"))
    assert (record.model, record.input_tokens, record.output_tokens) == ("gpt-4o", 10_000, 500)
    assert record.usage_source == "provider"
    assert record.price_source.startswith("genai-prices")
    assert record.to_dict()["cost_nanos"] == 20_000_000
    assert tracker.storage.get_event(record.event_id).agent_id == "a"


def test_an_unknown_model_costs_nobody_knows_what(tracker):
    record = tracker.track_call("gpt-99", 10, 10)
    assert (record.cost, record.cost_exact, record.price_source) == (None, None, None)
    report = tracker.get_costs()
    assert (report.total_cost, report.unpriced_calls) == (None, 1)
    tracker.track_call("gpt-4o", 1000, 0)
    report = tracker.get_costs(group_by=["model"])
    assert (report.total_cost, report.unpriced_calls, report.total_calls) == (0.0025, 1, 2)
    assert [(group.key["model"], group.cost, group.unpriced_calls) for group in report.groups] == [
        ("gpt-4o", 0.0025, 0),
        ("gpt-99", None, 1),
    ]


def test_the_seed_documents_example(tmp_path):
    tracker = CostTracker(storage=SQLiteStorage(tmp_path / "costs.db"))
    tracker.track_call(
        model="gpt-4",
        input_tokens=1000,
        output_tokens=500,
        agent_id="customer-support",
        user_id="user-123",
        environment="production",
    )
    costs = tracker.get_costs(
        start_date="2024-01-01",
        end_date="2099-01-31",
        group_by=["agent_id", "model"],
        filters={"environment": "production"},
    )
    # gpt-4: 30 dollars per million in, 60 out.
    assert costs.total_cost == 0.06
    assert costs.groups[0].key == {"agent_id": "customer-support", "model": "gpt-4"}
    assert CostTracker(tracker.storage).get_costs(start_date="this-month", group_by=["agent_id"]).total_cost == 0.06


def test_labels_that_are_named_like_dimensions_fill_them(tracker):
    tracker.track_call("gpt-4o", 1, 1, agent_id="a", task_type="t", session_id=7, user_id=42, event_type="odd")
    (event,) = tracker.storage.query_events()
    assert (event.agent_id, event.task_type, event.session_id, event.event_type) == ("a", "t", "7", "llm_call")
    assert event.labels == {"user_id": "42", "event_type": "odd"}


def test_labels_of_the_place_count(tracker):
    with labels(user_id="u", agent_id="a"):
        tracker.track_call("gpt-4o", 1, 1, agent_id="b")
    (event,) = tracker.storage.query_events()
    assert (event.agent_id, event.labels) == ("b", {"user_id": "u"})


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"input_tokens": -1}, "input_tokens"),
        ({"output_tokens": 10**13}, "output_tokens"),
        ({"cached_tokens": 101}, "cached_tokens"),
        ({"reasoning_tokens": 11}, "reasoning_tokens"),
        ({"input_tokens": None}, "input_tokens"),
        ({"output_tokens": 1.5}, "output_tokens"),
        ({"input_tokens": True}, "input_tokens"),
        ({"status": "great"}, "status"),
        ({"event_id": ""}, "event id"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": float("nan")}, "latency_ms"),
        ({"latency_ms": "12"}, "latency_ms"),
        ({"timestamp": datetime(1960, 1, 1, tzinfo=UTC)}, "timestamp"),
        ({"timestamp": datetime(1, 1, 1)}, "timestamp"),
        ({"timestamp": datetime(9999, 12, 31)}, "timestamp"),
        ({"timestamp": "2026-01-01"}, "timestamp"),
    ],
)
def test_numbers_that_no_call_can_have_are_refused(tracker, facts, named):
    with pytest.raises(ValueError, match=named):
        tracker.track_call(**({"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10} | facts))
    assert tracker.get_costs().total_calls == 0


def test_an_id_of_ones_own_is_kept_and_makes_a_retry_harmless(tracker):
    for _ in range(2):
        record = tracker.track_call("gpt-4o", 10, 1, event_id="req_123", agent_id="a")
        assert record.event_id == "req_123"
    with pytest.raises(ValueError, match="req_123"):
        tracker.track_call("gpt-4o", 11, 1, event_id="req_123", agent_id="a")
    assert tracker.get_costs().input_tokens == 10


def test_a_parent_of_ones_own(tracker):
    parent = tracker.track_call("gpt-4o", 1, 1, event_id="req_1")
    child = tracker.track_call("gpt-4o", 1, 1, parent_id="req_1")
    event = tracker.storage.get_event(child.event_id)
    assert (event.parent_id, event.root_id, event.depth) == (parent.event_id, "req_1", 1)


def test_facts_of_a_call(tracker):
    tracker.track_call(
        "gpt-4o", 5, 3, reasoning_tokens=2, latency_ms=12.5, metadata={"k": [1]}, timestamp=at(5), provider="openai"
    )
    (event,) = tracker.storage.query_events()
    assert (event.reasoning_tokens, event.latency_ms, event.metadata) == (2, 12.5, {"k": [1]})
    assert (event.timestamp, event.provider) == (at(5), "openai")


def test_the_price_is_that_of_the_day_of_the_call(tracker):
    assert tracker.track_call("o3", 1_000_000, 0, timestamp=datetime(2025, 5, 1, tzinfo=UTC)).cost == 10.0
    assert tracker.track_call("o3", 1_000_000, 0, timestamp=datetime(2025, 7, 1, tzinfo=UTC)).cost == 2.0


# Reports


@pytest.mark.parametrize(
    ("start", "end", "calls"),
    [
        pytest.param(None, None, 4, id="all"),
        pytest.param("2026-01-01", "2026-01-01", 2, id="one-whole-day"),
        pytest.param("2026-01-01", "2026-01-02", 3, id="two-days"),
        pytest.param("2026-01-02", None, 2, id="since"),
        pytest.param(None, "2026-01-01", 2, id="until"),
        pytest.param(at(1, 12), at(1, 23, 59), 1, id="datetimes-are-half-open"),
        pytest.param("2026-01-01T12:00", "2026-01-02T00:00", 2, id="times"),
        pytest.param("2026-02-01", None, 0, id="nothing"),
    ],
)
def test_periods(tracker, start, end, calls):
    for moment in (at(1, 12), at(1, 23, 59), at(2, 0), at(3)):
        tracker.track_call("gpt-4o", 1000, 0, timestamp=moment)
    report = tracker.get_costs(start, end)
    assert (report.total_calls, report.total_cost) == (calls, calls * 0.0025)


def test_days_of_a_zone(tracker):
    for moment in (at(1, 18, 29), at(1, 18, 30), at(2, 12)):
        tracker.track_call("gpt-4o", 1000, 0, timestamp=moment)
    report = tracker.get_costs("2026-01-01", "2026-01-02", group_by=["day"], tz="Asia/Kolkata")
    assert [(group.key["day"], group.calls) for group in report.groups] == [("2026-01-01", 1), ("2026-01-02", 2)]
    by_hour = tracker.get_costs("2026-01-02", "2026-01-02", group_by=["hour"], tz="Asia/Kolkata").groups
    assert [group.key["hour"] for group in by_hour] == ["2026-01-02T00:00+05:30", "2026-01-02T17:00+05:30"]


def test_groups_come_dearest_first_and_time_in_its_order(tracker):
    for day, agent, tokens in ((1, "cheap", 10), (1, "dear", 1000), (2, "cheap", 20)):
        tracker.track_call("gpt-4o", tokens, 0, timestamp=at(day), agent_id=agent)
    assert [group.key["agent_id"] for group in tracker.get_costs(group_by=["agent_id"]).groups] == ["dear", "cheap"]
    by_day = tracker.get_costs(group_by=["day", "agent_id"]).groups
    assert [tuple(group.key.values()) for group in by_day] == [
        ("2026-01-01", "dear"),
        ("2026-01-01", "cheap"),
        ("2026-01-02", "cheap"),
    ]


def test_one_name_may_come_as_text(tracker):
    tracker.track_call("gpt-4o", 1, 1, agent_id="a")
    assert tracker.get_costs(group_by="agent_id").groups[0].key == {"agent_id": "a"}


def test_named_periods(tracker):
    now = datetime.now(UTC)
    tracker.track_call("gpt-4o", 1000, 0)
    tracker.track_call("gpt-4o", 1000, 0, timestamp=now - timedelta(days=400))
    for name in ("today", "this-week", "this-month", "this-year", "last-30-days"):
        assert tracker.get_costs(name).total_calls == 1, name
    assert tracker.get_costs("yesterday").total_calls == 0


def test_a_report_is_plain_json(tracker):
    import json

    tracker.track_call("gpt-4o", 1000, 0, agent_id="a")
    plain = json.loads(json.dumps(tracker.get_costs("this-month", group_by=["agent_id"]).to_dict()))
    assert plain["groups"][0]["key"] == {"agent_id": "a"}
    assert (plain["total_cost"], plain["total_cost_nanos"]) == (0.0025, 2_500_000)


@pytest.mark.parametrize(
    "asked", [{"start_date": "soon"}, {"tz": "Nowhere"}, {"start_date": "2026-02-02", "end_date": "2026-02-01"}]
)
def test_what_cannot_be_read_is_named(tracker, asked):
    with pytest.raises(ConfigurationError):
        tracker.get_costs(**asked)


def test_a_call_is_seen_at_once_from_any_thread(tracker):
    import threading

    seen = []

    def work(number):
        tracker.track_call("gpt-4o", 1, 0, thread=number)
        seen.append(tracker.get_costs(filters={"thread": str(number)}).total_calls)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 50
