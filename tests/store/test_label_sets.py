"""Label sets have small keys: one for each text, whoever writes it, and none is given twice."""

import json
import sqlite3
import subprocess
import sys
import threading

from tc_core import SQLiteStorage
from tc_core.model.event import EventRecord
from tc_core.model.ids import new_id
from tc_core.model.ports import Batch
from tc_core.model.scope import Scope
from tc_core.store.engine import migrate
from tc_core.store.keep.retention import Retention
from tests.store.contract import NOON, call
from tests.store.make_version import HERE


def sets(store):
    """The texts of the label sets by their keys."""
    with store._database.reading() as connection:
        found = connection.exec_driver_sql("SELECT id, body FROM label_set ORDER BY id").all()
    return {key: json.loads(body) for key, body in found}


def keys_of_events(store):
    with store._database.reading() as connection:
        return set(connection.exec_driver_sql("SELECT DISTINCT labels FROM event").scalars())


def test_events_with_the_same_labels_share_a_small_key(opened):
    with opened() as store:
        store.save_events([call(n, labels={"user_id": f"u{n % 3}"}) for n in range(9)])
        store.save_event(call(labels={"user_id": "u1"}))
        store.save_event(call())
        assert sorted(label["user_id"] for label in sets(store).values()) == ["u0", "u1", "u2"]
        assert keys_of_events(store) == {None, *sets(store)}
        assert max(sets(store)) < 10


def test_two_writers_that_know_nothing_of_each_other_agree_on_the_keys(opened):
    with opened() as one, opened() as other:
        for n in range(4):
            one.save_event(call(labels={"both": f"{n}"}))
            other.save_event(call(labels={"both": f"{n}"}))
            other.save_event(call(labels={"both": f"{n + 1}"}))
        assert len(sets(one)) == 5
        assert one.aggregate("calls", ["both"]) == {("0",): 2, ("1",): 3, ("2",): 3, ("3",): 3, ("4",): 1}


def test_writers_at_once_make_one_row_of_each_label_set(opened):
    """Each has a connection of its own; on a server their transactions overlap."""
    stores = [opened() for _ in range(3)]
    for store in stores:
        store.save_event(call(labels={"warm": "yes"}))  # each has opened the store
    ready, failed = threading.Barrier(len(stores)), []

    def write(store):
        ready.wait(10)
        try:
            for start in range(20):
                scopes = [Scope(labels={"n": f"{start + n}"}) for n in range(5)]
                store.sink.write(
                    Batch([EventRecord(new_id(), "tool", 1, None, scope, status="ok") for scope in scopes])
                )
        except Exception as error:  # the test shows it
            failed.append(error)

    threads = [threading.Thread(target=write, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    found = [labels["n"] for labels in sets(stores[0]).values() if "n" in labels]
    assert sorted(found, key=int) == [f"{n}" for n in range(24)]
    with stores[0]._database.reading() as connection:
        lost = "SELECT count(*) FROM event WHERE labels IS NULL OR labels NOT IN (SELECT id FROM label_set)"
        assert connection.exec_driver_sql(lost).scalar_one() == 0
    for store in stores:
        store.close()


def test_a_set_that_retention_let_go_of_is_written_again(opened):
    """By a writer that had it, and goes on as if nothing had happened."""
    scope = Scope(labels={"user_id": "often"})

    def record(at_us):
        return EventRecord(new_id(), "tool", at_us, None, scope, status="ok")

    with opened() as store:
        store.sink.write(Batch([record(1)]))
        with opened() as other:
            retention = Retention(other._database, 1, now=NOON.timestamp)
            other.save_event(call(labels={"user_id": "newest"}))
            while retention.step():
                pass
            assert list(sets(other).values()) == [{"user_id": "newest"}]
        at_us = int(NOON.timestamp() * 1_000_000)
        store.sink.write(Batch([record(at_us)]))
        assert [event.labels for event in store.query_events({"event_type": "tool"})] == [{"user_id": "often"}]


def test_the_key_of_a_set_that_is_gone_is_not_given_again(opened):
    with opened() as store:
        store.save_event(call(-60 * 48, labels={"user_id": "gone"}))
        (before,) = sets(store)
        retention = Retention(store._database, 1, now=NOON.timestamp)
        while retention.step():
            pass
        assert store.query_events() == []
        store.save_event(call(labels={"user_id": "new"}))
        (key,) = [key for key, labels in sets(store).items() if labels == {"user_id": "new"}]
        assert key > before


KILLED = """
import os, signal, sys
from tc_core.store.engine import migrate
from tc_core.store.storages import SQLiteStorage
upgrade = migrate._upgrade
def killed(connection, database):
    upgrade(connection, database)
    os.kill(os.getpid(), signal.SIGKILL)
migrate._upgrade = killed
SQLiteStorage(sys.argv[1]).totals()
"""


def test_a_migration_that_is_killed_is_done_again(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes((HERE / "0007.db").read_bytes())
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    assert killed.returncode == -9
    connection = sqlite3.connect(path)
    assert connection.execute(f"SELECT * FROM {migrate.VERSION_TABLE}").fetchall() == [("0007",)]
    before = connection.execute("SELECT id, body FROM label_set ORDER BY id").fetchall()
    connection.close()
    with SQLiteStorage(path) as store:
        assert [(key, json.dumps(labels)) for key, labels in sets(store).items()] == [
            (key, json.dumps(json.loads(body))) for key, body in before
        ]


def test_older_sets_keep_their_keys_and_newer_ones_get_small_ones(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes((HERE / "0007.db").read_bytes())
    with SQLiteStorage(path) as store:
        before = sets(store)
        labels = before[max(before)]
        store.save_event(call(labels=labels))
        assert sets(store) == before
        store.save_event(call(labels={"user_id": "never seen"}))
        (new,) = sets(store).keys() - before.keys()
        assert new < 100 < max(before)
