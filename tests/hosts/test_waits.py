"""Programs beside a process that holds the store's file locked: what they wait for ends, and nothing is lost."""

import pytest

HEAD = """
import os, subprocess, sys, time
PROGRAM = '''
import os, sys, time, tc_core
tracker = tc_core.CostTracker("s.db")
tracker.track_call("gpt-4o", 1, 2); tc_core.flush(); print("ready", flush=True); input()
tracker.track_call("gpt-4o", 1, 2)
began = time.monotonic()
{work}
print(time.monotonic() - began, flush=True)
'''
HOLDER = '''
import sqlite3, time
connection = sqlite3.connect("s.db", isolation_level=None); connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True); time.sleep(60)
'''
program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
program.stdout.readline()
holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
holder.stdout.readline()
program.stdin.write("go\\n"); program.stdin.flush()
took = float(program.stdout.readline()); began = time.monotonic(); program.wait(); end = time.monotonic() - began
holder.kill(); holder.wait()
import tc_core
assert tc_core.CostTracker("s.db").get_costs().total_calls == 2
print(took, end)
"""

WORK = {
    "nothing": ("", 0.1),
    "a question": ("tracker.get_costs()", 5.5),
    "a fork": ("time.sleep(0.3); began = time.monotonic(); pid = os.fork()\nif not pid: os._exit(0)", 0.25),
}


@pytest.mark.parametrize("work", WORK)
def test_what_waits_for_a_lock_ends(run_python, work):
    code, most = WORK[work]
    took, end = map(float, run_python(HEAD.replace("{work}", code)).split())
    assert took < most
    assert end < 6
