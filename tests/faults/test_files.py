"""Files that are removed or damaged under a program, and what is in them that nobody expects."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import pytest

from tc_core import CostTracker, SQLiteStorage, StoreKeeper
from tc_core.errors import StorageError
from tc_core.record.guard import faults
from tc_core.runtime import recorders
from tc_core.store.engine import sqlite as engine
from tests.store.contract import call


def is_sound(path):
    with SQLiteStorage(path) as store:
        return all(finding.state == "ok" for finding in StoreKeeper(store).check())


# The log of SQLite


RECORDING = """
import os, signal, sys
from contextlib import closing
from pathlib import Path
from tc_core import CostTracker, flush
from tc_core.record import spool
spool.MOST_FILE_BYTES = 5000  # full files are deleted once the store has them
tracker = CostTracker("s.db")
def record(count):
    for _ in range(count): tracker.track_call("no-such-model", 1, 1)
    assert flush()
record(100)
Path("s.db-wal").unlink()
if sys.argv[1] == "both": Path("s.db-shm").unlink()
record(100)
assert tracker.get_costs().total_calls == 200, tracker.get_costs().total_calls
record(100)
print(tracker.get_costs().total_calls, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("which", ["log", "both"])
def test_a_log_that_is_removed_under_a_program_loses_nothing(run_python, which):
    result = run_python(RECORDING, which, check=False)
    assert (result.returncode, result.stdout) == (-signal.SIGKILL, "300\n"), result.stderr
    assert CostTracker("s.db").get_costs().total_calls == 300
    assert is_sound("s.db")


WORKING = """
import os, signal, sys, threading
from tc_core import CostTracker, flush
from tc_core.record import spool
spool.MOST_FILE_BYTES = 5000
tracker = CostTracker("s.db")
def work():
    for n in range(60):
        tracker.track_call("no-such-model", 1, 1)
        if n % 10 == 0:
            tracker.get_costs(group_by=["model", "session_id"])
            flush()
def work_together():
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
work_together()
print("ready", flush=True)
sys.stdin.readline()
work_together()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_log_that_is_removed_under_several_programs_loses_nothing(tmp_path):
    run = [sys.executable, "-c", WORKING]
    running = [subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.stdout.readline() for process in running] == ["ready\n"] * 3
    (tmp_path / "s.db-wal").unlink()
    for process in running:
        process.communicate("go on\n", timeout=60)
    assert [process.returncode for process in running] == [-signal.SIGKILL] * 3
    assert CostTracker("s.db").get_costs().total_calls == 3 * 2 * 180
    assert is_sound("s.db")


def test_a_log_that_is_removed_while_a_write_waits_is_not_written_to(tmp_path):
    with SQLiteStorage("s.db") as store, closing(sqlite3.connect("s.db", isolation_level=None)) as other:
        store.save_event(call(0))
        other.execute("BEGIN IMMEDIATE")
        writing = threading.Thread(target=lambda: store.save_event(call(1)))
        writing.start()
        time.sleep(0.3)  # so that it waits for its turn, with the log open
        (tmp_path / "s.db-wal").unlink()
        other.execute("ROLLBACK")
        writing.join()
        with closing(sqlite3.connect("s.db")) as third:
            assert third.execute("SELECT count(*) FROM event").fetchone() == (2,)


def test_a_store_that_is_closed_while_a_question_opens_a_connection_goes_on(monkeypatch):
    with SQLiteStorage("s.db") as store:
        store.save_event(call(0))
        engine = store.database.engine
        dispose = engine.dispose

        def asked_meanwhile():
            with store.question(), store.question():  # the second one needs a connection of its own
                pass
            dispose()

        monkeypatch.setattr(engine, "dispose", asked_meanwhile)
        store.database.close()
        monkeypatch.undo()
        store.save_event(call(1))
        assert len(store.query_events()) == 2


def test_a_removed_log_that_somebody_reads_for_long_is_waited_for_and_not_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "LOCK_SECONDS", 0.2)
    with SQLiteStorage("s.db") as store:
        store.save_event(call(0))
        with store.question():  # on the one connection that there is
            (tmp_path / "s.db-wal").unlink()
            with pytest.raises(StorageError, match="somebody removed its log"), store.question():
                pass
        store.save_event(call(1))
    with closing(sqlite3.connect("s.db")) as third:
        assert third.execute("SELECT count(*) FROM event").fetchone() == (2,)


KILLED = """
import os, signal
from tc_core import CostTracker, flush
tracker = CostTracker("s.db")
for _ in range(100): tracker.track_call("no-such-model", 1, 1)
flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_log_that_is_removed_after_a_kill_is_made_up_for_by_the_spool(run_python, tmp_path):
    SQLiteStorage("s.db").close()
    run_python(KILLED, check=False)
    assert (tmp_path / "s.db-wal").stat().st_size
    for name in ("s.db-wal", "s.db-shm"):
        (tmp_path / name).unlink()
    assert CostTracker("s.db").get_costs().total_calls == 100


# Damaged pages


@pytest.fixture
def damaged(tmp_path, request):
    """Return a store of 300 calls of which one table is damaged, and what mends it."""
    path = tmp_path / "s.db"
    with SQLiteStorage(path) as store:
        store.save_events([call(n, labels={"user_id": f"u{n}"}, metadata={"n": n}) for n in range(300)])
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (request.param,)).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()

    def put(content):
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            before = file.read(size)
            file.seek((page - 1) * size)
            file.write(content)
        return before

    sound = put(b"\xa5" * size)
    return path, lambda: put(sound)


SUMS, SUMS_BY_LABEL, ROWS, WHOLE_ROWS = "by model", "by label", "by session", "events"


@pytest.mark.swallows
@pytest.mark.parametrize(
    ("damaged", "still_answered"),
    [
        pytest.param("event", {SUMS, SUMS_BY_LABEL}, id="event"),
        pytest.param("rollup_label_day", {SUMS, ROWS, WHOLE_ROWS}, id="rollup_label_day"),
        pytest.param("rollup_day", {SUMS_BY_LABEL, ROWS, WHOLE_ROWS}, id="rollup_day"),
        pytest.param("metadata_body", {SUMS, SUMS_BY_LABEL, ROWS}, id="metadata_body"),
        pytest.param("label_set", {SUMS, SUMS_BY_LABEL, ROWS}, id="label_set"),
        pytest.param("ix_event_id", {SUMS, SUMS_BY_LABEL, ROWS, WHOLE_ROWS}, id="ix_event_id"),
    ],
    indirect=["damaged"],
)
def test_a_damaged_page_costs_only_the_answers_that_need_it_and_nothing_recorded(damaged, still_answered, run_command):
    path, mend = damaged
    tracker = CostTracker(path)
    for n in range(50):
        tracker.track_call("no-such-model", 1, 1, user_id=f"new {n}", metadata={"new": n})
    assert not recorders.flush(timeout=1)
    questions = {
        SUMS: lambda: tracker.get_costs(group_by=["model"]),
        SUMS_BY_LABEL: lambda: tracker.get_costs(filters={"user_id": "u1"}),
        ROWS: lambda: tracker.get_costs(group_by=["session_id"]),
        WHOLE_ROWS: lambda: tracker.storage.query_events(),
    }
    answered = set()
    for name, ask in questions.items():
        with suppress(StorageError):
            ask()
            answered.add(name)
    assert answered == still_answered
    for name in questions.keys() - answered:
        with pytest.raises(StorageError, match="`token-calc db check` says which table"):
            questions[name]()
    assert {kind for kind in faults.counts if "store" in kind} == {"store: StorageError"}  # no event was refused
    doctor = run_command("doctor", "--quick", "--store", path)
    assert "Traceback" not in doctor.stderr
    tracker.storage.close()
    mend()
    assert tracker.get_costs().total_calls == 350
    assert len({event.event_id for event in tracker.storage.query_events()}) == 350
    assert is_sound(path)


# Content that nobody expects


@pytest.mark.parametrize("way", ["at once", "after a kill"])
def test_ten_megabytes_of_metadata_in_one_event(run_python, way):
    program = (
        "import os, signal\nfrom tc_core import CostTracker, flush\n"
        "tracker = CostTracker('s.db')\n"
        "from tc_core.runtime.recorders import recorder_for\n"
        "if {kill}: recorder_for(tracker.storage).writer.wake = lambda: None\n"
        "for n in range(3): tracker.track_call('no-such-model', 1, 1, metadata={{'large': str(n) * 10_000_000}})\n"
        "if {kill}: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run_python(program.format(kill=way == "after a kill"), check=False)
    tracker = CostTracker("s.db")
    assert tracker.get_costs().total_calls == 3
    found = [event.metadata["large"] for event in tracker.storage.query_events()]
    assert [(text[0], len(text)) for text in found] == [(f"{n}", 10_000_000) for n in range(3)]


def test_what_waits_for_the_store_is_bounded_also_where_its_metadata_is_large(monkeypatch):
    tracker = CostTracker("s.db")
    recorder = recorders.recorder_for(tracker.storage)
    monkeypatch.setattr(recorder.writer, "wake", lambda: None)
    for n in range(20):
        tracker.track_call("no-such-model", 1, 1, metadata={"large": str(n % 10) * 10_000_000})
    assert recorder.writer._held_bytes < 64 << 20
    assert len(recorder.writer._queue) == 6  # the others come from the spool
    assert tracker.get_costs().total_calls == 20
