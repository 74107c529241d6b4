"""Several processes write into one store at once: how many events a second come in, all together.

Each process has its own spool and its own short transactions, and starts at the same moment. With SQLite the other
way is measured beside it: one elected writer, while the others only spool. It can be no faster than one process that
writes what all have spooled, which is what is timed. With PostgreSQL each process is a host of its own.

    python -m benchmarks.processes [--events N] [--processes 1,2,4,8] [--storage sqlite|postgresql] [--json]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show, timed
from benchmarks.servers import running
from benchmarks.stores import MOST_QUEUED, Recording
from benchmarks.traffic import Traffic
from tc_core import create_storage
from tc_core.store.sql import SqlStore

DENSITY = 1_000_000  # events in as many days as those of a store of this size
BATCHES = 10


def run(events: int, processes: list[int], storage: str, folder: Path) -> dict[str, Any]:
    """Measure each number of processes; each writes `events`."""
    rows = []
    with ExitStack() as stack:
        server = stack.enter_context(running()) if storage == "postgresql" else None
        for count in processes:
            here = folder / str(count)
            here.mkdir()
            url = str(here / "store.db") if server is None else server.new_database()
            _open(url).close()
            row = _together(url, count, events, here)
            if server is None:
                row["elected_per_s"] = _elected(here, count, events)
            rows.append(row)
    for row in rows:
        row["to_one"] = row["events_per_s"] / rows[0]["events_per_s"]
    return {"benchmark": "processes", "storage": storage, "events": events, "rows": rows}


def _together(url: str, count: int, events: int, folder: Path) -> dict[str, Any]:
    writers = [_Child("write", url, number, events, folder) for number in range(count)]
    for writer in writers:
        writer.wait_until_ready()
    took = timed(partial(_let_go, writers))
    with _open(url) as store:
        found = store.size()["events"]
    if found < count * events:  # parents that are open come on top
        raise AssertionError(f"{found:,} of {count * events:,} events are there")
    waits = [float(line) for writer in writers for line in writer.said]
    return {
        "processes": count,
        "events_per_s": found / took.wall_s,
        "batch_p50_ms": median(waits),
        "batch_max_ms": max(waits),
    }


def _let_go(writers: list["_Child"]) -> None:
    for writer in writers:
        writer.go()
    for writer in writers:
        writer.end()


def _elected(folder: Path, count: int, events: int) -> float:
    """Return how many events a second one process writes that all have spooled."""
    path = folder / "elected.db"
    _open(str(path)).close()
    for number in range(count):
        spooling = _Child("spool", str(path), number, events, folder)
        spooling.wait_until_ready()
        spooling.go()
        spooling.end()
    took = timed(lambda: _open(str(path)).size())
    with _open(str(path)) as store:
        return float(store.size()["events"] / took.wall_s)


class _Child:
    """A process that is ready, goes when it is told to, and says how long each batch took (ms)."""

    def __init__(self, mode: str, url: str, number: int, events: int, folder: Path) -> None:
        arguments = [sys.executable, "-m", "benchmarks.processes", "--child", mode, url, str(number), str(events)]
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_DATA_HOME": str(folder / f"host{number}")},
        )
        self.said: list[str] = []

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("a process did not come up")

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def end(self) -> None:
        said, _ = self._process.communicate()
        self.said = said.split()
        if self._process.returncode:
            raise RuntimeError("a process failed")


def _child(mode: str, url: str, number: int, events: int) -> None:
    calls = list(islice(Traffic(DENSITY, seed=number).calls(), events))
    store = _open(url)
    folder = Path(f"{url}.spool") if store.path is not None else Path(os.environ["XDG_DATA_HOME"]) / "spool"
    folder.parent.mkdir(parents=True, exist_ok=True)
    recording = Recording(store.sink, folder)
    print("ready", flush=True)
    sys.stdin.readline()
    size = min(MOST_QUEUED, -(-events // BATCHES))
    for start in range(0, events, size):
        began = time.perf_counter()
        recording.queue(calls[start : start + size])
        if mode == "write":
            recording.drain()
            print((time.perf_counter() - began) * 1000)
    if mode == "write":
        recording.close()
    sys.stdout.flush()
    os._exit(0)  # what only spools leaves its files to the next


def _open(url: str) -> SqlStore:
    store = create_storage(url)
    assert isinstance(store, SqlStore)
    return store


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"events/s into {result['storage']}, {row['processes']} processes",
            "",
            f"{row['events_per_s']:,.0f}",
            row["to_one"],
        )
        for row in result["rows"]
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="of each process")
    parser.add_argument("--processes", default="1,2,4,8")
    parser.add_argument("--storage", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        mode, url, number, events = options.child
        _child(mode, url, int(number), int(events))
    with tempfile.TemporaryDirectory() as folder:
        counts = [int(count) for count in options.processes.split(",")]
        result = run(options.events, counts, options.storage, Path(folder))
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
