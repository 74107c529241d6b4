"""A forked child and SQLite's locks: it holds its own, or keeps away from the file."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tc_core import BudgetTracker, CostTracker, SQLiteStorage, StorageError
from tc_core.store.engine import gate as gates
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
only_linux = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system does not list its locks")


def in_child(work):
    """Do some work in a forked child; return what it printed by returning it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def holders(path):
    """Return the processes that hold a lock on a file."""
    inode = Path(path).stat().st_ino
    rows = [line.split() for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines()]
    return {int(row[4]) for row in rows if row[1] == "POSIX" and row[5].endswith(f":{inode}")}


@only_linux
def test_a_child_holds_locks_of_its_own_on_the_file_and_on_the_index_of_its_log(tmp_path):
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        tracker = CostTracker(store)
        tracker.track_call("gpt-4o", 1000, 0)
        tracker.get_costs()

        def work():
            tracker.get_costs()
            return [os.getpid() in holders(f"{path}{end}") for end in ("", "-shm")]

        assert in_child(work) == "[True, True]"
        tracker.get_costs()
        assert os.getpid() in holders(path)


@only_linux
def test_a_child_holds_locks_of_its_own_on_the_books_of_budgets_and_nobody_gives_up_its_parents(tmp_path):
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        budgets = BudgetTracker(store)
        budgets.set_budget(10, "day", hard=True)

        def reserve():
            with budgets.reserve(0.01):
                return os.getpid() in holders(f"{path}.budgets")

        assert reserve()
        assert in_child(reserve) == "True"
        with budgets.reserve(0.01), budgets.reserve(0.01):  # the second one opens a connection more
            assert reserve()


def test_a_log_stays_while_only_a_forked_child_has_it_open(tmp_path):
    path = tmp_path / "costs.db"
    other = f"from tc_core import CostTracker; print(CostTracker({str(path)!r}).get_costs().total_calls)"
    store = SQLiteStorage(path)
    tracker = CostTracker(store)
    tracker.track_call("gpt-4o", 1000, 0)
    tracker.get_costs()
    (reading, told), (waiting, go_on) = os.pipe(), os.pipe()

    def work():
        tracker.track_call("gpt-4o", 1000, 0)
        store.flush()
        with store._database.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM event").scalar()
            os.write(told, b".")
            os.read(waiting, 1)
        tracker.track_call("gpt-4o", 1000, 0)
        store.flush()

    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os.write(told, b"!")  # whatever happened
            os._exit(0)
    os.read(reading, 1)
    store.close()
    found = subprocess.run([sys.executable, "-c", other], cwd=ROOT, capture_output=True, text=True, check=True)
    is_there = Path(f"{path}-wal").exists()
    os.write(go_on, b".")
    os.waitpid(child, 0)
    for each in (reading, told, waiting, go_on):
        os.close(each)
    assert found.stdout.strip() == "2"
    assert is_there
    assert tracker.get_costs().total_calls == 3
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        said = [each for (each,) in connection.execute("PRAGMA integrity_check")]
    assert [each for each in said if not each.startswith("NULL value in ")] in ([], ["ok"])


def test_a_child_that_was_forked_amid_a_transaction_keeps_away_from_the_file_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(gates, "FILE_WAIT_SECONDS", 0.01)
    with SQLiteStorage(tmp_path / "costs.db") as store:
        tracker = CostTracker(store)
        tracker.track_call("gpt-4o", 1000, 0)
        store.flush()
        inside, end = threading.Event(), threading.Event()

        def read_for_long():
            with store._database.reading():
                inside.set()
                end.wait()

        thread = threading.Thread(target=read_for_long)
        thread.start()
        inside.wait()

        def work():
            tracker.track_call("gpt-4o", 1000, 0)
            with pytest.raises(StorageError, match="forked amid a transaction"):
                tracker.get_costs()
            return "kept away"

        said = in_child(work)
        end.set()
        thread.join()
        assert said == "kept away"
        assert in_child(lambda: tracker.get_costs().total_calls) in ("1", "2")  # whoever comes first takes it over
    with SQLiteStorage(tmp_path / "costs.db") as store:
        CostTracker(store).track_call("gpt-4o", 1000, 0)  # whoever records takes over what dead processes left
        assert CostTracker(store).get_costs().total_calls == 3


def test_who_waits_for_the_write_lock_lets_a_fork_pass(tmp_path):
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        tracker = CostTracker(store)
        tracker.track_call("gpt-4o", 1000, 0)
        store.flush()
        done = []
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            waits = [threading.Thread(target=store._database.transact, args=(done.append,)) for _ in range(2)]
            for thread in waits:
                thread.start()
            while not {thread.ident for thread in waits} <= gates.gate._at_files:
                time.sleep(0.001)
            said = in_child(lambda: gates.gate.is_torn)
            connection.execute("ROLLBACK")
        for thread in waits:
            thread.join()
        assert said == "False"
        assert len(done) == 2
