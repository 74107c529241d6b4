"""What the commands say when the details of a time have left the store."""

from datetime import UTC, datetime, timedelta

import pytest

from tc_core import SQLiteStorage, TrackingEvent

OLD = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=50)


def event(event_id, event_type="llm_call", when=OLD, **facts):
    known = {"model": "gpt-4o", "input_tokens": 1, "output_tokens": 1} if event_type == "llm_call" else {}
    return TrackingEvent(event_id, when, event_type, **known | facts)


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events(
            [
                event("run", "agent", name="planner"),
                event("gone", parent_id="run", cost=1.0, session_id="s"),
                event("stays", parent_id="run", session_id="s"),
                event("also-gone", cost=0.5),
                event("new", "agent", datetime.now(UTC), name="writer"),
            ]
        )
        retention = store.retention(30)
        while retention.step():
            pass
    return tmp_path / "s.db"


def test_costs_says_what_it_leaves_out_only_where_it_does(store, run_command):
    since = f"{OLD + timedelta(days=1):%Y-%m-%d}"
    said = run_command("costs", "--by", "session", "--store", store).stdout.splitlines()
    assert said[0].startswith("$1.50 in 3 calls.")
    assert said[1] == f"This leaves out up to 2 events that left the store: its details are whole since {since} (UTC)."
    assert "left the store" not in run_command("costs", "--store", store).stdout
    as_csv = run_command("costs", "--by", "session", "--store", store, "--csv")
    assert "left the store" not in as_csv.stdout
    assert "left the store" in as_csv.stderr


def test_runs_tree_and_show_say_what_is_gone(store, run_command):
    when = f"{OLD:%Y-%m-%d}"
    gone = f"2 events from {when} to {when} (UTC) left the store"
    sums = "(`token-calc costs` still has their sums)."
    assert f"Older runs are gone: {gone} {sums}" in run_command("runs", "--store", store).stdout
    assert "left the store" not in run_command("runs", "-n", "1", "--store", store).stdout
    assert f"Of its days: {gone} {sums}" in run_command("tree", "run", "--store", store).stdout
    assert "left the store" not in run_command("tree", "last", "--store", store).stdout
    missing = run_command("show", "gone", "--store", store)
    assert missing.returncode == 1
    assert f"No event gone is recorded; {gone}" in missing.stderr


def test_export_says_what_it_leaves_out(store, run_command):
    when = f"{OLD:%Y-%m-%d}"
    said = f"Of its days: 2 events from {when} to {when} (UTC) left the store"
    whole = run_command("export", "e.jsonl", "--store", store)
    assert whole.stdout == "3 events written to e.jsonl.\n"
    assert said in whole.stderr
    assert said in run_command("export", "-", "--until", when, "--store", store, "--tz", "UTC").stderr
    later = f"{OLD + timedelta(days=1):%Y-%m-%d}"
    assert run_command("export", "e.jsonl", "--force", "--since", later, "--store", store, "--tz", "UTC").stderr == ""
    assert '"removed_events": 2' in run_command("export", "e.jsonl", "--force", "--store", store, "--json").stdout
