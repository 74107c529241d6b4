"""The writer between queue, spool and store: order, retries, bounds, and what a dead process left."""

import shutil
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tc_core.errors import StorageError
from tc_core.model import ids
from tc_core.model.part import Part
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.record import spool as spool_module
from tc_core.record import succession
from tc_core.record import writer as writer_module
from tc_core.record.enrich import METERING
from tc_core.record.guard import faults
from tc_core.record.recorder import Recorder
from tc_core.record.spool import Spool, SpoolFile
from tc_core.store.storages import SQLiteStorage

KEPT_ASIDE = "spool: a damaged file is kept aside"


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store.db.spool"


@pytest.fixture
def recorder(store, folder):
    recorder = Recorder(store.sink, parts=[METERING], spool=Spool(folder))
    yield recorder
    recorder.close()


def calls(recorder, count, *, first=0, are_long=False):
    for n in range(first, first + count):
        recorder.start("llm_call", key=n, model="gpt-4o", labels={"agent_id": f"a{n % 3}"})
        if are_long:  # so that the spool tells of their beginnings
            recorder.writer.mark()
        recorder.finish(n, usage=Usage(10, 1))


def crash(recorder):
    """Leave everything as a process does that is killed once its marks are written: files unlocked, the queue gone."""
    recorder.writer.mark()
    recorder.writer.end_thread()
    thread, recorder.writer._thread = recorder.writer._thread, threading.current_thread()  # no other is started
    if thread is not None:
        thread.join()
    for file in recorder.writer.spool.files:
        file.close()
    recorder.writer._queue.clear()
    recorder._open.clear()
    recorder.writer.spool._current, recorder.writer.spool._full = None, []


def successor(store, folder):
    recorder = Recorder(store.sink, parts=[METERING], spool=Spool(folder))
    recorder.writer.take_over()
    return recorder


class FlakySink:
    """The real sink, which fails as long as it is told to."""

    def __init__(self, sink, error, *, is_short=False):
        self.sink, self.error, self.attempts, self.is_short = sink, error, 0, is_short

    def write(self, batch, mark=None):
        self.attempts += 1
        error, self.error = self.error, None if self.is_short else self.error
        if error is not None:
            raise error
        self.sink.write(batch, mark)

    def __getattr__(self, name):
        return getattr(self.sink, name)


@pytest.mark.swallows
def test_faults_are_told_where_nothing_is_recorded_at_all(recorder, store):
    faults.note("tc_langchain.callback.on_start", ValueError())
    recorder.drain()
    assert store.faults() == {"tc_langchain.callback.on_start: ValueError": 1}


def test_the_thread_writes_by_itself(recorder, store):
    calls(recorder, 5)
    deadline = time.monotonic() + 10
    while store.aggregate("calls") != {(): 5} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.aggregate("calls") == {(): 5}


@pytest.mark.swallows
def test_the_thread_goes_on_after_an_error_that_nobody_foresaw(recorder, store, monkeypatch):
    look_after, said = recorder.writer.spool.look_after, []

    def fail_once():
        if not said:
            said.append(1)
            raise ValueError("unforeseen")
        look_after()

    monkeypatch.setattr(recorder.writer.spool, "look_after", fail_once)
    calls(recorder, 1)
    deadline = time.monotonic() + 10
    while store.aggregate("calls") != {(): 1} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.aggregate("calls") == {(): 1}
    assert said


def test_the_mark_follows_what_is_written(recorder, store):
    calls(recorder, 5)
    assert recorder.drain()
    (file,) = recorder.writer.spool.files
    assert store.sink.position(file.name) == file.size


def test_closing_leaves_no_spool(recorder, store, folder):
    calls(recorder, 5)
    assert folder.exists()
    assert recorder.stop()
    assert not folder.exists()
    with store._database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM spool").scalar() == 0


def test_full_files_are_deleted_when_the_store_has_them(recorder, store, folder, monkeypatch):
    monkeypatch.setattr(spool_module, "MOST_FILE_BYTES", 5000)
    recorder.start("agent", key="agent")
    calls(recorder, 200)
    assert len(recorder.writer.spool.files) > 5
    assert recorder.drain()
    assert len(list(folder.iterdir())) == 1
    crash(recorder)
    successor(store, folder).close()
    assert store.aggregate("calls") == {(): 200}
    assert [event.status for event in store.query_events({"event_type": "agent"})] == ["abandoned"]


def test_a_file_goes_only_after_what_it_holds_survives_a_loss_of_power(recorder, store, folder):
    made_durable = []

    class Watched:
        def make_durable(self, file):
            store.sink.make_durable(file)
            made_durable.append((folder / file).exists())

        def __getattr__(self, name):
            return getattr(store.sink, name)

    recorder.writer._succession._sink = Watched()
    calls(recorder, 1)
    recorder.stop()
    assert made_durable == [True]
    assert not folder.exists()


# What a dead process left


def test_ended_calls_are_taken_over_once_and_open_ones_abandoned(recorder, store, folder):
    calls(recorder, 3)
    recorder.drain()
    recorder.writer.wake = lambda: None
    calls(recorder, 4, first=3)
    recorder.start("llm_call", key="open", model="gpt-4o", labels={"agent_id": "late"})
    crash(recorder)
    successor(store, folder).close()
    successor(store, folder).close()
    statuses = [event.status for event in store.query_events()]
    assert (statuses.count("ok"), statuses.count("abandoned")) == (7, 1)
    assert store.totals()[()].cost_nanos == 7 * 35_000
    assert store.query_events({"agent_id": "late"})[0].status == "abandoned"
    assert not folder.exists()


def test_a_late_end_replaces_abandoned(recorder, store, folder):
    own = ids.new_id()
    recorder.start("llm_call", key=own, event_id=own, model="gpt-4o")
    crash(recorder)
    heir = successor(store, folder)
    assert store.totals()[()].unpriced == 1
    heir.start("llm_call", key=own, event_id=own, model="gpt-4o")
    heir.finish(own, usage=Usage(1000, 0))
    heir.close()
    assert (store.aggregate("calls"), store.aggregate("cost")) == ({(): 1}, {(): 0.0025})
    assert store.totals()[()].unpriced == 0


def test_a_call_without_usage_is_estimated_from_its_length(recorder, store, folder):
    recorder.writer.wake = lambda: None
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "x" * 400)])
    recorder.finish("k", output=[Segment("ai", "text", "y" * 40)])
    crash(recorder)
    successor(store, folder).close()
    (event,) = store.query_events()
    assert (event.input_tokens, event.output_tokens, event.usage_source) == (100, 10, "estimate")
    assert event.cost is not None


def test_relations_survive(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 1)
    recorder.start("llm_call", key="again", model="gpt-4o")
    recorder.link("again", "retry_of", 0)
    recorder.finish("again")
    recorder.link("again", "derived_from", 0)
    crash(recorder)
    successor(store, folder).close()
    assert {relation.relation for relation in store.relationships()} == {"retry_of", "derived_from"}


def test_a_crash_of_the_successor_changes_nothing(recorder, store, folder, monkeypatch):
    recorder.writer.wake = lambda: None
    calls(recorder, 10)
    crash(recorder)
    monkeypatch.setattr(succession, "BATCH", 4)
    heir = Recorder(store.sink, parts=[METERING], spool=Spool(folder))
    real, written = heir.writer._sink.write, []

    class Dying(BaseException):
        pass

    def write(batch, mark=None):
        if len(written) == 2:
            raise Dying
        written.append(mark)
        real(batch, mark)

    monkeypatch.setattr(store.sink, "write", write)
    with pytest.raises(Dying):
        heir.writer.take_over()
    monkeypatch.undo()
    with store._database.reading() as connection:  # not through a question, which would take over itself
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 8
    assert store.aggregate("calls") == {(): 10}


@pytest.mark.swallows
def test_a_torn_tail_costs_only_itself(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 3, are_long=True)
    (file,) = recorder.writer.spool.files
    torn = file.size - 5
    crash(recorder)
    with file.path.open("r+b") as raw:
        raw.seek(torn)
        raw.write(b"\0" * 5)
    successor(store, folder).close()
    statuses = [event.status for event in store.query_events()]
    assert sorted(statuses) == ["abandoned", "ok", "ok"]
    assert faults.counts == {KEPT_ASIDE: 1}


@pytest.mark.swallows
def test_damage_in_the_middle_costs_only_what_it_hit(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 5, are_long=True)
    (file,) = recorder.writer.spool.files
    third = [position for position, payload in file.entries() if payload.startswith(b'["end"')][2]
    crash(recorder)
    with file.path.open("r+b") as raw:
        raw.seek(third - 20)
        raw.write(b"?")
    before = file.path.read_bytes()
    successor(store, folder).close()
    assert sorted(event.status for event in store.query_events()) == ["abandoned", "ok", "ok", "ok", "ok"]
    assert faults.counts == {KEPT_ASIDE: 1}
    (kept,) = folder.iterdir()
    assert (kept.suffix, kept.read_bytes()) == (".damaged", before)
    successor(store, folder).close()
    assert store.aggregate("calls") == {(): 5}
    assert kept.exists()


def test_what_a_kill_left_half_written_is_no_damage(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 2)
    (file,) = recorder.writer.spool.files
    crash(recorder)
    with file.path.open("r+b") as raw:  # an entry's text is written first, and its header last
        raw.seek(file.size + 8)
        raw.write(b'["end","0')
    successor(store, folder).close()
    assert store.aggregate("calls") == {(): 2}
    assert not folder.exists()


@pytest.mark.swallows
def test_an_entry_that_cannot_be_read_costs_only_itself(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 1)
    for garbage in (b"{", b'["what"]\n[]', b'["end"]\n[]', b"[]"):
        recorder.writer.spool.append(garbage, list, is_end=True)
    calls(recorder, 1, first=1)
    crash(recorder)
    successor(store, folder).close()
    assert store.aggregate("calls") == {(): 2}
    assert sum(count for fault, count in faults.counts.items() if "read_item" in fault) == 4
    assert faults.counts[KEPT_ASIDE] == 1


REMOVED = "spool: somebody removed a file that is in use"


@pytest.mark.swallows
def test_a_spool_that_is_removed_while_it_is_needed_is_put_back(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 2)
    assert recorder.drain()
    recorder.writer._sink = FlakySink(store.sink, StorageError("the store is away", is_passing=True))
    calls(recorder, 3, first=2)
    recorder.start("agent", key="open")
    shutil.rmtree(folder)
    assert not recorder.drain()
    assert faults.counts[REMOVED] == 1
    calls(recorder, 2, first=5)
    (file,) = recorder.writer.spool.files
    assert file.is_in_place()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert SpoolFile.take(file.path) is None  # it is locked
    crash(recorder)
    successor(store, folder).close()
    statuses = [event.status for event in store.query_events()]
    assert (statuses.count("ok"), statuses.count("abandoned")) == (7, 1)


@pytest.mark.swallows
def test_a_spool_that_is_removed_when_the_store_has_it_is_begun_anew(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 2)
    recorder.start("agent", key="open")
    recorder.writer.mark()
    assert recorder.drain()
    shutil.rmtree(folder)
    assert recorder.drain()
    assert not folder.exists()
    calls(recorder, 1, first=2)
    crash(recorder)
    successor(store, folder).close()
    statuses = [event.status for event in store.query_events()]
    assert (statuses.count("ok"), statuses.count("abandoned")) == (3, 1)
    assert faults.counts == {REMOVED: 1}


@pytest.mark.swallows
def test_a_spool_that_cannot_be_put_back_costs_no_living_process_anything(recorder, store, folder):
    recorder.writer._sink = FlakySink(store.sink, StorageError("the store is away", is_passing=True))
    calls(recorder, 2)
    shutil.rmtree(folder)
    folder.touch()
    assert not recorder.drain()
    assert "File exists" in recorder.writer.spool.trouble
    recorder.writer._sink.error = None
    assert recorder.drain()
    calls(recorder, 1, first=2)
    assert recorder.drain()
    assert store.aggregate("calls") == {(): 3}


def test_the_file_of_a_living_process_is_left_alone(recorder, store, folder):
    recorder.writer.wake = lambda: None
    calls(recorder, 3)
    other = successor(store, folder)
    assert store.aggregate("calls") == {(): 0}
    other.close()
    assert recorder.drain()
    assert store.aggregate("calls") == {(): 3}


# A store that fails


@pytest.mark.swallows
def test_a_store_that_is_away_is_tried_again_and_gets_everything_once(recorder, store):
    sink = FlakySink(store.sink, StorageError("cannot write: database is locked", is_passing=True))
    recorder.writer._sink = sink
    calls(recorder, 5)
    assert not recorder.drain()
    calls(recorder, 5, first=5)
    assert not recorder.drain()
    sink.error = None
    assert recorder.drain()
    assert (store.aggregate("calls"), store.aggregate("cost")) == ({(): 10}, {(): 0.00035})
    assert faults.counts["store: StorageError"] >= 2


@pytest.mark.swallows
def test_a_moments_failure_costs_nothing(recorder, store):
    recorder.writer._sink = FlakySink(store.sink, StorageError("database is locked", is_passing=True), is_short=True)
    calls(recorder, 1)
    assert not recorder.drain()
    assert recorder.drain()
    assert store.aggregate("calls") == {(): 1}


@pytest.mark.swallows
def test_one_event_that_the_store_refuses_does_not_stop_the_others(recorder, store):
    calls(recorder, 2)
    recorder.start("llm_call", key="poison", model="gpt-4o")
    recorder.finish("poison", usage=Usage(1, 1))
    recorder.writer._queue[-1].record.latency_us = 2**70
    calls(recorder, 2, first=2)
    assert recorder.drain()
    assert store.aggregate("calls") == {(): 4}
    assert sum(count for kind, count in faults.counts.items() if "refused" in kind) == 1
    recorder.stop()
    assert store.aggregate("calls") == {(): 4}


@pytest.mark.swallows
def test_an_enrich_step_that_fails_costs_only_its_detail(store):
    def broken(call):
        raise ZeroDivisionError

    recorder = Recorder(store.sink, parts=[Part(name="broken", steps=[broken]), METERING])
    calls(recorder, 2)
    recorder.close()
    assert store.aggregate("cost") == {(): 0.00007}
    assert sum(count for kind, count in faults.counts.items() if "ZeroDivisionError" in kind) == 2


def test_faults_are_told_to_the_store(recorder, store):
    faults.strict = False
    faults.note("hook: KeyError", count=3)
    calls(recorder, 1)
    recorder.drain()
    assert store.faults() == {"hook: KeyError": 3}
    faults.after_fork()


# Bounds


def test_texts_are_let_go_first_when_the_queue_is_full(recorder, store, monkeypatch):
    monkeypatch.setattr(writer_module, "MOST_HELD_BYTES", 5000)
    recorder.writer.wake = lambda: None
    for n in range(3):
        recorder.start("llm_call", key=n, model="gpt-4o", content=[Segment("human", "text", "word " * 600)])
        recorder.finish(n, output=[])
    assert recorder.drain()
    sources = [event.usage_source for event in store.query_events()]
    assert sources == ["exact", "estimate", "estimate"]  # 3,000 characters and a thousand bytes fit once


def test_events_that_the_queue_cannot_hold_come_from_the_spool(recorder, store, monkeypatch):
    monkeypatch.setattr(writer_module, "MOST_HELD_BYTES", 3000)
    monkeypatch.setattr(spool_module, "MOST_FILE_BYTES", 4000)
    recorder.writer.wake = lambda: None
    calls(recorder, 50)
    assert len(recorder.writer._queue) == 3
    assert recorder.drain()
    assert (store.totals()[()].calls, store.totals()[()].cost_nanos) == (50, 50 * 35_000)
    calls(recorder, 2, first=50)
    assert len(recorder.writer._queue) == 2
    assert recorder.drain()
    assert store.aggregate("calls") == {(): 52}


@pytest.mark.swallows
def test_without_a_spool_what_the_queue_cannot_hold_is_counted(store, monkeypatch):
    monkeypatch.setattr(writer_module, "MOST_HELD_BYTES", 3000)
    recorder = Recorder(store.sink)
    recorder.writer.wake = lambda: None
    calls(recorder, 10)
    recorder.close()
    assert store.aggregate("calls") == {(): 3}
    assert faults.counts == {"queue: full, an event is lost": 7}


def test_a_question_on_the_writers_own_thread_does_not_wait_for_itself(store):
    answers = []

    def ask(call):
        answers.append(recorder.drain())

    recorder = Recorder(store.sink, parts=[Part(name="asking", steps=[ask])])
    store.before_read.append(recorder.drain)
    calls(recorder, 1)
    assert recorder.drain()
    assert answers == [False]
    recorder.close()


def test_an_interrupt_that_skipped_a_release_locks_nobody_out(recorder, store):
    calls(recorder, 1)
    recorder.writer._turn.acquire()  # as if Ctrl-C had come right behind
    assert recorder.drain()
    calls(recorder, 1, first=1)
    done = []
    thread = threading.Thread(target=lambda: done.append(recorder.drain(timeout=2)))
    thread.start()
    thread.join()
    assert done == [True]
    assert store.aggregate("calls") == {(): 2}


@pytest.mark.swallows
def test_faults_of_a_refused_batch_are_told_too(recorder, store):
    faults.note("a hook: KeyError")
    calls(recorder, 1)
    recorder.start("llm_call", key="poison", model="gpt-4o")
    recorder.finish("poison", usage=Usage(1, 1))
    recorder.writer._queue[-1].record.latency_us = 2**70
    assert recorder.drain()
    calls(recorder, 1, first=1)
    recorder.drain()
    assert store.faults()["a hook: KeyError"] == 1


def test_what_is_noted_while_a_batch_is_taken_does_not_disturb_that(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        recorder, is_over = Recorder(store.sink, spool=Spool(tmp_path / "spool")), threading.Event()

        def note():
            number = 0
            while not is_over.is_set():
                recorder.start("tool", key=number)
                recorder.finish(number)
                number += 1
            return number

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor() as pool:
                noting = pool.submit(note)
                try:
                    deadline = time.monotonic() + 1
                    while time.monotonic() < deadline:
                        recorder.writer._next()
                finally:
                    is_over.set()
                noted = noting.result()
        finally:
            sys.setswitchinterval(interval)
        recorder.close(timeout=60)
        assert store.count({"event_type": "tool"}) == noted
