"""A part's `after` gets each text once and in order, never again after a replay; and what else a part may do."""

import threading
import time

import pytest

from tc_core import CostTracker, InMemoryStorage, SQLiteStorage, add_listener, flush, remove_listener
from tc_core.model.part import Finding, Part
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.record import after as after_module
from tc_core.record import chores as chores_module
from tc_core.record.enrich import METERING
from tc_core.record.guard import faults
from tc_core.record.recorder import Recorder
from tc_core.record.spool import Spool
from tc_core.runtime import doctor, parts, recorders
from tests.record.test_writer import crash


def text(words):
    return [Segment("user", "text", words)]


def call(recorder, n, *, usage=None, model="gpt-4o"):
    recorder.start("llm_call", key=n, model=model, content=lambda: text(f"question {n}"))
    recorder.finish(n, usage=usage, output=lambda: text(f"answer {n}"))


def make(store, folder=None, **part):
    spool = None if folder is None else Spool(folder)
    return Recorder(store.sink, parts=[METERING, Part(name="test", **part)], spool=spool)


def test_each_text_is_seen_once_and_in_order_under_load(tmp_path):
    seen = []
    with SQLiteStorage(tmp_path / "s.db") as store:
        recorder = make(store, tmp_path / "spool", after=lambda texts: seen.extend(texts))

        def work(number):
            for n in range(400):
                call(recorder, (number, n), usage=Usage(10, 1) if n % 3 else None)

        threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.drain(60)
        assert recorder.writer.after.wait(60)
        recorder.close()
    said = [(each.prompt[0].body, each.output[0].body) for each in seen]
    assert len(said) == len(set(said)) == 1200
    for number in range(3):
        assert [each for each in said if each[0].startswith(f"question ({number},")] == [
            (f"question {(number, n)}", f"answer {(number, n)}") for n in range(400)
        ]


def test_tools_and_retrievals_are_handed_over_too():
    seen = []
    with InMemoryStorage() as store:
        recorder = make(store, after=lambda texts: seen.extend(texts))
        for kind in ("tool", "retrieval", "agent"):
            recorder.start(kind, key=kind)
            recorder.finish(kind, output=[Segment("tool", "tool_result", f"of {kind}")] if kind != "agent" else None)
        recorder.drain()
        assert recorder.writer.after.wait(5)
        recorder.close()
    assert [(each.record.event_type, each.output[0].body) for each in seen] == [
        ("tool", "of tool"),
        ("retrieval", "of retrieval"),
    ]


@pytest.mark.swallows
def test_what_a_slow_part_misses_is_counted_and_not_held(monkeypatch):
    monkeypatch.setattr(after_module, "MOST_HELD_BYTES", 40_000)
    may_go_on, seen = threading.Event(), []

    def slow(texts):
        may_go_on.wait(30)
        seen.extend(texts)

    with InMemoryStorage() as store:
        recorder = make(store, after=slow)
        for n in range(200):
            call(recorder, n, usage=Usage(1000, 1), model=None)  # held for 5,000 bytes each
            recorder.drain()
        assert not recorder.writer.after.wait(0.05)
        may_go_on.set()
        assert recorder.writer.after.wait(5)
        assert len(seen) == 8  # eight times 5,000
        assert faults.counts["texts: let go, a part is too slow"] == 200 - 8
        call(recorder, "later", usage=Usage(1000, 1))
        recorder.drain()
        assert recorder.writer.after.wait(5)
        assert seen[-1].prompt == text("question later")
        recorder.close()


def test_what_comes_within_a_moment_is_read_together_and_nobody_waits_for_the_moment(monkeypatch):
    monkeypatch.setattr(after_module, "GATHER_SECONDS", 3600)
    batches = []
    with InMemoryStorage() as store:
        recorder = make(store, after=lambda texts: batches.append([each.prompt[0].body for each in texts]))
        for n in range(6):
            call(recorder, n)
            recorder.drain()
            if n % 3 == 2:
                assert recorder.writer.after.wait(5)
        recorder.close()
    assert batches == [["question 0", "question 1", "question 2"], ["question 3", "question 4", "question 5"]]


def test_the_end_waits_for_no_moment_either(monkeypatch):
    monkeypatch.setattr(after_module, "GATHER_SECONDS", 3600)
    seen = []
    with InMemoryStorage() as store:
        recorder = make(store, after=lambda texts: seen.extend(texts))
        call(recorder, 1)
        recorder.close()
    assert len(seen) == 1


def test_so_much_text_is_read_without_waiting_for_more(monkeypatch):
    monkeypatch.setattr(after_module, "GATHER_SECONDS", 3600)
    monkeypatch.setattr(after_module, "GATHERED_BYTES", 10_000)
    is_seen, seen = threading.Event(), []

    def after(texts):
        seen.extend(texts)
        is_seen.set()

    with InMemoryStorage() as store:
        recorder = make(store, after=after)
        for n in range(2):
            call(recorder, n, usage=Usage(1000, 1), model=None)  # held for 5,000 bytes each
            recorder.drain()
        assert is_seen.wait(30)
        assert len(seen) == 2
        recorder.close()


def test_nothing_is_told_after_a_replay(tmp_path):
    seen = []
    with SQLiteStorage(tmp_path / "s.db") as store:
        dead = make(store, tmp_path / "spool", after=lambda texts: seen.extend(texts))
        dead.writer.drain = lambda timeout=5.0: True
        dead.writer._drain = lambda timeout: True
        for n in range(10):
            call(dead, n)
        crash(dead)
        heir = make(store, tmp_path / "spool", after=lambda texts: seen.extend(texts))
        heir.writer.take_over()
        assert store.aggregate("calls") == {(): 10}
        assert heir.writer.after.wait(5)
        heir.close()
    assert seen == []


def test_a_late_end_does_not_hand_a_call_over_again():
    seen = []
    with InMemoryStorage() as store:
        recorder = make(store, after=lambda texts: seen.extend(texts))
        recorder.start("llm_call", key=1, model="gpt-4o", content=text("question"))
        recorder.fail(1, status="cancelled", output=text("half"))
        recorder.drain()
        recorder.finish(1, usage=Usage(5, 5), output=text("whole"))
        recorder.drain()
        assert recorder.writer.after.wait(5)
        recorder.close()
    assert [each.output[0].body for each in seen] == ["half"]


def test_no_text_is_kept_where_no_part_reads_any():
    with InMemoryStorage() as store:
        recorder = Recorder(store.sink, parts=[METERING])
        assert not recorder.keeps_texts
        recorder.start("tool", key="t")
        pending = recorder._open["t"]
        recorder.finish("t", output=text("result"))
        assert pending.output is None
        recorder.close()


@pytest.mark.swallows
def test_committed_is_told_on_the_writers_thread_and_again_after_an_error(monkeypatch):
    from tc_core.record import writer as writer_module

    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.01)
    told, heard = [], threading.Event()

    def committed():
        told.append(threading.current_thread().name)
        if len(told) == 1:
            raise OSError("the books are busy")
        heard.set()

    with InMemoryStorage() as store:
        recorder = make(store, committed=committed)
        call(recorder, 1, usage=Usage(1, 1))
        assert heard.wait(5)
        recorder.close()
    assert set(told[:2]) == {"token-calculator-writer"}


def test_what_is_written_past_the_recorder_is_told_as_a_commit_too(monkeypatch, tmp_path):
    heard = threading.Event()
    monkeypatch.setattr(parts, "parts_of", lambda store: [METERING, Part(name="test", committed=heard.set)])
    monkeypatch.setattr(recorders, "parts_of", parts.parts_of)
    with SQLiteStorage(tmp_path / "s.db") as store:
        from tc_core import TrackingEvent

        store.save_event(TrackingEvent(model="gpt-4o", input_tokens=1, output_tokens=1))
        assert heard.wait(5)


def test_a_chore_is_called_when_it_asked_for(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(chores_module.time, "monotonic", lambda: now[0])
    called = []

    def chore():
        called.append(now[0])
        return 0 if len(called) < 3 else 90.0 if len(called) == 3 else None

    chores = chores_module.Chores([chore])
    assert [chores.do() for _ in range(3)] == [0.0, 0.0, 90.0]
    now[0] = 60.0
    assert chores.do() == 30.0
    now[0] = 90.0
    assert chores.do() is None
    assert called == [0.0, 0.0, 0.0, 90.0]


def test_the_writers_thread_wakes_for_a_chore():
    called = threading.Event()
    times = []

    def chore():
        times.append(time.monotonic())
        if len(times) == 3:
            called.set()
            return None
        return 0.05

    with InMemoryStorage() as store:
        recorder = make(store, chore=chore)
        call(recorder, 1, usage=Usage(1, 1))
        assert called.wait(5)  # nothing else is recorded meanwhile
        recorder.close()


def test_a_chore_that_is_due_opens_no_store_that_was_closed():
    with InMemoryStorage() as store:
        recorder = make(store, chore=lambda: 60.0)
        call(recorder, 1, usage=Usage(1, 1))
        recorder.stop()
        recorder.writer._do_chores()  # as the alarm does that was set before
        assert recorder.writer._thread is None
        call(recorder, 2, usage=Usage(1, 1))
        assert recorder.writer._thread is not None
        recorder.close()


def test_listeners_come_and_go_while_events_are_recorded():
    heard = []
    with InMemoryStorage() as store:
        tracker = CostTracker(store)
        tracker.track_call("gpt-4o", 1, 1)
        flush()
        add_listener(heard.extend, store)
        tracker.track_call("gpt-4o", 2, 1)
        flush()
        recorders.recorder_for(store).writer.listeners.close(5)
        remove_listener(heard.extend, store)
        tracker.track_call("gpt-4o", 3, 1)
        flush()
        recorders.recorder_for(store).writer.listeners.close(5)
    assert [event.input_tokens for event in heard] == [2]


def test_doctor_asks_the_parts(monkeypatch, tmp_path):
    said = Finding("warning", "books", "nobody has looked at them")
    monkeypatch.setattr(recorders, "parts_of", lambda store: [METERING, Part(name="test", checks=lambda: [said])])
    with SQLiteStorage(tmp_path / "s.db") as store:
        CostTracker(store).track_call("gpt-4o", 1, 1)
    assert said in list(doctor.examine(str(tmp_path / "s.db"), quick=True))
