"""`token-calc alerts`, as a user runs it."""

import json
from datetime import UTC, datetime

import pytest

from tc_core import AlertManager, AlertRule, CostTracker, SQLiteStorage, TrackingEvent
from tc_core.testing import FakeClock

RULES = """\
alerts:
  rules:
    - {name: dear-call, type: cost, threshold: 0.5, severity: critical, by: [agent_id]}
    - {name: mails, type: cost, threshold: 100, channels: [email]}
"""


@pytest.fixture
def recorded(tmp_path):
    """A store in which one alert of the settings was fired, and one of a program's own."""
    (tmp_path / "token_calculator.yaml").write_text(RULES)
    with SQLiteStorage(tmp_path / "token_calculator.db") as store:
        manager = AlertManager(store)
        CostTracker(store).track_call("gpt-4o", 1_000_000, 0, agent_id="writer")
        manager.flush(60)
        manager.add_alert_rule(
            AlertRule("own", lambda event: event.cost == 0.07, "info", message="a \x1b[31mred\nline")
        )
        manager.check_alerts(TrackingEvent(cost=0.07))
        manager.flush(60)
        yield manager


def test_list_shows_what_fires_and_what_cannot(recorded, run_command):
    result = run_command("alerts", "list")
    assert result.returncode == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert "firing: writer" in lines["dear-call"]
    assert lines["own"].split()[1:3] == ["program", "info"]
    assert "mails: set alerts.email (TOKEN_CALC_EMAIL_ALERTS) and alerts.smtp.host" in result.stdout
    assert {each["name"]: each["alerts"] for each in json.loads(run_command("alerts", "list", "--json").stdout)} == {
        "dear-call": 1,
        "mails": 0,
        "own": 1,
    }


def test_list_needs_no_store(run_command, tmp_path):
    assert "There are no alert rules. Write some under alerts.rules" in run_command("alerts", "list").stdout
    (tmp_path / "token_calculator.yaml").write_text(RULES)
    assert "dear-call" in run_command("alerts", "list").stdout
    assert not (tmp_path / "token_calculator.db").exists()


def test_history_shows_who_was_told(recorded, run_command):
    result = run_command("alerts", "history")
    assert [line.split()[3] for line in result.stdout.splitlines()[1:3]] == ["own", "dear-call"]
    assert "\x1b" not in result.stdout
    assert "$2.50 (limit $0.50)" in result.stdout
    (found,) = json.loads(run_command("alerts", "history", "dear-call", "--json").stdout)
    assert [(each["channel"], each["fault"]) for each in found["deliveries"]] == [("console", None)]
    assert "No alert was fired by a rule 'nothing'." in run_command("alerts", "history", "nothing").stdout


def test_dates_are_those_of_the_zone(recorded, run_command):
    with FakeClock(datetime(2026, 3, 16, 20, tzinfo=UTC)):  # the 17th in Tokyo, five in the morning
        recorded.add_alert_rule(AlertRule("old", lambda event: event.cost == 0.08))
        recorded.check_alerts(TrackingEvent(cost=0.08))
    since = ["alerts", "history", "old", "--since", "2026-03-17", "--tz"]
    assert "2026-03-17 05:00:00" in run_command(*since, "Asia/Tokyo").stdout
    assert "No alert was fired" in run_command(*since, "UTC").stdout
    silent = run_command("alerts", "silence", "dear-call", "2099-03-16", "--tz", "Asia/Tokyo").stdout
    assert "dear-call is silent until 2099-03-17 00:00:00." in silent


def test_silence_and_its_end(recorded, run_command):
    assert "dear-call is silent until 20" in run_command("alerts", "silence", "dear-call", "2h", "--by", "ann").stdout
    assert "silent until" in run_command("alerts", "list").stdout
    assert "dear-call is silent no more." in run_command("alerts", "silence", "dear-call", "off").stdout
    assert "silent until" not in run_command("alerts", "list").stdout
    unknown = run_command("alerts", "silence", "nothing", "2h")
    assert (unknown.returncode, "There is no rule 'nothing': there are dear-call, mails, own." in unknown.stderr) == (
        1,
        True,
    )


def test_ack(recorded, run_command):
    (alert,) = recorded.history("dear-call")
    result = run_command("alerts", "ack", alert.alert_id[-8:], "--by", "ann")
    assert "It is not told again while it lasts." in result.stdout
    assert "seen by ann" in run_command("alerts", "history").stdout
    assert run_command("alerts", "ack", "nothing").returncode == 2


def test_test_says_what_came_of_each_channel(run_command):
    result = run_command("alerts", "test")
    assert (result.returncode, "console  arrived" in result.stdout, "[test, info]" in result.stderr) == (0, True, True)
    refused = run_command("alerts", "test", "webhook", TOKEN_CALC_WEBHOOK_URL="https://2130706433/hook")
    assert (refused.returncode, "2130706433 leads to 127.0.0.1, which is not a public address" in refused.stdout) == (
        1,
        True,
    )
    unknown = run_command("alerts", "test", "pager")
    assert "no such channel: use console, webhook, email, apprise" in unknown.stdout
