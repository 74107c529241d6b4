"""What encryption at rest costs: writing, asking, opening and bytes, beside the same store without it.

Both kinds take turns in one run. Events go in by `save_events`, some hundred at a time; the question is the cost by
agent and model, read from rows of a label, so that pages are read; opening is that of a process that has not made its
key yet, with one small question.

python -m benchmarks.encrypted [--events N] [--rounds N] [--json]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show
from tc_core import SQLiteStorage, TrackingEvent
from tc_core.store.engine import driver

KEY = "benchmark"
BATCH = 500
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS: Mapping[str, str | None] = {"plain": None, "encrypted": KEY}


def measure(events: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each measure: both medians in milliseconds, or bytes, and the ratio."""
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for kind in list(KINDS) if number % 2 else list(KINDS)[::-1]:
            for what, value in _round(KINDS[kind], events).items():
                found.setdefault(what, {}).setdefault(kind, []).append(value)
    rows = []
    for what, by_kind in found.items():
        plain, encrypted = (median(by_kind[kind]) for kind in KINDS)
        rows.append({"what": what, "plain": plain, "encrypted": encrypted, "ratio": encrypted / plain})
    return rows


def _round(key: str | None, events: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "costs.db"
        batches = [_events(start, min(BATCH, events - start)) for start in range(0, events, BATCH)]
        with SQLiteStorage(path, key=key) as store:
            store.save_event(TrackingEvent(event_type="tool", timestamp=START))
            write = _milliseconds(lambda: [store.save_events(each) for each in batches])
            store.aggregate("cost", ["labels.user"])
            ask = _milliseconds(lambda: store.aggregate("cost", ["agent_id", "labels.user"]))
        driver._derived.cache_clear()
        opened: list[SQLiteStorage] = []

        def start() -> None:
            opened.append(SQLiteStorage(path, key=key))
            opened[0].totals()

        opening = _milliseconds(start)
        opened[0].close()
        return {"write ms": write, "ask ms": ask, "open ms": opening, "bytes": float(path.stat().st_size)}


def _events(start: int, count: int) -> list[TrackingEvent]:
    return [
        TrackingEvent(
            event_type="llm_call",
            timestamp=START + timedelta(seconds=number),
            model=("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5")[number % 3],
            input_tokens=1000 + number % 500,
            output_tokens=100,
            cost=0.003,
            agent_id=f"agent {number % 7}",
            labels={"user": f"user {number % 50}"},
        )
        for number in range(start, start + count)
    ]


def _milliseconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return (time.perf_counter() - start) * 1000


def figures(result: Mapping[str, Any]) -> Sequence[Figure]:
    """Return the lines of the table of all benchmarks."""
    return [
        Figure(f"encrypted at rest: {row['what'].split()[0]}", "reported", f"{row['ratio']:.2f} x the plain one")
        for row in result["rows"]
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure, and show what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = {"benchmark": "encrypted", "events": options.events, "rows": measure(options.events, options.rounds)}
    show(result, result["rows"], as_json=options.json)


if __name__ == "__main__":
    main()
