"""Processes of all kinds on one store at once, some of which are killed: nothing is lost, nothing is there twice."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tc_core import create_storage
from tests.conftest import ROOT

COMMON = """
import os, sys, threading, time, uuid
from tc_core import CostTracker, Usage, create_storage
from tc_core.runtime.recorders import recorder_for

store = create_storage(sys.argv[1])
tracker, recorder = CostTracker(store), recorder_for(store)

def record(seconds):
    "Record calls; say of each that its end hook has returned. Ask now and then."
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        run, number = uuid.uuid4(), number + 1
        recorder.start("llm_call", key=run.bytes, event_id=run.bytes, model="gpt-4o", labels={"user": str(number % 5)})
        recorder.finish(run.bytes, usage=Usage(1000, 0))
        os.write(1, run.bytes)
        if not number % 50:
            tracker.get_costs(group_by=["user"])
        time.sleep(0.001)
"""

PREFORK = """
def fork():
    child = os.fork()
    if not child:
        record(60)
        os._exit(1)
    return child

tracker.get_costs()  # the master has used the store before it forks
workers = [fork() for _ in range(3)]
deadline = time.monotonic() + 2.5
while time.monotonic() < deadline:
    time.sleep(0.5)
    os.kill(workers[0], 9)
    os.waitpid(workers.pop(0), 0)
    workers.append(fork())
for worker in workers:
    os.kill(worker, 9)
    os.waitpid(worker, 0)
"""

THREADS = """
def work():
    record(2)
    for _ in range(2):
        tracker.track_call("gpt-4o", 1000, 0)

threads = [threading.Thread(target=work) for _ in range(50)]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
"""

SPAWNED = """
import multiprocessing
if __name__ == "__main__":
    record(1)
    child = multiprocessing.get_context("fork").Process(target=record, args=(1,))
    child.start()
    record(1)
    child.join()
    assert child.exitcode == 0
"""

KINDS = {"prefork": PREFORK, "threads": THREADS, "spawned": SPAWNED, "killed": "record(60)"}
COST_NANOS = 2_500_000  # 1,000 tokens of gpt-4o


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    if request.param == "sqlite":
        yield str(tmp_path / "shared.db")
    else:
        with request.getfixturevalue("postgresql").database() as url:
            yield url


def test_processes_of_all_kinds_lose_nothing_and_write_nothing_twice(where, tmp_path):
    running = {}
    for kind, program in KINDS.items():
        output = (tmp_path / kind).open("wb")
        command = [sys.executable, "-c", COMMON + program, where]
        running[kind] = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, cwd=ROOT)
        output.close()
    deadline = time.monotonic() + 60
    while (tmp_path / "killed").stat().st_size < 16 * 50 and time.monotonic() < deadline:
        time.sleep(random.uniform(0.05, 0.1))
    running["killed"].kill()
    errors = {kind: process.communicate(timeout=90)[1].decode() for kind, process in running.items()}
    assert {kind: process.returncode for kind, process in running.items()} == {
        "prefork": 0, "threads": 0, "spawned": 0, "killed": -signal.SIGKILL,
    }, errors  # fmt: skip
    assert "locked" not in "".join(errors.values())
    assert "Traceback" not in "".join(errors.values())
    told = {kind: (tmp_path / kind).read_bytes() for kind in KINDS}
    assert all(len(each) > 16 * 20 for each in told.values())
    ended = {content[at : at + 16].hex() for content in told.values() for at in range(0, len(content) // 16 * 16, 16)}
    with create_storage(where) as store:
        events = store.query_events({"status": "ok"})
        found = {event.event_id.replace("-", "") for event in events}
        assert len(found) == len(events)
        assert ended <= found
        total = store.totals()[()]
        assert total.cost_nanos == len(events) * COST_NANOS
        assert total.calls == len(events) + len(store.query_events({"status": "abandoned"}))
        assert sum(each.calls for each in store.totals(["user"]).values()) == total.calls
        assert store.faults() == {}
    assert os.listdir(tmp_path / "shared.db.spool") == [] if (tmp_path / "shared.db.spool").exists() else True
