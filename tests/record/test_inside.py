"""Hooks inside our own work, as a garbage collection brings them, and interrupts: nobody waits, nothing is lost."""

import gc
import inspect
import itertools
import logging
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tc_core import record, workflow
from tc_core.model.usage import Usage
from tc_core.record.guard import faults
from tc_core.record.inside import inside
from tc_core.record.recorder import Recorder
from tc_core.record.spool import Spool
from tc_core.runtime.recorders import recorder_for
from tc_core.store.storages import InMemoryStorage, SQLiteStorage


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield store


@pytest.fixture
def recorder(store):
    return recorder_for(store)


def at_once(*works):
    """Run each in a thread of its own, and see all of them end."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not [thread for thread in threads if thread.is_alive()]


def inside_the_end_of(recorder, key, hook, monkeypatch):
    """Have a hook come while the end of a run is being noted."""
    put = recorder.writer.put

    def disturbed(item):
        if item.key == key:
            hook()
        put(item)

    monkeypatch.setattr(recorder.writer, "put", disturbed)


def test_a_hook_may_come_between_any_two_steps(tmp_path):
    keys, done, inside, places = itertools.count(1000), [], threading.local(), Counter()

    def collect(frame, event, what):
        place = (threading.get_ident(), frame.f_code, frame.f_lineno, event)
        is_ours = frame.f_code.co_filename.startswith((str(Path(record.__file__).parent), threading.__file__))
        if getattr(inside, "hook", False) or not is_ours or places[place] > 2:
            return
        inside.hook = True
        places[place] += 1
        try:
            key = next(keys)
            recorder.start("llm_call", key=key)
            recorder.finish(key, usage=Usage(1, 0))
            done.append(key)
        finally:
            inside.hook = False

    def work():
        sys.setprofile(collect)
        for n in range(20):
            recorder.start("llm_call", key=n)
            recorder.finish(n, usage=Usage(1, 0))
            time.sleep(0.01)
        sys.setprofile(None)

    with SQLiteStorage(tmp_path / "s.db") as store:
        recorder = Recorder(store.sink, spool=Spool(tmp_path / "s.db.spool"))
        threading.setprofile(collect)  # in threads that are started from now on
        try:
            at_once(work)
        finally:
            threading.setprofile(None)
        assert recorder.close(60)  # which ends the writer's thread, not without hooks
        assert recorder.close(60)
        assert store.aggregate("calls") == {(): len(done) + 20}
        assert len({thread for thread, *_ in places}) >= 2  # the caller's and the writer's
        assert len(places) > 100


def test_hooks_of_two_stores_inside_each_other_do_not_wait_for_each_other(recorder, store, monkeypatch):
    other_store = InMemoryStorage()
    other, both = recorder_for(other_store), threading.Barrier(2, timeout=10)
    for one, another in ((recorder, other), (other, recorder)):
        one.start("llm_call", key="streamed")
        one.start("llm_call", key="around")
        inside_the_end_of(
            one, "around", lambda each=another: (both.wait(), each.finish("streamed", usage=Usage(1, 0))), monkeypatch
        )
    at_once(*(lambda each=each: each.finish("around", usage=Usage(2, 0)) for each in (recorder, other)))
    assert store.aggregate("input_tokens") == other_store.aggregate("input_tokens") == {(): 3}


@pytest.mark.swallows
def test_a_hook_inside_a_log_handler_does_not_wait_for_one_that_logs(recorder, store, monkeypatch):
    logging_, noting = threading.Event(), threading.Event()

    class Handler(logging.StreamHandler):
        def emit(self, record):
            if record.name == "host":
                logging_.set()
                noting.wait(10)
                recorder.finish("streamed", usage=Usage(1, 0))

    handler, reopened = Handler(), recorder._reopened

    def slowly(*arguments, **options):
        noting.set()
        time.sleep(0.3)
        return reopened(*arguments, **options)

    def hook():
        logging_.wait(10)
        recorder.finish("unknown")  # is a fault, of which the log is told

    recorder.start("llm_call", key="streamed")
    monkeypatch.setattr(recorder, "_reopened", slowly)
    loggers = [logging.getLogger("host"), logging.getLogger("tc_core")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        at_once(lambda: loggers[0].warning("says"), hook)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert faults.counts == {"an end without a start": 1}
    assert store.aggregate("calls") == {(): 1}


@pytest.mark.swallows
def test_a_hook_that_was_put_off_and_fails_costs_itself_alone(recorder, store, monkeypatch):
    def hooks():
        recorder.start("llm_call", key="broken")
        recorder.finish("broken", at_us="never")
        recorder.start("llm_call", key="fine")
        recorder.finish("fine", usage=Usage(1, 0))

    recorder.start("llm_call", key="around")
    inside_the_end_of(recorder, "around", hooks, monkeypatch)
    recorder.finish("around", usage=Usage(2, 0))
    assert store.aggregate("input_tokens", filters={"status": "ok"}) == {(): 3}
    assert faults.counts["a hook that was put off: TypeError"] == 1


@pytest.mark.parametrize("name", ["start", "finish", "link", "attempt", "add"])
def test_a_hook_that_is_put_off_takes_along_all_that_it_was_called_with(recorder, name):
    method = getattr(Recorder, name)
    given = {each: f"a {each}" for each in inspect.signature(method).parameters if each not in ("self", "event_id")}
    inside.is_busy = True
    try:
        method(recorder, **given)
        (put_off,) = inside.put_off
    finally:
        inside.is_busy = False
        inside.put_off.clear()
    assert put_off.func is method
    assert {each: put_off.keywords[each] for each in given} == given
    assert set(put_off.keywords) == set(inspect.signature(method).parameters)


def test_a_run_that_ends_while_the_recorder_closes_ends_once(recorder, store, monkeypatch):
    recorder.start("llm_call", key="first")
    recorder.start("llm_call", key="second")
    inside_the_end_of(recorder, "first", lambda: recorder.finish("second", usage=Usage(1, 0)), monkeypatch)
    assert recorder.close()
    assert recorder.drain()
    assert store.aggregate("calls", ["status"]) == {("abandoned",): 1, ("ok",): 1}


def test_what_is_noted_while_a_store_closes_is_written_without_anybody_asking(recorder, store, monkeypatch):
    drain = recorder.writer.drain

    def then_noted(timeout):
        drained = drain(timeout)
        recorder.start("llm_call", key="late")
        recorder.finish("late", usage=Usage(1, 0))
        return drained

    monkeypatch.setattr(recorder.writer, "drain", then_noted)
    recorder.stop()
    deadline = time.monotonic() + 20
    while recorder.writer._queue and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not recorder.writer._queue


INTERRUPTED = """
import random, signal
from tc_core import SQLiteStorage
from tc_core.model.usage import Usage
from tc_core.model.segment import Segment
from tc_core.runtime.recorders import recorder_for
def interrupt(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
store, hits = SQLiteStorage("i.db"), 0
recorder, prompt = recorder_for(store), [Segment("user", "text", "a prompt whose tokens are counted " * 200)]
for turn in range(40):
    for n in range(50):
        recorder.start("llm_call", key=(turn, n), model="gpt-4o", content=prompt)
        recorder.finish((turn, n))
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.02))
            store.aggregate("calls")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # which may come just too late
    except KeyboardInterrupt:
        hits += 1
assert hits > 5, hits
print(store.aggregate("calls"))
"""


def test_an_interrupted_question_loses_nothing(run_python):
    assert run_python(INTERRUPTED).strip() == "{(): 2000}"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_workflow_that_a_collection_closes_inside_a_hook_does_not_wait_for_a_fork(
    recorder, store, monkeypatch, in_a_child
):
    inside, forking = threading.Event(), threading.Event()

    @workflow("items", storage=store)
    def items():
        yield 1
        yield 2

    def collect():
        inside.set()
        forking.wait(10)
        time.sleep(0.2)
        gc.collect()

    def hook():
        circle = [items()]
        next(circle[0])
        circle.append(circle)
        del circle
        recorder.finish("around", usage=Usage(1, 0))

    recorder.start("llm_call", key="around")
    inside_the_end_of(recorder, "around", collect, monkeypatch)
    gc.disable()
    try:
        thread = threading.Thread(target=hook, daemon=True)
        thread.start()
        assert inside.wait(10)
        forking.set()
        assert in_a_child(lambda: None) == 0
        thread.join(20)
        assert not thread.is_alive()
    finally:
        gc.enable()
    assert store.aggregate("calls", filters={"status": "ok"}) == {(): 1}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_store_in_memory_may_go_while_a_process_forks(recorder, store, in_a_child):
    box, entered = [InMemoryStorage()], threading.Event()
    recorder_for(box[0])
    recorder_for(SQLiteStorage("another.db"))

    def write():
        with recorder.writer._turn:
            entered.set()
            time.sleep(0.3)

    threading.Thread(target=write, daemon=True).start()
    assert entered.wait(10)
    threading.Timer(0.05, box.clear).start()
    assert in_a_child(lambda: recorder_for(store).start("tool", key="child")) == 0
    at_once(lambda: recorder.start("tool", key="after"), lambda: recorder_for(store))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_another_thread_opens_a_store_leaves_the_child_one_to_open(in_a_child):
    store, opening, go_on = SQLiteStorage("opened.db"), threading.Event(), threading.Event()
    database = store._database
    make_ready, database._is_ready, parent = database.make_ready, False, os.getpid()

    def slowly():
        if os.getpid() == parent:
            opening.set()
            go_on.wait(10)
        make_ready()

    def ask():
        assert store.aggregate("calls") == {(): 0}
        assert database._is_ready

    database.make_ready = slowly
    thread = threading.Thread(target=store.query_events, daemon=True)
    thread.start()
    assert opening.wait(10)
    assert in_a_child(ask) == 0
    go_on.set()
    thread.join(20)
    assert not thread.is_alive()
