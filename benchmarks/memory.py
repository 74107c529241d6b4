"""How much memory events take in a memory store.

A fresh process records some events, so that everything is loaded, then the others; what it then takes more of the
machine's memory is theirs. Twice: recorded by `CostTracker.track_call` as a program does, and only saved. The baseline
is the same events as a list of `TrackingEvent`, which is what a store without a database would hold.

    python -m benchmarks.memory [--events N] [--json]
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from benchmarks.common import Figure, median, show

CHILD = """
import gc, itertools, json, sys
from benchmarks.traffic import Traffic
from tc_core import CostTracker, InMemoryStorage

way, count = sys.argv[1], int(sys.argv[2])
store, kept = InMemoryStorage(), []
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


def run(events: int, rounds: int) -> dict[str, Any]:
    """Measure in processes of their own."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for way in ("recorded", "saved", "as objects"):
            child = subprocess.run(
                [sys.executable, "-c", CHILD, way, str(events)], check=True, capture_output=True, text=True
            )
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
    return {"benchmark": "memory", "events": events, "rows": rows}


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
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = run(options.events, options.rounds)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
