"""How much memory events take in a memory store, or what a process keeps of those that a database has.

A fresh process records some events, so that everything is loaded, then the others; what it then takes more of the
machine's memory is theirs. Twice: recorded by `CostTracker.track_call` as a program does, and only saved. The baseline
is the same events as a list of `TrackingEvent`, which is what a store without a database would hold.

    python -m benchmarks.memory [--events N] [--storage memory|sqlite|postgresql] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import Any

from benchmarks.common import Figure, median, show
from benchmarks.servers import running
from benchmarks.stores import KINDS

CHILD = """
import gc, itertools, json, sys
from benchmarks.traffic import Traffic
from tc_core import CostTracker, create_storage

way, count = sys.argv[1], int(sys.argv[2])
store, kept = create_storage(sys.argv[3]), []
tracker = CostTracker(store)

def record(calls):
    for call in calls:
        event = call.record.to_event()
        if way == "recorded":
            tracker.track_call(
                event.model or "gpt-4o", event.input_tokens or 0, event.output_tokens or 0, timestamp=event.timestamp,
                latency_ms=event.latency_ms, agent_id=event.agent_id, session_id=event.session_id, **event.labels,
            )
        elif way == "saved":
            store.save_events([event])
        else:
            kept.append(event)
    store.flush()

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

calls = Traffic(1_000_000).calls()
record(itertools.islice(calls, 200))
made = itertools.islice(calls, count)
before = resident()
record(made)
print(resident() - before)
"""


WAYS = ("recorded", "saved", "as objects")


def run(events: int, rounds: int, storage: str) -> dict[str, Any]:
    """Measure in processes of their own, each with a new store."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(running()) if storage == "postgresql" else None
        for number, way in enumerate(WAYS * rounds):
            where = "memory" if storage == "memory" else f"{folder}/{number}.db"
            if server is not None:
                where = server.new_database()
            command = [sys.executable, "-c", CHILD, way, str(events), where]
            child = subprocess.run(command, check=True, capture_output=True, text=True)
            found.setdefault(way, []).append(json.loads(child.stdout) / 1e6)
    rows = [
        {
            "way": way,
            "MB": median(each),
            "bytes_per_event": median(each) * 1e6 / events,
            "of_objects": median(each) / median(found["as objects"]),
        }
        for way, each in found.items()
    ]
    return {"benchmark": "memory", "storage": storage, "events": events, "rows": rows}


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"memory, {result['events']:,} events {row['way']}", "5 MB", f"{row['MB']:.1f} MB", 1 / row["of_objects"]
        )
        for row in result["rows"]
        if row["way"] != "as objects"
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--storage", choices=KINDS, default="memory")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = run(options.events, options.rounds, options.storage)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
