"""Several processes on one store: an alert is one, whoever sees it and whoever dies."""

import os
import signal
import subprocess
import sys

import pytest

from tc_core import AlertManager, CostTracker, PostgreSQLStorage, SQLiteStorage
from tc_core.alerts import sender
from tests.alerts.programs import DIES_AFTER_THE_COMMIT, DIES_WHILE_IT_SENDS, RECORDS


def start(program, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request, tmp_path):
    """The path or URL of a store that several processes share."""
    if request.param == "sqlite":
        yield str(tmp_path / "shared.db"), SQLiteStorage
        return
    with request.getfixturevalue("postgresql").database() as url:
        yield url, PostgreSQLStorage


@pytest.mark.slow
def test_five_processes_that_see_the_same_fire_one_alert(shared, to_receiver, receiver, tmp_path):
    to_receiver()
    where, opened = shared
    opened(where).close()
    running = [
        start(RECORDS, where, n, "go", TOKEN_CALC_CONFIG=str(tmp_path / "token_calculator.yaml")) for n in range(5)
    ]
    for each in running:
        assert each.stdout.readline() == "ready\n"
    for each in running:
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in running:
        assert each.wait(120) == 0
        each.stdin.close()
        each.stdout.close()
    with opened(where) as store:
        assert store.aggregate("calls")[()] == 100
        assert len(AlertManager(store).history()) == 1
        with store.database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM alert_outbox").scalar() == 1
            assert connection.exec_driver_sql("SELECT count(*) FROM alert_delivery").scalar() == 1
    assert len(receiver.requests) == 1


def test_a_call_whose_process_died_before_it_told_anybody_is_alerted_of_by_the_next(to_receiver, receiver, tmp_path):
    to_receiver("  rules: [{name: dear, type: cost, threshold: 1, channels: [webhook]}]\n")
    where = tmp_path / "shared.db"
    dying = start(
        DIES_AFTER_THE_COMMIT,
        TOKEN_CALC_STORAGE=str(where),
        TOKEN_CALC_CONFIG=str(tmp_path / "token_calculator.yaml"),
    )
    assert dying.wait(120) == 9
    dying.stdin.close()
    dying.stdout.close()
    assert receiver.requests == []
    with SQLiteStorage(where) as store:
        CostTracker(store).track_call("gpt-4o", 1, 0)
        assert AlertManager(store).flush(60)
        (alert,) = AlertManager(store).history()
        assert store.get_event(alert.event_id).input_tokens == 1_000_000
        assert AlertManager(store).flush(60)
    assert [each["rule"] for each in receiver.bodies] == ["dear"]


def test_what_a_process_was_sending_when_it_was_killed_is_sent_by_another(to_receiver, receiver, tmp_path, monkeypatch):
    to_receiver()
    where = tmp_path / "shared.db"
    receiver.answers = [None]
    dying = start(
        DIES_WHILE_IT_SENDS,
        TOKEN_CALC_STORAGE=str(where),
        TOKEN_CALC_CONFIG=str(tmp_path / "token_calculator.yaml"),
    )
    receiver.wait_for(1)
    os.kill(dying.pid, signal.SIGKILL)
    dying.wait()
    dying.stdin.close()
    dying.stdout.close()
    with SQLiteStorage(where) as store:
        manager = AlertManager(store)
        assert not manager.flush(0.1)  # it is leased to the dead one
        assert len(receiver.requests) == 1
        real = sender.now_us
        monkeypatch.setattr(sender, "now_us", lambda: real() + int(sender.LEASE_SECONDS * 1e6))
        assert manager.flush(60)
    first, second = receiver.requests
    assert (first[1]["webhook-id"], first[2]) == (second[1]["webhook-id"], second[2])


def test_a_forked_child_has_threads_of_its_own(store, to_receiver, receiver, in_a_child):
    from tc_core import AlertRule, TrackingEvent

    to_receiver()
    manager = AlertManager(store)
    manager.add_alert_rule(AlertRule("dear", lambda event: event.cost > 1, channels=["webhook"], by="agent_id"))
    manager.check_alerts(TrackingEvent(cost=2.0, agent_id="parent"))
    assert manager.flush(60)

    def work():
        manager.check_alerts(TrackingEvent(cost=2.0, agent_id="child"))
        assert manager.flush(30)

    assert in_a_child(work) == 0
    assert [each["key"] for each in receiver.bodies] == ["parent", "child"]
