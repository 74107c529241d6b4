"""When the spool tells that a run has begun: soon, from the writer's thread, and never after what hangs under it."""

import json
import time

import pytest

from tc_core.model.usage import Usage
from tc_core.record.recorder import Recorder
from tc_core.record.spool import Spool
from tc_core.record.told import MOST_UNTOLD
from tc_core.store.storages import SQLiteStorage


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def recorder(store, tmp_path):
    recorder = Recorder(store.sink, spool=Spool(tmp_path / "spool"))
    recorder.writer.wake = lambda: None
    recorder.start("retrieval", key="first")  # begins a file, which tells of all that is open
    recorder.finish("first")
    del recorder.writer.wake  # there is no thread yet that could tell anything
    yield recorder
    recorder.close()


def told(recorder):
    """Return what the spool tells behind that, each once: `start llm_call`, `end llm_call`, `forget`."""
    entries = [payload for file in recorder.writer.spool.files for _, payload in file.entries()]
    facts = dict.fromkeys(tuple(json.loads(entry.partition(b"\n")[0])[:3]) for entry in entries)
    return [" ".join((kind, *event_type)) for kind, _id, *event_type in list(facts)[2:]]


def told_all(recorder):
    entries = [payload for file in recorder.writer.spool.files for _, payload in file.entries()]
    return [" ".join(json.loads(entry.partition(b"\n")[0])[::2][:2]) for entry in entries]


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_writer_tells_that_a_run_has_begun(recorder):
    recorder.writer.wake = lambda: None
    recorder.start("agent", key="agent")
    assert told(recorder) == []
    del recorder.writer.wake
    recorder.writer.wake()
    until(lambda: told(recorder) == ["start agent"])
    recorder.start("llm_call", key="call", parent="agent")
    until(lambda: told(recorder) == ["start agent", "start llm_call"])


def test_of_a_run_that_is_over_by_then_only_its_end_is_told(recorder):
    recorder.writer.wake = lambda: None
    recorder.start("llm_call", key="call")
    recorder.finish("call", usage=Usage(10, 1))
    recorder.writer.mark()
    assert told(recorder) == ["end llm_call"]


def test_what_a_run_hangs_under_is_told_before_its_end(recorder):
    recorder.writer.wake = lambda: None
    recorder.start("workflow", key="run")
    recorder.start("agent", key="agent", parent="run")
    recorder.start("llm_call", key="call", parent="agent")
    recorder.finish("call", usage=Usage(10, 1))
    assert told(recorder) == ["start workflow", "start agent", "start llm_call", "end llm_call"]


def test_a_run_that_is_taken_back_is_told_no_more(recorder):
    recorder.writer.wake = lambda: None
    recorder.start("llm_call", key="call")
    recorder.forget("call")
    recorder.writer.mark()
    assert told(recorder) == ["forget"]


def test_a_call_that_turns_out_to_be_a_step_is_told_again(recorder):
    recorder.writer.wake = lambda: None
    recorder.start("llm_call", key="outer")
    recorder.writer.mark()
    recorder.start("llm_call", key="inner", parent="outer")
    recorder.finish("inner", usage=Usage(10, 1))
    assert told(recorder) == ["start llm_call", "start task", "start llm_call", "end llm_call"]


def test_beginnings_are_told_without_the_writer_where_the_store_keeps_it(recorder):
    recorder.writer.wake = lambda: None
    recorder.writer.mark()
    for key in range(MOST_UNTOLD + 1):
        recorder.start("llm_call", key=key)
    assert len(told(recorder)) == MOST_UNTOLD + 1
    assert not recorder._told._untold


def test_an_interrupt_leaves_what_is_not_told_yet(recorder, monkeypatch):
    recorder.writer.wake = lambda: None
    for number in range(5):
        recorder.start("agent", key=number)
    append, calls = recorder._told._append, []

    def interrupted(payload, *, is_end):
        calls.append(payload)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return append(payload, is_end=is_end)

    monkeypatch.setattr(recorder._told, "_append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorder.writer.mark()
    recorder.writer.mark()
    starts = [payload for file in recorder.writer.spool.files for _, payload in file.entries() if b"agent" in payload]
    assert len(starts) == 5


def test_a_run_that_begins_while_its_recorder_stops_is_told_too(recorder, monkeypatch):
    drain = recorder.writer.drain

    def begin_meanwhile(timeout):
        is_drained = drain(timeout)
        recorder.start("agent", key="late")
        return is_drained

    monkeypatch.setattr(recorder.writer, "drain", begin_meanwhile)
    recorder.stop()
    monkeypatch.undo()
    until(lambda: recorder.writer.spool.files and "start agent" in told_all(recorder))
