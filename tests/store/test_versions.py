"""Stores that older versions made: what those answered is what today's code answers, and it goes on writing to them."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

from tc_core import CostTracker
from tc_core.store import migrate
from tc_core.store.sql import SQLiteStorage
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


def test_an_old_store_that_can_only_be_read_says_so_and_stays(version, old, monkeypatch):
    if version == migrate.HEAD:
        return
    monkeypatch.setattr("tc_core.store.sql._is_read_only", lambda path: True)
    before = old.read_bytes()
    with pytest.raises(migrate.StorageError, match="no up-to-date schema and can only be read"):
        SQLiteStorage(old)
    assert old.read_bytes() == before


PROGRAM = """
import sys, time
from tc_core import CostTracker
from tc_core.store import migrate
upgrade = migrate._upgrade
def slowly(connection, database):
    time.sleep(0.3)  # so that all of them find the old version
    upgrade(connection, database)
migrate._upgrade = slowly
tracker = CostTracker(sys.argv[1])
for n in range(10):
    tracker.track_call("no-such-model", 1, 1, worker=sys.argv[2])
"""


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
