"""A PostgreSQL server goes away under load: what its absence costs the host, and that nothing is lost.

Threads record at a steady rate while the server is stopped as if it crashed, stays away, and is started again. What
hooks take is measured before, during and after; at last every call whose end hook returned must be in the store once.

    python -m benchmarks.outage [--seconds N] [--rate N] [--json]
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.common import percentile, show
from benchmarks.servers import OwnServer
from tc_core import PostgreSQLStorage, Usage
from tc_core.record.recorder import Recorder
from tc_core.runtime.recorders import recorder_for

THREADS = 4
PHASES = ("before", "away", "after")


class Load:
    """Threads that record calls at a steady rate, and note how long the hooks of each took."""

    def __init__(self, recorder: Recorder, rate: float) -> None:
        self.took_us: dict[str, list[float]] = {phase: [] for phase in PHASES}
        self.phase = PHASES[0]
        self._recorder = recorder
        self._pause = THREADS / rate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(place,)) for place in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> int:
        """Stop, and return how many calls have ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return sum(map(len, self.took_us.values()))

    def _work(self, place: int) -> None:
        number, usage = 0, Usage(1000, 100)
        while not self._stop.wait(self._pause):
            number += 1
            began = time.perf_counter_ns()
            self._recorder.start("llm_call", key=(place, number), model="gpt-4o", labels={"user": str(number % 50)})
            self._recorder.finish((place, number), usage=usage)
            self.took_us[self.phase].append((time.perf_counter_ns() - began) / 1000)


def measure(seconds: float, rate: float) -> dict[str, Any]:
    """Run it; the server is away for so many seconds, and there for a third as long before and after."""
    os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="tc-outage-")  # the spool of a server lies there
    server = OwnServer(flushes=True)
    store = PostgreSQLStorage(server.new_database())
    recorder = recorder_for(store)
    spool = recorder.writer.spool
    assert spool is not None
    load = Load(recorder, rate)
    time.sleep(seconds / 3)
    load.phase = "away"
    server.stop("immediate")
    time.sleep(seconds)
    waiting = spool.uncommitted_bytes
    server.start()
    load.phase = "after"
    back = time.perf_counter()
    while spool.uncommitted_bytes > waiting / seconds:  # as much as a second of the load, which goes on
        time.sleep(0.01)
    caught_up_s = time.perf_counter() - back
    time.sleep(max(0.0, seconds / 3 - caught_up_s))
    ended = load.end()
    while not recorder.drain():
        time.sleep(0.05)
    found = store.totals()[()].calls
    store.close()
    server.close()
    rows = [
        {
            "server": phase,
            "calls": len(took),
            "hooks_p50_us": percentile(took, 0.5),
            "hooks_p99_us": percentile(took, 0.99),
            "to_before": percentile(took, 0.5) / percentile(load.took_us["before"], 0.5),
        }
        for phase, took in load.took_us.items()
    ]
    return {
        "seconds_away": seconds,
        "ended": ended,
        "found": found,
        "lost": ended - found,
        "spooled_bytes": waiting,
        "caught_up_s": caught_up_s,
        "phases": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long the server is away")
    parser.add_argument("--rate", type=float, default=500, help="calls a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = measure(options.seconds, options.rate)
    show(result, result["phases"], as_json=options.json)
    if not options.json:
        print(f"\n{result['ended']:,} calls ended, {result['lost']} lost; {result['caught_up_s']:.1f} s to catch up.")


if __name__ == "__main__":
    main()
