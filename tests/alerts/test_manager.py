"""Rules that a program adds: what they fire, once, and who is told."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import AlertManager, AlertRule, CostTracker, TrackingEvent
from tc_core.testing import FakeClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def dear(event):
    return event.cost > 1.0


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
    assert len(receiver.requests) == 1
    (alert,) = manager.history()
    assert [delivery.fault for delivery in manager.deliveries(alert.alert_id)] == [None]
    assert headers["Idempotency-Key"] == body["id"]
