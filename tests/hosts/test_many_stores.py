"""A store for each tenant: one that nobody uses keeps no thread and no descriptor."""

PROGRAM = """
import os, threading, time, tc_core
def kept(): return len(os.listdir("/proc/self/fd")), threading.active_count()
tc_core.CostTracker("first.db").track_call("gpt-4o", 1, 2); tc_core.flush()
trackers = [tc_core.CostTracker(f"{number}.db") for number in range(60)]
for turn in (1, 2):
    for tracker in trackers: tracker.track_call("gpt-4o", 1, 2)
    if turn == 2:
        for tracker in trackers[:5]: assert tracker.get_costs().total_calls == 2
    tc_core.flush()
    deadline = time.monotonic() + 8
    while (kept()[0] > 20 or kept()[1] > 2) and time.monotonic() < deadline: time.sleep(0.1)
    assert kept()[0] <= 20 and kept()[1] <= 2, (turn, kept(), [t.name for t in threading.enumerate()][:5])
for tracker in trackers: assert tracker.get_costs().total_calls == 2
"""


def test_sixty_stores_that_rest_keep_nothing_and_go_on(run_python):
    run_python(PROGRAM)
