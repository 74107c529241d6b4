import os
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from tc_core import CostTracker
from tc_core.errors import StorageError
from tc_core.store.storages import SQLiteStorage
from tests.store.contract import RevisionContract, StorageContract, call


class TestSQLite(StorageContract, RevisionContract):
    @pytest.fixture
    def store(self, tmp_path):
        with SQLiteStorage(tmp_path / "store.db") as store:
            yield store


def test_the_file_is_private_and_alone_after_closing(tmp_path):
    store = SQLiteStorage(tmp_path / "costs.db")
    store.save_event(call())
    store.close()
    assert stat.S_IMODE((tmp_path / "costs.db").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["costs.db"]


def test_what_was_saved_is_there_when_opened_again(tmp_path):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.save_event(call(agent_id="a", labels={"user_id": "u"}))
    with SQLiteStorage(str(tmp_path / "costs.db")) as store:
        assert store.aggregate("calls", ["agent_id"], {"user_id": "u"}) == {("a",): 1}


def test_a_closed_store_opens_again_by_itself(tmp_path):
    store = SQLiteStorage(tmp_path / "costs.db")
    store.close()
    store.save_event(call())
    assert store.aggregate("calls") == {(): 1}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"this is a diary, not a database" * 50, id="text"),
        pytest.param(b"x", id="a byte"),
        pytest.param(b"dear diary" * 51, id="510 bytes"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 4000, id="broken"),
    ],
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"diary\.txt"):
        SQLiteStorage(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["diary.txt"]


def test_somebody_elses_database_is_left_alone(tmp_path):
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE event (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="not a Token Calculator store"):
        SQLiteStorage(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version_is_left_alone(tmp_path):
    path = tmp_path / "newer.db"
    SQLiteStorage(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE token_calculator_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StorageError, match="newer version"):
        SQLiteStorage(path)


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "empty.db").touch()
    with SQLiteStorage(tmp_path / "empty.db") as store:
        store.save_event(call())
        assert store.aggregate("calls") == {(): 1}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot create"):
        SQLiteStorage(tmp_path / "file" / "costs.db")


def test_many_threads_open_a_new_store_at_once(tmp_path):
    failures = []

    def work():
        try:
            with SQLiteStorage(tmp_path / "new.db") as store:
                store.save_event(call())
        except Exception as error:  # asserted below: a thread's would be lost
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with SQLiteStorage(tmp_path / "new.db") as store:
        assert store.aggregate("calls") == {(): 16}


@pytest.mark.slow
def test_eight_processes_open_a_new_store_at_once(tmp_path):
    program = (
        "import sys; from tc_core import SQLiteStorage, TrackingEvent\n"
        "with SQLiteStorage(sys.argv[1]) as store:\n"
        "    for n in range(25):\n"
        "        store.save_event(TrackingEvent(model='m', input_tokens=1, output_tokens=1, cost=0.001))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "new.db")]) for _ in range(8)]
    assert [process.wait(timeout=120) for process in running] == [0] * 8
    with SQLiteStorage(tmp_path / "new.db") as store:
        assert store.aggregate("calls") == {(): 200}
        assert store.aggregate("cost") == {(): 0.2}


def test_a_lock_is_waited_for(tmp_path):
    store = SQLiteStorage(tmp_path / "busy.db")
    blocker = sqlite3.connect(tmp_path / "busy.db", isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: blocker.execute("COMMIT")).start()
    store.save_event(call())
    assert store.aggregate("calls") == {(): 1}
    blocker.close()


@pytest.mark.slow
def test_a_lock_that_stays_is_an_error_that_says_so(tmp_path, monkeypatch):
    store = SQLiteStorage(tmp_path / "busy.db")
    blocker = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"busy\.db: database is locked") as caught:
        store.save_event(call())
    assert caught.value.is_passing
    blocker.execute("COMMIT")
    blocker.close()
    store.save_event(call())


def test_the_view_events_is_the_seed_documents_table(tmp_path):
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        store.save_event(call(event_id="req_1", agent_id="a", labels={"user_id": "u"}, metadata={"k": 1}))
        store.save_event(call(1, event_id="01890a5d-ac96-774b-bcce-b302099a8057", parent_id="req_1", cost=None))
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    first, second = (dict(row) for row in connection.execute("SELECT * FROM events ORDER BY timestamp"))
    connection.close()
    assert first == {
        "event_id": "req_1",
        "timestamp": "2026-11-20T12:00:00.000000+00:00",
        "event_type": "llm_call",
        "model": "gpt-4o",
        "input_tokens": 100,
        "output_tokens": 10,
        "cost": 0.001,
        "parent_id": None,
        "labels": '{"user_id":"u","agent_id":"a"}',
        "metadata": '{"k":1}',
        "cost_nanos": 1_000_000,
        "status": "ok",
        "provider": None,
        "cached_tokens": None,
        "latency_ms": None,
    }
    assert (second["event_id"], second["parent_id"], second["cost"]) == (
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "req_1",
        None,
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_can_only_be_read_opens_for_questions(tmp_path):
    folder = tmp_path / "readonly"
    folder.mkdir()
    with SQLiteStorage(folder / "costs.db") as store:
        store.save_event(call())
    (folder / "costs.db").chmod(0o444)
    folder.chmod(0o555)
    for above in [folder, *folder.parents]:
        if above.is_relative_to("/tmp") and above.stat().st_uid == os.geteuid():
            above.chmod(above.stat().st_mode | 0o055)
    program = (
        "import os, sys\n"
        "from tc_core import InMemoryStorage, SQLiteStorage, StorageError, TrackingEvent\n"
        "InMemoryStorage().aggregate('calls')  # load what is needed, which nobody else may read\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "store = SQLiteStorage(sys.argv[1]); print(store.read_only, store.aggregate('calls'))\n"
        "try: store.save_event(TrackingEvent(model='m'))\n"
        "except StorageError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(folder / "costs.db")], capture_output=True, text=True, check=False
    )
    assert result.stdout.startswith("True {(): 1}\n"), result.stderr
    assert "can only be read" in result.stdout


def test_another_store_in_the_place_of_a_closed_one_is_noticed_even_under_the_same_inode(tmp_path):
    path, other = tmp_path / "s.db", tmp_path / "other.db"
    with SQLiteStorage(other) as second:
        for model in ("other-a", "other-b"):
            CostTracker(second).track_call(model, 1, 1)
    tracker = CostTracker(path)
    for model in ("gpt-4o", "claude-x", "mistral-y"):
        tracker.track_call(model, 1, 1)
    assert tracker.get_costs().total_calls == 3
    tracker.storage.close()
    path.write_bytes(other.read_bytes())  # a file that is deleted and made anew often gets the same inode
    for model in ("gpt-4o", "new-z"):
        tracker.track_call(model, 1, 1)
    found = tracker.storage.aggregate("calls", ["model"])
    assert found == {(model,): 1 for model in ("gpt-4o", "new-z", "other-a", "other-b")}


OTHER = """
import sys
from tc_core import SQLiteStorage, TrackingEvent
with SQLiteStorage(sys.argv[1]) as store:
    store.save_event(TrackingEvent(model="other"))
"""


def test_a_copy_laid_over_the_file_and_written_by_another_process_is_another_store(tmp_path):
    path = tmp_path / "store.db"
    with SQLiteStorage(path) as store:
        store.save_event(call(model="first"))
        store.close()
        copy = path.read_bytes()
        store.save_event(call(model="lost"))
        store.close()
        path.write_bytes(copy)
        subprocess.run([sys.executable, "-c", OTHER, path], check=True)
        store.save_event(call(model="lost"))
        assert sorted(event.model for event in store.query_events()) == ["first", "lost", "other"]


@pytest.mark.parametrize("way", ["closed", "open", "gone"])
def test_a_file_that_is_deleted_and_made_anew_is_another_store(tmp_path, way):
    path = tmp_path / "s.db"
    tracker = CostTracker(path)
    for model in ("gpt-4o", "claude-x", "mistral-y"):
        tracker.track_call(model, 1, 1, user=f"u-{model}")
    assert tracker.get_costs().total_calls == 3
    if way == "closed":
        tracker.storage.close()
    for file in tmp_path.glob("s.db*"):
        if file.is_file():
            file.unlink()
    if way != "gone":
        program = "from tc_core import CostTracker\nt = CostTracker('s.db')\n"
        program += "for m in ('other-a', 'other-b'): t.track_call(m, 1, 1, user=m)"
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
        tracker = CostTracker(path)
    others = [] if way == "gone" else ["other-a", "other-b"]
    for model in ("gpt-4o", "new-z"):
        tracker.track_call(model, 1, 1, user=f"u-{model}")
    expected = {(model,): 1 for model in ["gpt-4o", "new-z", *others]}
    assert tracker.storage.aggregate("calls", ["model"]) == expected
    assert {event.labels["user"].removeprefix("u-") for event in tracker.storage.query_events()} == {
        model for (model,) in expected
    }
    tracker.storage.close()
    assert SQLiteStorage(path).aggregate("calls", ["model"]) == expected


def test_a_store_that_can_only_be_read_refuses_a_call(tmp_path, monkeypatch):
    SQLiteStorage(tmp_path / "s.db").close()
    monkeypatch.setattr("tc_core.store.storages._is_read_only", lambda path: True)
    with pytest.raises(StorageError, match="can only be read"):
        CostTracker(tmp_path / "s.db").track_call("gpt-4o", 1, 1)


def test_paths_that_are_no_files_are_said(tmp_path):
    with pytest.raises(StorageError, match="is a folder: name a file in it"):
        SQLiteStorage(tmp_path)
    with pytest.raises(StorageError, match="cannot open"):
        SQLiteStorage("~no-such-user/s.db")
    (tmp_path / "locked").mkdir()
    with pytest.raises(StorageError, match="cannot open"):
        SQLiteStorage("a\0b.db")


def test_what_is_in_use_while_connections_are_given_back_is_closed_when_it_is_given_back_itself(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_event(call())
        with store.database.reading():
            store.database.close()
            assert (tmp_path / "s.db-wal").exists()
        assert not (tmp_path / "s.db-wal").exists()  # the last one that is closed deletes it
