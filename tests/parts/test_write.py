"""A part's `write` keeps a table equal to a sum over events, whatever happens to the processes that write it."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

COMMON = """
import os, sys, threading, time, random, json
from tests.parts import sums_part
from tests.told import wait_until_told
sums_part.install()
from tc_core import CostTracker, StoreKeeper, TrackingEvent, Usage, create_storage
from tc_core.runtime.recorders import recorder_for

store = create_storage(sys.argv[1])
tracker, recorder = CostTracker(store), recorder_for(store)

def record(count, seed):
    "Record calls of all kinds: nested, failed, given up and ended late, cancelled and ended well, without a price."
    chance = random.Random(seed)
    for n in range(count):
        key, agent = (seed, n), f"a{chance.randrange(4)}"
        recorder.start("agent", key=(key, "agent"), labels={"agent_id": agent})
        model = chance.choice(["gpt-4o", "gpt-4o-mini", "unheard-of"])
        recorder.start("llm_call", key=key, parent=(key, "agent"), model=model)
        end = chance.randrange(4)
        if end == 0:
            recorder.fail(key, status="cancelled", error_type="CancelledError")
            if chance.random() < 0.5:
                recorder.drain()
            recorder.finish(key, usage=Usage(100 + n, 5))
        elif end == 1:
            recorder.fail(key, error_type="TimeoutError")
        else:
            recorder.finish(key, usage=Usage(1000, 10))
        recorder.finish((key, "agent"))
        if not n % 40:
            tracker.track_call("gpt-4o", 7, 1, agent_id=agent)
"""

WORK = """
record(int(sys.argv[3]), int(sys.argv[2]))
if sys.argv[4] == "killed":
    wait_until_told(recorder, recorder.start("llm_call", key="left open", model="gpt-4o", labels={"agent_id": "a0"}))
    os.kill(os.getpid(), 9)
if sys.argv[4] == "forks":
    child = os.fork()
    record(60, 1000 + int(sys.argv[2]))
    if not child:
        os._exit(0)  # what it has not written is in its spool
    os.waitpid(child, 0)
if sys.argv[4] == "reprices":
    for _ in range(5):
        list(store.reprice(lambda event: __import__("tc_core.model.ports", fromlist=["Priced"]).Priced(
            random.randrange(10**9), "own", None), unpriced_only=False))
if sys.argv[4] == "imports":
    StoreKeeper(store).import_events(sys.argv[5])
"""

CHECK = """
print(json.dumps([sorted(map(list, sums_part.differences(store))), store.aggregate("calls")[()]]))
print(json.dumps([finding.said for finding in StoreKeeper(store).check() if finding.state != "ok"]))
"""


def begin(program, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", COMMON + program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process, code=0):
    out, error = process.communicate(timeout=120)
    assert process.returncode == code, error
    return out


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    if request.param == "sqlite":
        yield str(tmp_path / "costs.db")
        return
    with request.getfixturevalue("postgresql").database() as url:
        yield url


def test_a_table_of_a_branch_is_the_sum_over_events_through_all_that_can_happen(address, tmp_path):
    lines = tmp_path / "more.jsonl"
    events = [{"event_id": f"e{n}", "timestamp": "2026-01-31T12:00:00Z", "event_type": "llm_call", "model": "gpt-4o",
               "input_tokens": n, "output_tokens": 1, "cost": 0.25, "agent_id": "a1"} for n in range(50)]  # fmt: skip
    lines.write_text("\n".join(map(json.dumps, events)))
    end(begin("", address))  # makes the tables
    ways = ["killed", "forks", "reprices", "imports", "killed", "ends"]
    running = [begin(WORK, address, seed, 120, way, lines) for seed, way in enumerate(ways)]
    for process, way in zip(running, ways, strict=True):
        end(process, code=-9 if way == "killed" else 0)
    differences, findings = end(begin(CHECK, address)).splitlines()
    wrong, calls = json.loads(differences)
    assert not wrong
    # 6 x 120 calls and 3 by hand in each, 2 x 60 and 2 x 2 of the fork and its parent, 50 imported, 2 left open
    assert calls == 6 * (120 + 3) + 2 * (60 + 2) + 50 + 2
    assert json.loads(findings) == []


def test_a_sum_that_is_booked_twice_would_be_seen(address):
    """The test above can fail: here a change is booked without what was there before."""
    program = """
whole = sums_part.write
def forgetful(transaction, changes):
    whole(transaction, [change._replace(before=None) for change in changes])
for part in __import__("tc_core.runtime.recorders", fromlist=["parts"]).parts(store):
    if part.name == "sums":
        part.write = forgetful
record(40, 1)
recorder.drain()
"""
    end(begin(program, address))
    wrong, _ = json.loads(end(begin(CHECK, address)).splitlines()[0])
    assert wrong
