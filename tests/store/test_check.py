"""What `check` finds, what it mends, and how large a store says it is."""

import itertools
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.servers import OwnServer
from tc_core import (
    ConfigurationError,
    InMemoryStorage,
    PostgreSQLStorage,
    ProvenanceRelationship,
    SQLiteStorage,
    StoreKeeper,
)
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.ports import Batch, SpoolMark
from tests.store.contract import NOON, call
from tests.store.test_retention import retain

DAY = 24 * 60


def fill(store):
    store.save_events(
        [
            *(
                call(n * 50, event_id=f"e{n}", labels={"team": str(n % 3), "n": str(n)}, metadata={"n": n})
                for n in range(60)
            ),
            call(70, event_id="agent", event_type="agent", model=None, status="error"),
            call(71, event_id="below", parent_id="agent", labels={"team": "0"}),
            call(72, event_id="orphan", parent_id="never"),
        ]
    )
    store.save_relationship(ProvenanceRelationship("e1", "e0", "retry_of", metadata={"a": 1}))
    store.sink.write(Batch(attempts=[(ids.from_text("e1"), Attempt(1, 0, 200, 5))]))


def found(store, *, repair=False):
    """What is not as it should be: the states, subjects and words."""
    return [
        (each.state, each.subject, each.said) for each in StoreKeeper(store).check(repair=repair) if each.state != "ok"
    ]


def run(store, *statements):
    with store._database.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_sound_store_has_nothing_to_say(each_store):
    fill(each_store)
    assert found(each_store) == []
    retain(each_store, now=NOON + timedelta(days=60))
    assert found(each_store) == []
    assert [each.subject for each in StoreKeeper(each_store).check()].count("roll-ups") == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rollup_hour SET calls = calls + 1 WHERE hour = (SELECT min(hour) FROM rollup_hour)",
        "UPDATE rollup_label SET cost_nanos = cost_nanos - 1 WHERE hour = (SELECT min(hour) FROM rollup_label)",
        "DELETE FROM rollup_hour",
        "DELETE FROM rollup_label WHERE hour = (SELECT max(hour) FROM rollup_label)",
    ],
)
def test_roll_ups_that_are_not_what_the_rows_add_up_to_are_found_and_made_anew(each_store, statement):
    fill(each_store)
    asked = [["hour", "event_type", "model"], ["team"], ["n", "day"]]
    before = [each_store.totals(names) for names in asked]
    run(each_store, statement)
    ((state, subject, said),) = found(each_store)
    assert (state, subject) == ("fault", "roll-ups")
    assert "--repair makes them anew" in said
    ((state, *_),) = found(each_store, repair=True)
    assert state == "repaired"
    assert found(each_store) == []
    assert [each_store.totals(names) for names in asked] == before


def test_roll_ups_of_days_whose_events_have_left_are_left_alone(each_store):
    fill(each_store)
    before = each_store.totals(["hour"])
    retain(each_store, now=NOON + timedelta(days=60))
    assert each_store.query_events() == []
    found(each_store, repair=True)
    assert each_store.totals(["hour"]) == before


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("DELETE FROM event WHERE id = (SELECT id FROM external_id WHERE value = 'agent')", "event.parent"),
        ("DELETE FROM label_set", "event.labels"),
        ("DELETE FROM metadata_body", "event.details"),
        ("UPDATE relation SET target = 999999", "relation.target"),
        ("UPDATE attempt SET event = 999999", "attempt.event"),
        ("UPDATE orphan SET event = 999999", "orphan.event"),
        ("UPDATE event SET model = 999999 WHERE model IS NOT NULL", "event.model"),
        ("UPDATE event SET depth = 5 WHERE parent IS NOT NULL", "event.root"),
    ],
)
def test_a_reference_to_what_is_not_there_is_found(each_store, statement, subject):
    fill(each_store)
    run(each_store, statement)
    assert ("fault", subject) in [(state, about) for state, about, _ in found(each_store)]


def test_events_that_wait_for_a_parent_that_is_there_are_joined_to_it(each_store):
    fill(each_store)
    each_store.save_event(call(event_id="child of orphan", parent_id="orphan"))
    never = ids.from_text("never").hex()
    agent = ids.from_text("agent").hex()
    literal = "x'{}'" if each_store.path else "'\\x{}'"
    run(each_store, f"UPDATE orphan SET parent_id = {literal.format(agent)} WHERE parent_id = {literal.format(never)}")
    assert [(state, subject) for state, subject, _ in found(each_store)] == [("fault", "parents")]
    assert [state for state, *_ in found(each_store, repair=True)] == ["repaired"]
    assert found(each_store) == []
    assert each_store.get_event("orphan").parent_id == "agent"
    assert (each_store.get_event("child of orphan").root_id, each_store.get_event("child of orphan").depth) == (
        "agent",
        2,
    )


def test_marks_of_spool_files_that_are_gone_are_forgotten(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.sink.write(Batch(), SpoolMark("gone.spool", 10))
        assert [(state, subject) for state, subject, _ in found(store)] == [("warning", "spool")]
        assert [state for state, *_ in found(store, repair=True)] == ["repaired"]
        assert store.sink.position("gone.spool") == 0


def test_archives_that_were_interrupted_or_moved_away_are_told(tmp_path):
    store = InMemoryStorage()
    rows = [(str(tmp_path / name), 1, 1, whole) for name, whole in (("begun", 0), ("moved", 1))]
    with store._database.writing() as connection:
        store._database.insert(connection, "archive_file", ("path", "day", "events", "whole"), rows)
    said = [said for _, subject, said in found(store) if subject == "archive"]
    assert "run `token-calc archive` again" in said[0]
    assert "1 files are not where they were written" in said[1]


@pytest.mark.parametrize("name", ["event", "rollup_label", "ix_event_at"])
def test_a_damaged_page_is_found_and_its_table_named(tmp_path, name):
    path = tmp_path / "s.db"
    with SQLiteStorage(path) as store:
        store.save_events([call(n, event_id=f"e{n}", labels={"n": str(n)}) for n in range(3000)])
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT max(pageno) FROM dbstat WHERE name = ?", (name,)).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with SQLiteStorage(path) as store:
        findings = StoreKeeper(store).check()
    owner = "event" if name.startswith("ix_") else name
    assert [(each.state, each.subject) for each in findings] == [("fault", owner)]
    assert "the table is damaged" in findings[0].said


def test_a_damaged_page_of_a_server_is_found_and_its_table_named():
    server = OwnServer(flushes=False)
    try:
        url = server.new_database()
        with PostgreSQLStorage(url) as store:
            store.save_events([call(n, event_id=f"e{n}") for n in range(300)])
            assert {each.state for each in StoreKeeper(store).check()} == {"ok"}
        ((place,),) = server.run("SELECT pg_relation_filepath('event')", url)
        ((folder,),) = server.run("SHOW data_directory")
        server.stop()
        with (Path(folder) / place).open("r+b") as file:
            file.write(b"\xff" * 8192)
        server.start()
        with PostgreSQLStorage(url) as store:
            (found,) = StoreKeeper(store).check()
        assert (found.state, found.subject) == ("fault", "event")
        assert "invalid page" in found.said
    finally:
        server.close()


# Vacuum and size


@pytest.mark.parametrize("days", [0, -5, True, "7", 1.5, 36_501])
def test_vacuum_refuses_what_is_no_number_of_days(days):
    store = InMemoryStorage()
    store.save_event(call())
    with pytest.raises(ConfigurationError, match="retention_days must be a whole number from 1 to 36,500"):
        StoreKeeper(store).vacuum(days)
    assert store.count() == 1


def test_vacuum_removes_what_is_old_and_what_nothing_refers_to_and_gives_room_back(each_store, monkeypatch):
    each_store.save_events([call(-n * DAY, event_id=f"e{n}", metadata={"text": f"{n}" * 2000}) for n in range(400)])
    each_store.save_event(call(-300 * DAY, event_id="unpriced", cost=None))
    told = []
    monkeypatch.setenv("TOKEN_CALC_RETENTION_DAYS", "36500")
    keeper = StoreKeeper(each_store)
    assert keeper.vacuum().events == 0
    done = keeper.vacuum(100, progress=lambda number, total: told.append(number))
    assert 280 < done.events < 400
    assert done.texts == done.events
    assert told == sorted(told)
    assert told[-1] == done.events
    if each_store.path:
        assert done.bytes_after < done.bytes_before / 2
    assert each_store.aggregate("calls") == {(): 401}
    assert found(each_store) == []
    assert each_store.get_event("unpriced") is not None


def test_vacuum_while_another_process_records_loses_nothing(tmp_path):
    path = tmp_path / "s.db"
    with SQLiteStorage(path) as store:
        store.save_events([call(-n, event_id=f"e{n}", metadata={"n": n}) for n in range(3000)])
    program = "import sys; from tc_core import CostTracker\nt = CostTracker(sys.argv[1])\n"
    program += "for n in range(300): t.track_call('gpt-4o', 1, 1)\nprint(t.get_costs().total_calls)"
    other = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    with SQLiteStorage(path) as store:
        for _ in itertools.takewhile(lambda _: other.poll() is None, range(50)):
            StoreKeeper(store).vacuum()
        assert other.communicate()[0].strip() == "3300"
        assert found(store) == []


def test_stats_tell_what_takes_the_room_and_what_has_left(each_store):
    fill(each_store)
    stats = StoreKeeper(each_store).stats()
    rows = {each.name: each.rows for each in stats.tables}
    assert (stats.events, rows["event"], rows["relation"], rows["attempt"]) == (63, 63, 1, 1)
    assert stats.labels == {"n": 60, "team": 3}
    assert stats.bytes_per_event == stats.bytes / 63
    assert all(each.bytes is not None for each in stats.tables if each.rows)
    assert (stats.first_day, stats.details_from) == (NOON.date(), NOON.date())
    assert stats.last_day == (NOON + timedelta(minutes=59 * 50)).date()
    retain(each_store, now=NOON + timedelta(days=60))
    stats = StoreKeeper(each_store).stats()
    assert (stats.events, stats.removed_events, stats.removed_days, stats.details_from) == (0, 63, 3, None)
    assert stats.first_day == NOON.date()
    assert stats.to_dict()["bytes_per_event"] is None
