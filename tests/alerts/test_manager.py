"""Rules that a program adds: what they fire, once, and who is told."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import (
    AlertManager,
    AlertRule,
    BudgetTracker,
    ConfigurationError,
    CostTracker,
    InMemoryStorage,
    StorageError,
    TrackingEvent,
)
from tc_core.model.part import Finding
from tc_core.record.guard import faults
from tc_core.runtime import recorders
from tc_core.store.base import StorageBackend
from tc_core.testing import FakeClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def dear(event):
    return event.cost > 1.0


@pytest.fixture
def told(store):
    """A manager, and what a function of the program is told."""
    manager, heard = AlertManager(store), []
    manager.add_notifier("here", heard.append)
    return manager, heard


def test_a_rule_hears_of_a_recorded_call_and_a_webhook_gets_one_signed_alert(store, to_receiver, receiver):
    to_receiver()
    manager = AlertManager(store)
    manager.add_alert_rule(AlertRule("dear-call", dear, "critical", ["webhook"]))
    tracker = CostTracker(store)
    tracker.track_call("gpt-4o", 100, 10)
    record = tracker.track_call("gpt-4o", 1_000_000, 10, agent_id="writer")
    (body,) = receiver.wait_for(1)
    assert (body["rule"], body["severity"], body["event_id"]) == ("dear-call", "critical", record.event_id)
    assert "dear-call" in body["text"]
    assert manager.flush(60)
    _, headers, raw = receiver.requests[0]
    expected = hmac.new(b"secret", raw, hashlib.sha256).hexdigest()
    assert headers["X-Signature-256"] == f"sha256={expected}"
    assert headers["Idempotency-Key"] == body["id"]
    assert len(receiver.requests) == 1
    (alert,) = manager.history()
    assert [delivery.fault for delivery in manager.deliveries(alert.alert_id)] == [None]


def test_the_rules_of_the_document_run_as_they_are_written_there(store, told):
    alerts, heard = told
    budget_tracker = BudgetTracker(store)
    budget_tracker.set_budget(10.0, "monthly", name="monthly")
    baseline = 0.5
    alerts.add_alert_rule(
        AlertRule(
            name="monthly-budget-80pct",
            condition=lambda e: budget_tracker.get_remaining().pct < 0.2,
            severity="warning",
            channels=["here"],
        )
    )
    alerts.add_alert_rule(
        AlertRule(
            name="cost-spike",
            condition=lambda e: e.cost > baseline * 2.0,
            severity="critical",
            channels=["here"],
            cooldown=0,
        )
    )
    tracker = CostTracker(store)
    tracker.track_call("gpt-4o", 100_000, 0)  # $0.25
    assert alerts.flush(60)
    assert heard == []
    tracker.track_call("gpt-4o", 3_200_000, 0)  # $8.00: $8.25 of $10 are spent
    assert alerts.flush(60)
    assert sorted((alert.rule, alert.severity) for alert in heard) == [
        ("cost-spike", "critical"),
        ("monthly-budget-80pct", "warning"),
    ]


def test_a_condition_that_meets_an_unknown_cost_has_not_fired(told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"]))
    assert manager.check_alerts(TrackingEvent(model="no-such-model", input_tokens=1, output_tokens=1)) == []
    assert (heard, faults.counts) == ([], {})


@pytest.mark.swallows
def test_a_rule_that_raises_has_not_fired_and_the_doctor_shows_it(store, told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("broken", lambda event: event.nothing, channels=["here"]))
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"]))
    CostTracker(store).track_call("gpt-4o", 1_000_000, 0)
    assert manager.flush(60)
    assert [alert.rule for alert in heard] == ["dear"]
    CostTracker(store).track_call("gpt-4o", 1, 0)  # what was swallowed is written with what comes next
    store.flush()
    assert store.faults()["alert rule 'broken': AttributeError"] >= 1


def test_a_rule_fires_again_after_its_cooldown_and_not_before(told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"], cooldown=300))
    with FakeClock(NOON) as clock:
        first = manager.check_alerts(TrackingEvent(cost=2.0))
        clock.advance(seconds=299)
        assert manager.check_alerts(TrackingEvent(cost=2.0)) == []
        clock.advance(seconds=2)
        second = manager.check_alerts(TrackingEvent(cost=2.0))
    assert manager.flush(60)
    assert [alert.alert_id for alert in heard] == [each.alert_id for each in (*first, *second)]


def test_an_alert_of_one_agent_does_not_hide_that_of_another(told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"], by="agent_id"))
    for agent in ("writer", "critic", "writer", None):
        manager.check_alerts(TrackingEvent(cost=2.0, agent_id=agent))
    assert manager.flush(60)
    assert [alert.key for alert in heard] == ["writer", "critic", "none"]


def test_the_same_event_raises_the_same_alert_whoever_asks(store, told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"], cooldown=0))
    record = CostTracker(store).track_call("gpt-4o", 1_000_000, 0)
    assert manager.flush(60)
    event = store.get_event(record.event_id)
    (again,) = manager.check_alerts(event)
    assert manager.send_notification(again)
    assert [alert.alert_id for alert in heard] == [again.alert_id]
    assert len(manager.history()) == 1


def test_a_silenced_rule_tells_nobody_until_then(told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"], cooldown=0))
    with FakeClock(NOON) as clock:
        until = manager.silence("dear", timedelta(hours=1), by="ann", why="a load test")
        assert until - NOON < timedelta(hours=1, seconds=1)
        assert manager.check_alerts(TrackingEvent(cost=2.0)) == []
        clock.advance(hours=1, seconds=1)
        assert len(manager.check_alerts(TrackingEvent(cost=2.0))) == 1
    assert manager.flush(60)
    assert len(heard) == 1


def test_what_somebody_has_seen_is_not_told_again_until_it_was_over(told):
    manager, _ = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"], cooldown=60))
    with FakeClock(NOON) as clock:
        (alert,) = manager.check_alerts(TrackingEvent(cost=2.0))
        seen = manager.acknowledge(alert.alert_id[-8:], by="ann")
        assert (seen.alert_id, seen.acknowledged_by) == (alert.alert_id, "ann")
        clock.advance(minutes=5)
        assert manager.check_alerts(TrackingEvent(cost=2.0)) == []
        manager.check_alerts(TrackingEvent(cost=0.1))  # now it was over
        assert len(manager.check_alerts(TrackingEvent(cost=2.0))) == 1
        assert manager.history("dear")[-1].resolved_at is not None
    with pytest.raises(ValueError, match="there is no alert 'nothing'"):
        manager.acknowledge("nothing")


def test_a_silence_ends_with_a_day_where_one_is(told):
    manager, _ = told
    with FakeClock(NOON):
        assert manager.silence("dear", "2026-03-16", tz="Asia/Tokyo") == datetime(2026, 3, 16, 15, tzinfo=UTC)
        naive = datetime(2026, 3, 16, 21, 30)  # is meant in the zone
        assert manager.silence("dear", naive, tz="Asia/Tokyo") == datetime(2026, 3, 16, 12, 30, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match=r"cannot read '2 hours' as a date: .*, or how long: 30m, 2h or 7d"):
        manager.silence("dear", "2 hours")


def test_what_is_no_event_is_asked_of_no_rule(store):
    with pytest.raises(ValueError, match="event must be a TrackingEvent, not 'x'"):
        AlertManager(store).check_alerts("x")


def test_an_alert_made_by_hand_is_told_on_the_console(store, capsys):
    from tc_core import Alert

    manager = AlertManager(store)
    assert manager.send_notification(Alert("by-hand", "info", "hello \x1b[31m\nthere"), timeout=60)
    assert capsys.readouterr().err == "token-calculator [info] by-hand: hello [31m there\n"
    assert [alert.rule for alert in manager.history()] == ["by-hand"]


@pytest.mark.swallows
def test_a_function_that_raises_is_called_again(store):
    manager, heard = AlertManager(store), []

    def flaky(alert):
        heard.append(alert)
        if len(heard) == 1:
            raise RuntimeError("not now")

    manager.add_notifier("here", flaky)
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"]))
    (alert,) = manager.check_alerts(TrackingEvent(cost=2.0))
    assert manager.flush(60)
    assert [each.alert_id for each in heard] == [alert.alert_id] * 2
    assert [delivery.fault for delivery in manager.deliveries(alert.alert_id)] == ["here raised RuntimeError", None]


def test_presets(told, store):
    manager, heard = told
    BudgetTracker(store).set_budget(1.0, "daily", name="daily")
    manager.add_budget_alert(0.8, channels=["here"])
    manager.add_cost_spike_alert(3.0, channels=["here"])
    manager.add_context_overflow_alert(model="gpt-4o", channels=["here"])
    tracker = CostTracker(store)
    for _ in range(25):
        tracker.track_call("gpt-4o", 1000, 0)  # $0.0025 each
    assert manager.flush(60)
    assert heard == []
    tracker.track_call("gpt-4o", 120_000, 0)  # $0.30 of $1, 120 times the usual, 94 % of 128,000 tokens
    tracker.track_call("gpt-4o-mini", 120_000, 0)
    tracker.track_call("o3", 300_000, 0)  # $0.60: $0.98 is spent
    assert manager.flush(60)
    assert sorted(alert.rule for alert in heard) == ["budget", "context-overflow", "cost-spike"]


def test_rules_in_memory_end_with_it(tmp_path):
    store = InMemoryStorage()
    manager, heard = AlertManager(store), []
    manager.add_notifier("here", heard.append)
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"]))
    CostTracker(store).track_call("gpt-4o", 1_000_000, 0)
    assert manager.flush(60)
    assert len(heard) == 1


def test_closing_the_store_tells_what_was_fired_first(store, told):
    manager, heard = told
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"]))
    CostTracker(store).track_call("gpt-4o", 1_000_000, 0)
    store.close()
    assert [alert.rule for alert in heard] == ["dear"]


class OwnBackend(StorageBackend):
    def save_event(self, event): ...
    def query_events(self, filters=None, start_time=None, end_time=None, *, limit=None, descending=False):
        return []

    def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
        return {}


def test_a_backend_of_ones_own_keeps_no_alerts():
    with pytest.raises(StorageError, match="OwnBackend keeps no alerts: use SQLiteStorage"):
        AlertManager(OwnBackend())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"severity": "loud"}, "severity of rule 'r' must be one of info, warning, critical, not 'loud'"),
        ({"cooldown": -1}, "cooldown of rule 'r' must be seconds from 0 on, not -1"),
        ({"cooldown": "soon"}, "cooldown of rule 'r' must be seconds from 0 on, not 'soon'"),
        ({"channels": None}, r"a rule needs texts, such as \('console',\), not None"),
        ({"condition": 5}, "condition of rule 'r' must be a function of an event, not 5"),
        ({"channels": [""]}, "a channel of rule 'r' must be a text that is not empty, not ''"),
    ],
)
def test_a_rule_that_cannot_be_is_said_to_be_so(options, said):
    with pytest.raises(ValueError, match=said):
        AlertRule(**{"name": "r", "condition": dear, **options})


def test_the_doctor_says_who_cannot_be_told(store, configure):
    configure(
        "alerts:\n  rules:\n    - {name: a, type: cost, threshold: 1, channels: [webhook]}\n"
        "    - {name: b, type: nothing}\n"
    )
    found = [each for part in recorders.parts(store) if part.checks for each in part.checks()]
    assert (
        Finding(
            "fault", "alerts", "rule 'a' tells nobody over 'webhook': set alerts.webhook_url (TOKEN_CALC_WEBHOOK_URL)"
        )
        in found
    )
    (unknown,) = [each.said for each in found if "'b'" in each.said]
    assert "there is no type 'nothing', known are anomaly, budget, burn_rate," in unknown


def test_each_kind_of_store_keeps_alerts_alike(each_store):
    manager, heard = AlertManager(each_store), []
    manager.add_notifier("here", heard.append)
    manager.add_budget_alert(1.0, channels=["here"], cooldown=0)
    manager.add_alert_rule(AlertRule("dear", dear, channels=["here"], by="agent_id"))
    with FakeClock(NOON) as clock:
        BudgetTracker(each_store).set_budget(1.0, "day", name="daily")
        for agent in ("writer", "critic", "writer"):
            CostTracker(each_store).track_call("gpt-4o", 1_000_000, 0, agent_id=agent)
        assert manager.flush(60)
        manager.silence("dear", "2h")
        (critic,) = [alert for alert in manager.history("dear") if alert.key == "critic"]
        manager.acknowledge(critic.alert_id, by="ann")
        clock.advance(days=1)
        assert manager.flush(60)
        standings = {each.name: (each.kind, each.firing, each.alerts) for each in manager.standings()}
        assert standings == {"budget": ("budget", (), 1), "dear": ("condition", ("critic", "writer"), 2)}
        history = {(alert.rule, alert.key): alert.acknowledged_by for alert in manager.history(since="yesterday")}
        assert history == {("budget", "daily"): None, ("dear", "critic"): "ann", ("dear", "writer"): None}
        told = [(alert.rule, alert.key, alert.resolved_at is not None) for alert in heard]
    assert sorted(told) == [
        ("budget", "daily", False),
        ("budget", "daily", True),
        ("dear", "critic", False),
        ("dear", "writer", False),
    ]
