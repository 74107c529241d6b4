"""How long the questions about costs take: common ones from sums, the others from rows.

The store is filled as a recorder fills it, with the traffic of `benchmarks.traffic`; its 90 days are asked as a whole,
and two weeks of them are compared. Processor time, median of rounds. What is read from rows has no aim: it says what it
costs.

    python -m benchmarks.reports [--events N] [--rounds N] [--json]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show, spread
from benchmarks.stores import fill, opened
from benchmarks.traffic import Traffic
from tc_core.costs.tracker import CostTracker

COMMON_AIM_MS = 5.0
FIRST = (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC))
SECOND = (datetime(2026, 6, 8, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=UTC))


def questions(tracker: CostTracker) -> dict[str, tuple[str, Callable[[], object]]]:
    """Return what is asked, by name: its kind, and how."""
    ask = tracker.get_costs
    return {
        "by model": ("common", lambda: ask(group_by=["model"])),
        "by agent and model, the top 5": ("common", lambda: ask(group_by=["agent_id", "model"], top=5)),
        "by day, of a week": ("common", lambda: ask(*FIRST, group_by=["day"])),
        "by week": ("common", lambda: ask(group_by=["week"])),
        "models that begin with gpt-4o": ("common", lambda: ask(group_by=["model"], filters={"model": "gpt-4o*"})),
        "by month in Berlin": ("common", lambda: ask(group_by=["month"], tz="Europe/Berlin")),
        "a week, per session": ("rows", lambda: ask(*FIRST, per="session")),
        "a week, percentiles by agent": ("rows", lambda: ask(*FIRST, group_by=["agent_id"], percentiles=[50, 95])),
        "a week, by tool": ("rows", lambda: ask(*FIRST, group_by=["tool"])),
        "a week, by workflow": ("rows", lambda: ask(*FIRST, group_by=["workflow"])),
        "two weeks compared by agent": ("rows", lambda: tracker.compare(FIRST, SECOND, by=["agent_id"])),
        "recommendations, of a week": (
            "rows",
            lambda: tracker.get_recommendations(start_date=FIRST[0], end_date=FIRST[1]),
        ),
    }


def run(events: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Fill a store and ask it."""
    with opened("sqlite", folder) as store:
        for _ in fill(store, Traffic(events).calls(), events, folder / "spool"):
            pass
        asked = questions(CostTracker(store))
        times: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            for name, (_, ask) in asked.items():
                took = _milliseconds(ask)
                if number:  # the first round finds the caches cold
                    times.setdefault(name, []).append(took)
    rows = [
        {"question": name, "kind": asked[name][0], "ms": median(each), "min..max": spread(each)}
        for name, each in times.items()
    ]
    return {"benchmark": "reports", "events": events, "rows": rows}


def _milliseconds(ask: Callable[[], object]) -> float:
    began = time.process_time_ns()
    ask()
    return (time.process_time_ns() - began) / 1e6


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"costs {row['question']}, {result['events']:,} events",
            f"{COMMON_AIM_MS:g} ms" if row["kind"] == "common" else "",
            f"{row['ms']:.1f} ms",
        )
        for row in result["rows"]
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.events, options.rounds, Path(folder))
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
