import os
import threading
import time

import pytest

from tc_core import (
    CostTracker,
    InMemoryStorage,
    SQLiteStorage,
    StorageBackend,
    TrackingEvent,
    Usage,
    flush,
    labels,
    workflow,
)
from tc_core.costs.plain_totals import FIELDS
from tc_core.model.segment import Segment
from tc_core.record.guard import faults
from tc_core.runtime import recorders
from tc_core.runtime.recorders import recorder_for
from tc_core.store.schema.tables import INTERNED


def test_every_way_to_a_store_shares_its_recorder(tmp_path):
    (tmp_path / "sub").mkdir()
    by_path = recorder_for("costs.db")
    assert recorder_for(tmp_path / "costs.db") is by_path
    assert recorder_for("sub/../costs.db") is by_path
    assert recorder_for(f"sqlite:///{tmp_path}/costs.db") is by_path
    (tmp_path / "link.db").symlink_to("costs.db")
    assert recorder_for("link.db") is by_path
    assert recorder_for("other.db") is not by_path


def test_a_call_is_seen_at_once_through_any_store_object():
    CostTracker("costs.db").track_call("gpt-4o", 1000, 0)
    assert SQLiteStorage("costs.db").aggregate("cost") == {(): 0.0025}
    assert CostTracker("costs.db").get_costs().total_calls == 1


def test_closing_one_store_object_does_not_end_the_others():
    first, second = CostTracker("costs.db"), CostTracker("costs.db")
    first.track_call("gpt-4o", 1, 1)
    first.storage.close()
    second.track_call("gpt-4o", 1, 1)
    assert second.get_costs().total_calls == 2
    first.track_call("gpt-4o", 1, 1)
    assert first.get_costs().total_calls == 3


def test_the_default_store_is_in_the_working_directory(tmp_path):
    CostTracker().track_call("gpt-4o", 1, 1)
    assert flush()
    assert (tmp_path / "token_calculator.db").exists()
    assert CostTracker().storage is CostTracker().storage


def test_the_environment_chooses_the_default_store(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_STORAGE", "sqlite")
    monkeypatch.setenv("TOKEN_CALC_STORAGE_PATH", str(tmp_path / "elsewhere.db"))
    CostTracker().track_call("gpt-4o", 1, 1)
    flush()
    assert (tmp_path / "elsewhere.db").exists()
    monkeypatch.setenv("TOKEN_CALC_STORAGE", "memory")
    CostTracker().track_call("gpt-4o", 1, 1)
    assert CostTracker().get_costs().total_calls == 1
    assert not (tmp_path / "token_calculator.db").exists()


def test_default_labels_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_DEFAULT_LABELS", "environment:production,team:ai")
    tracker = CostTracker(InMemoryStorage())
    tracker.track_call("gpt-4o", 1, 1)
    (event,) = tracker.storage.query_events()
    assert (event.environment, event.labels) == ("production", {"team": "ai"})


def test_a_workflow_is_a_run_and_what_is_inside_hangs_under_it():
    store = InMemoryStorage()
    tracker = CostTracker(store)
    for _ in range(2):
        with workflow("nightly", storage=store) as run:
            tracker.track_call("gpt-4o", 1, 1, agent_id="writer")
            with workflow("inner", storage=store):
                tracker.track_call("gpt-4o", 1, 1)
    assert len(store.runs({"workflow_id": "nightly"})) == 2
    events, _ = store.tree(run.event_id)
    assert [(event.depth, event.event_type, event.workflow_id) for event in events] == [
        (0, "workflow", "nightly"),
        (1, "llm_call", "nightly"),
        (1, "workflow", "inner"),
        (2, "llm_call", "inner"),
    ]


async def test_a_workflow_that_fails_says_how():
    import asyncio

    store = InMemoryStorage()

    @workflow("failing", storage=store)
    async def fail():
        raise KeyError

    with pytest.raises(KeyError):
        await fail()
    with pytest.raises(asyncio.CancelledError):
        async with workflow("stopped", storage=store):
            raise asyncio.CancelledError
    found = {event.name: (event.status, event.error_type) for event in store.query_events()}
    assert found == {"failing": ("error", "KeyError"), "stopped": ("cancelled", "CancelledError")}


class ThreeMethods(StorageBackend):
    """A user's own backend, with nothing but what is asked of one."""

    def __init__(self):
        self.events, self.threads = [], set()

    def save_event(self, event):
        self.threads.add(threading.current_thread().name)
        self.events = [each for each in self.events if each.event_id != event.event_id] + [event]

    def query_events(self, filters=None, start_time=None, end_time=None, *, limit=None, descending=False):
        from tc_core.costs.plain_totals import value_of

        def matches(event):
            wanted = (filters or {}).items()
            return all(
                value_of(event, name) in ([value] if isinstance(value, str) else value) for name, value in wanted
            )

        found = [event for event in self.events if matches(event)]
        return [
            e
            for e in found
            if (not start_time or e.timestamp >= start_time) and (not end_time or e.timestamp < end_time)
        ]

    def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
        return {}


def test_a_backend_of_ones_own_serves_cost_tracking():
    tracker = CostTracker(ThreeMethods())
    tracker.track_call("gpt-4o", 1000, 0, agent_id="a", user_id="u")
    tracker.track_call("gpt-99", 1000, 0, event_id="req_1")
    report = tracker.get_costs(group_by=["agent_id"], filters={"user_id": "u"})
    assert (report.total_cost, report.groups[0].key, report.total_calls) == (0.0025, {"agent_id": "a"}, 1)
    assert tracker.get_costs().unpriced_calls == 1
    assert tracker.storage.get_event("req_1").model == "gpt-99"


class AsInTheSeedDocument(StorageBackend):
    """A backend with the three methods as they are written there: no option, and it keeps all that it is given."""

    def __init__(self):
        self.events = []

    def save_event(self, event):
        self.events.append(event)

    def query_events(self, filters, start_time, end_time):
        from tc_core.costs.plain_totals import value_of

        wanted = (filters or {}).items()
        return [event for event in self.events if all(value_of(event, name) == value for name, value in wanted)]

    def aggregate(self, metric, group_by, filters):
        return {}


def test_the_plainest_backend_counts_each_call_once():
    tracker = CostTracker(AsInTheSeedDocument())
    for _ in range(2):
        assert tracker.track_call("gpt-4o", 1000, 0, event_id="req_1").event_id == "req_1"
    with pytest.raises(ValueError, match="'req_1' is already recorded with other facts"):
        tracker.track_call("gpt-4o", 1001, 0, event_id="req_1")
    assert len(tracker.storage.events) == 1
    recorder = recorder_for(tracker.storage)
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "hello there")])
    recorder.finish("k", output=[Segment("ai", "text", "hi")])
    assert tracker.get_costs().estimated_calls == 1
    recorder.finish("k", usage=Usage(2000, 0))  # the provider's own figures come later
    report = tracker.get_costs(group_by=["model"])
    assert (report.total_calls, report.input_tokens, report.estimated_calls) == (2, 3000, 0)


def test_a_backend_of_ones_own_means_by_a_name_what_sql_means():
    columns = {"cost": "high", "timestamp": "early", "input_tokens": "many", "depth": "great", "is_call": "no"}
    plain, store = CostTracker(ThreeMethods()), CostTracker(InMemoryStorage())
    with labels(**columns, agent_id="a"):
        for tracker in (plain, store):
            tracker.track_call("gpt-4o", 1000, 0, provider="openai")
    for name in (*FIELDS - {"event_id", "root_id"}, *columns, "labels.agent_id", "labels.cost", "day"):
        found = [tracker.get_costs(group_by=[name]).groups[0].key for tracker in (plain, store)]
        assert found[0] == found[1], name
    assert set(INTERNED) | {"event_id", "parent_id", "root_id"} == FIELDS


@pytest.mark.swallows
def test_a_backend_of_ones_own_that_fails_stops_nobody():
    class Broken(ThreeMethods):
        def save_event(self, event):
            raise RuntimeError("no")

    tracker = CostTracker(Broken())
    tracker.track_call("gpt-4o", 1, 1)
    assert tracker.get_costs().total_calls == 0
    assert faults.counts


# Fork


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_records_too_and_nothing_comes_twice(in_a_child):
    tracker = CostTracker("costs.db")
    tracker.track_call("gpt-4o", 1, 1, who="parent before")

    def child():
        for _ in range(10):
            tracker.track_call("gpt-4o", 1, 1, who="child")
        assert tracker.get_costs(filters={"who": "child"}).total_calls == 10
        tracker.track_call("gpt-4o", 1, 1, who="child at its end")

    assert in_a_child(child) == 0
    tracker.track_call("gpt-4o", 1, 1, who="parent after")
    found = {group.key["who"]: group.calls for group in tracker.get_costs(group_by=["who"]).groups}
    assert found == {"parent before": 1, "child": 10, "child at its end": 1, "parent after": 1}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_at_any_moment_is_safe(in_a_child):
    tracker, stop = CostTracker("costs.db"), threading.Event()

    def work(name):
        while not stop.is_set():
            tracker.track_call("gpt-4o", 1, 1, who=name)

    threads = [threading.Thread(target=work, args=(f"thread {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(20):
            assert in_a_child(lambda n=n: tracker.track_call("gpt-4o", 1, 1, who=f"child {n}")) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = {group.key["who"]: group.calls for group in tracker.get_costs(group_by=["who"]).groups}
    assert {name: calls for name, calls in found.items() if name.startswith("child")} == {
        f"child {n}": 1 for n in range(20)
    }


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_memory_store_is_empty_in_a_child(in_a_child):
    tracker = CostTracker(InMemoryStorage())
    tracker.track_call("gpt-4o", 1, 1)

    def child():
        assert tracker.get_costs().total_calls == 0
        tracker.track_call("gpt-4o", 1, 1)
        assert tracker.get_costs().total_calls == 1

    assert in_a_child(child) == 0
    assert tracker.get_costs().total_calls == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_run_that_was_open_at_the_fork_is_the_parents_alone(in_a_child):
    store = SQLiteStorage("costs.db")
    with workflow("both", storage=store) as run:
        CostTracker(store).track_call("gpt-4o", 1, 1)
        store.flush()
        assert in_a_child(lambda: CostTracker(store).track_call("gpt-4o", 1, 1, parent_id=run.event_id)) == 0
    events, _ = store.tree(run.event_id)
    assert [(event.event_type, event.status) for event in events] == [
        ("workflow", "ok"),
        ("llm_call", "ok"),
        ("llm_call", "ok"),
    ]


# Processes


PROGRAM = """
import sys, tc_core
tracker = tc_core.CostTracker("costs.db")
for n in range(int(sys.argv[2])):
    tracker.track_call("gpt-4o", 1000, 0, worker=sys.argv[1])
    if n % 50 == 0:
        tracker.get_costs()
"""


def test_four_processes_on_one_file_lose_nothing(run_python):
    failures = []

    def work(name):
        try:
            run_python(PROGRAM, name, 200)
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    report = CostTracker("costs.db").get_costs(group_by=["worker"])
    assert (report.total_calls, report.total_cost) == (800, 2.0)
    assert {group.calls for group in report.groups} == {200}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_lose_nothing(run_python, method, tmp_path):
    # Its children end without atexit: what they recorded last is in the spool alone.
    (tmp_path / "program.py").write_text(
        "import multiprocessing, sys, tc_core\n"
        "def work(n):\n"
        "    tc_core.CostTracker('costs.db').track_call('gpt-4o', 1000, 0, n=n)\n"
        "if __name__ == '__main__':\n"
        "    tc_core.CostTracker('costs.db').track_call('gpt-4o', 1000, 0, n='main')\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    with context.Pool(3) as pool: pool.map(work, range(20))\n"
        "    for n in range(3):\n"
        "        process = context.Process(target=work, args=(f'single {n}',)); process.start(); process.join()\n"
    )
    run_python("import runpy, sys; runpy.run_path('program.py', run_name='__main__')", method)
    assert CostTracker("costs.db").get_costs().total_calls == 24


def test_a_process_that_ends_leaves_one_file(run_python, tmp_path):
    run_python(PROGRAM, "x", 5)
    assert os.listdir(tmp_path) == ["costs.db"]


def test_no_thread_and_no_file_before_the_first_event(tmp_path):
    before = threading.active_count()
    recorder_for(InMemoryStorage())
    recorder_for("costs.db")
    assert threading.active_count() <= before
    assert not (tmp_path / "costs.db.spool").exists()


def test_flush_reports_what_it_could_not_write(tmp_path, monkeypatch):
    import sqlite3

    from tc_core.store.engine import sqlite

    monkeypatch.setattr(faults, "strict", False)
    tracker = CostTracker("costs.db")
    blocker = sqlite3.connect("costs.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    tracker.track_call("gpt-4o", 1, 1)
    monkeypatch.setattr(sqlite.in_turn, "stop", lambda state: True)
    assert not flush(timeout=0.5)
    blocker.execute("ROLLBACK")
    blocker.close()
    monkeypatch.undo()
    assert flush()
    assert tracker.get_costs().total_calls == 1
    faults.after_fork()


def test_what_users_call_raises_and_does_not_swallow():
    tracker = CostTracker(InMemoryStorage())
    with pytest.raises(ValueError, match="input_tokens"):
        tracker.track_call("gpt-4o", -1, 0)
    with pytest.raises(ValueError, match="status"):
        tracker.track_call("gpt-4o", 1, 0, status="fine")
    assert recorders.flush()
    assert tracker.get_costs().total_calls == 0
    assert isinstance(TrackingEvent(), TrackingEvent)


LOADING = """
import os, signal, sys, threading, time
from tc_core import CostTracker
tracker = CostTracker("costs.db")
threading.Thread(target=tracker.track_call, args=("gpt-4o", 1, 1), daemon=True).start()
while "genai_prices.data" not in sys.modules:
    time.sleep(0.0005)
child = os.fork()
if child == 0:
    signal.alarm(20)
    tracker.track_call("gpt-4o", 1, 1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_child_does_not_wait_for_what_a_thread_of_its_parent_was_importing(run_python):
    run_python(LOADING)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_others_read_and_write_hangs_no_child(tmp_path, in_a_child):
    tracker, stop = CostTracker(tmp_path / "s.db"), threading.Event()
    tracker.track_call("gpt-4o", 1, 1)

    def write():
        while not stop.wait(0.0005):
            tracker.track_call("gpt-4o", 1, 1)

    def read():
        while not stop.is_set():
            tracker.get_costs(group_by=["model"])

    def work():
        tracker.track_call("gpt-4o", 1, 1, child="yes")
        tracker.get_costs()

    threads = [threading.Thread(target=each) for each in (write, read, read, read)]
    for thread in threads:
        thread.start()
    try:
        children = 60
        for _ in range(children):
            assert in_a_child(work) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert tracker.get_costs(filters={"child": "yes"}).total_calls == children


def test_a_backend_that_is_away_gets_its_events_later():
    class Backend(StorageBackend):
        def __init__(self):
            self.saved, self.failures = [], 2

        def save_event(self, event):
            if self.failures:
                self.failures -= 1
                raise ConnectionError("away")
            self.saved.append(event)

        def query_events(self, *_arguments, **_options):
            return list(self.saved)

        def aggregate(self, *_arguments, **_options):
            return {}

    backend = Backend()
    faults.strict = False
    CostTracker(backend).track_call("gpt-4o", 1, 1)
    recorder = recorders.recorder_for(backend)
    deadline = time.monotonic() + 20
    while not backend.saved and time.monotonic() < deadline:
        recorder.drain()
    assert [event.model for event in backend.saved] == ["gpt-4o"]
    faults.after_fork()


def test_metadata_is_what_it_was_when_the_call_was_tracked():
    tracker, metadata = CostTracker("memory"), {"step": {"n": 0}}
    for number in range(3):
        metadata["step"]["n"] = number
        tracker.track_call("gpt-4o", 1, 1, metadata=metadata)
    assert [event.metadata["step"]["n"] for event in tracker.storage.query_events()] == [0, 1, 2]
