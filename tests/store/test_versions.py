"""Stores that older versions made: what those answered is what today's code answers, and it goes on writing to them."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest
from alembic import command
from sqlalchemy import MetaData

from tc_core import CostTracker, PostgreSQLStorage, StoreKeeper
from tc_core.errors import StorageError
from tc_core.runtime import recorders
from tc_core.store.engine import migrate, sqlite
from tc_core.store.engine.database import names
from tc_core.store.engine.postgresql import PostgreSQL
from tc_core.store.storages import SQLiteStorage
from tests.store.contract import call
from tests.store.make_version import HERE, SPOOL_FILE, answers

VERSIONS = sorted(path.stem for path in HERE.glob("*.db"))


@pytest.fixture(params=VERSIONS)
def version(request):
    """The schema that a store has."""
    return request.param


@pytest.fixture
def old(version, tmp_path):
    """A store as that version left it when its process was killed."""
    path = tmp_path / "old.db"
    shutil.copy(HERE / f"{version}.db", path)
    folder = tmp_path / "old.db.spool"
    folder.mkdir(mode=0o700)
    shutil.copy(HERE / f"{version}.spool", folder / SPOOL_FILE)
    return path


def version_of(path):
    connection = sqlite3.connect(path)
    (found,) = connection.execute(f"SELECT version_num FROM {migrate.VERSION_TABLE}").fetchone()
    connection.close()
    return found


def test_every_version_has_its_store():
    assert set(VERSIONS) == migrate._known_versions()


def test_an_old_store_answers_as_its_own_version_did(version, old):
    assert version_of(old) == version
    with SQLiteStorage(old) as store:
        assert answers(store) == json.loads((HERE / f"{version}.json").read_text())
    assert version_of(old) == migrate.HEAD
    assert not old.with_name("old.db.spool").exists()  # what the killed process had left is in the store


def test_an_old_store_is_written_to_as_a_new_one_is(version, old):
    with SQLiteStorage(old) as store:
        before = store.aggregate("calls", ["model"])
        events = [call(n, event_id=f"new {n}", parent_id="req_1", service_tier="batch") for n in range(3)]
        store.save_events([*events, call(model="a new model", labels={"user_id": "u1"}, cache_write_1h_tokens=5)])
        CostTracker(store).track_call("gpt-4o", 1, 1, user_id="u1")
    with SQLiteStorage(old) as store:
        after = store.aggregate("calls", ["model"])
        assert after == before | {("gpt-4o",): before["gpt-4o",] + 4, ("a new model",): 1}
        assert store.get_event("new 2") == events[2]
        assert {event.root_id for event in store.query_events({"service_tier": "batch"})} == {"req_1"}
        assert store.aggregate("calls", ["user_id"])["u1",] == store.aggregate("calls", filters={"user_id": "u1"})[()]


@pytest.fixture
def old_on_a_server(version, postgresql):
    """A server's store with that version's schema, and in it the rows of the file; return its URL."""
    with postgresql.database() as url:
        database, config = PostgreSQL(url), migrate._config()
        file = sqlite3.connect(HERE / f"{version}.db")
        with database.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, version)
            made = MetaData()
            made.reflect(connection)
            for table in made.sorted_tables:
                rows = file.execute(f"SELECT {names(table.columns.keys())} FROM {table.name}").fetchall()
                connection.execute(table.delete())
                for row in rows:
                    connection.execute(table.insert(), dict(zip(table.columns.keys(), row, strict=True)))
            for table, key in (("event", "key"), ("dimension", "id"), ("label_set", "id")):
                last = f'(SELECT max("{key}") FROM {table})'
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', '{key}'), {last})")
        database.close()
        file.close()
        yield url


def test_an_old_store_on_a_server_answers_as_its_own_version_did(version, old_on_a_server):
    with PostgreSQLStorage(old_on_a_server) as store:
        assert store.schema == (version, migrate.HEAD)
        folder = recorders.spool_folder(store)
    folder.mkdir(parents=True)
    shutil.copy(HERE / f"{version}.spool", folder / SPOOL_FILE)
    with PostgreSQLStorage(old_on_a_server) as store:
        assert answers(store) == json.loads((HERE / f"{version}.json").read_text())
        before = store.aggregate("calls", ["model"])
        store.save_events([call(n, event_id=f"new {n}", parent_id="req_1", service_tier="batch") for n in range(3)])
        assert store.aggregate("calls", ["model"]) == before | {("gpt-4o",): before["gpt-4o",] + 3}
        assert {event.root_id for event in store.query_events({"service_tier": "batch"})} == {"req_1"}
        assert {finding.state for finding in StoreKeeper(store).check()} == {"ok"}
    assert not folder.exists()


def test_an_old_store_that_can_only_be_read_says_so_and_stays(version, old, monkeypatch):
    if version == migrate.HEAD:
        return
    monkeypatch.setattr("tc_core.store.storages._is_read_only", lambda path: True)
    before = old.read_bytes()
    with pytest.raises(StorageError, match="no up-to-date schema and can only be read"):
        SQLiteStorage(old)
    assert old.read_bytes() == before


PROGRAM = """
import sys, time
from tc_core import CostTracker
from tc_core.errors import StorageError
from tc_core.runtime import recorders
from tc_core.store.engine import migrate
from tc_core.store.engine import sqlite
upgrade = migrate._upgrade
def slowly(connection, database):
    time.sleep(0.3)  # so that all of them find the old version
    upgrade(connection, database)
migrate._upgrade = slowly
tracker = CostTracker(sys.argv[1])
for n in range(10):
    tracker.track_call("no-such-model", 1, 1, worker=sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS[:1])
def test_processes_that_open_an_old_store_at_once_all_go_on(version, old):
    with SQLiteStorage(shutil.copy(old, old.with_name("other.db"))) as store:
        before = store.aggregate("calls")[()]
    running = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(old), str(n)], stderr=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert ([process.returncode for process in running], said) == ([0] * 3, [""] * 3)
    with SQLiteStorage(old) as store:
        assert store.aggregate("calls") == {(): before + 1 + 30}  # one that the killed process had left
        assert store.aggregate("calls", ["worker"], {"worker": ["0", "1", "2"]}) == {(f"{n}",): 10 for n in range(3)}


# Versions at once


@pytest.mark.parametrize("version", VERSIONS[:1])
def test_a_migration_waits_for_whoever_writes(version, old, monkeypatch):
    monkeypatch.setattr(sqlite.in_turn, "stop", lambda state: True)  # as if a lock lasted longer than is waited for
    blocker = sqlite3.connect(old, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    blocker.execute("UPDATE fault SET count = 4")
    timer = threading.Timer(0.5, lambda: blocker.execute("COMMIT"))
    timer.start()
    with SQLiteStorage(old) as store:
        assert store.faults() == {"a hook: KeyError": 4}
    timer.join()
    blocker.close()


@pytest.mark.parametrize("version", VERSIONS[:1])
def test_whoever_reads_while_a_store_is_migrated_sees_it_as_it_was(version, old):
    reader = sqlite3.connect(old, isolation_level=None)
    reader.execute("BEGIN")
    before = reader.execute("SELECT * FROM event").fetchall()
    with SQLiteStorage(old) as store:
        store.save_event(call())
        assert reader.execute("SELECT * FROM event").fetchall() == before
        reader.execute("COMMIT")
    assert len(reader.execute("SELECT * FROM event").fetchall()) > len(before)
    reader.close()


@pytest.mark.swallows
def test_a_program_stops_when_a_newer_one_migrates_its_store(tmp_path, caplog):
    tracker = CostTracker(tmp_path / "s.db")
    tracker.track_call("no-such-model", 1, 1)
    assert tracker.get_costs().total_calls == 1
    newer = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    newer.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")
    tracker.track_call("no-such-model", 2, 2)
    recorders.flush()
    with pytest.raises(StorageError, match=r"another schema now \(9999 instead of .*restart this program"):
        tracker.get_costs()
    with pytest.raises(StorageError, match="another schema now"):
        tracker.storage.save_event(call())
    tracker.storage.close()
    tracker.track_call("no-such-model", 4, 4)
    recorders.flush()
    assert len([said for said in caplog.messages if "waits in the spool" in said]) == 1
    tracker.storage.close()
    assert newer.execute("SELECT count(*) FROM event").fetchone() == (1,)
    # What the newer version would do with its own schema: bring in what the older one left.
    newer.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '{migrate.HEAD}'")
    newer.close()
    assert CostTracker(tmp_path / "s.db").get_costs().total_calls == 3
    assert tracker.get_costs().input_tokens == 7


def test_a_newer_program_that_died_leaves_its_spool_to_its_like(tmp_path):
    """An older program does not open the store; so it does not read, or delete, what it does not understand."""
    SQLiteStorage(tmp_path / "s.db").close()
    newer = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    newer.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")
    newer.close()
    folder = tmp_path / "s.db.spool"
    folder.mkdir()
    shutil.copy(HERE / "0001.spool", folder / "newer.spool")
    with pytest.raises(StorageError, match="newer version"):
        CostTracker(tmp_path / "s.db")
    assert (folder / "newer.spool").read_bytes() == (HERE / "0001.spool").read_bytes()
