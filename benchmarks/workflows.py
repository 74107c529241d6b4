"""Workflows: what an agent's block costs the program, and how long an answer about a run takes.

The run that is asked about has agents whose prompts grow, as those of tool-calling agents do, in a store with many
other runs; two runs like it come before it. All is processor time, of all threads.

    python -m benchmarks.workflows [--calls N] [--runs N] [--json]
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show, timed
from tc_core import SQLiteStorage, WorkflowTracker, flush
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

AGENTS = 10
TIMES = 5
BLOCKS = 500


def run(folder: Path, calls: int, runs: int) -> dict[str, Any]:
    """Measure in a store of its own."""
    rows = []
    with SQLiteStorage(folder / "workflows.db") as store:
        tracker = WorkflowTracker("bench", store)
        rows.append({"what": "block", "us": _block_us(tracker)})
        for number in range(runs):
            with tracker:
                with tracker.track_agent("worker") as worker:
                    worker.track_call("gpt-4o", 1000 + number, 10)
                tracker.outcome(success=number % 3 > 0)
        for _ in range(3):
            with tracker:
                _grow(tracker, calls)
        flush(60)
        wait_for_parts(store, 60)
        questions: Mapping[str, Callable[[], object]] = {
            "analyze": tracker.analyze,
            "suggest_optimizations": tracker.suggest_optimizations,
            "visualize": tracker.visualize,
            "distribution": lambda: tracker.distribution(limit=runs),
        }
        for name, ask in questions.items():
            ask()
            rows.append({"what": name, "ms": 1000 * median([timed(ask).cpu_s for _ in range(TIMES)])})
    return {"benchmark": "workflows", "calls": calls, "runs": runs, "rows": rows}


def _block_us(tracker: WorkflowTracker) -> float:
    """Return what entering and leaving an agent's block takes, in microseconds."""

    def blocks() -> None:
        for _ in range(BLOCKS):
            with tracker.track_agent("worker"):
                pass

    with tracker:
        blocks()
        flush(60)
        return 1e6 * median([timed(blocks).cpu_s for _ in range(TIMES)]) / BLOCKS


def _grow(tracker: WorkflowTracker, calls: int) -> None:
    """Record a run of so many calls of ten agents, each of which goes on from its last."""
    recorder = recorder_for(tracker.storage)
    for agent in range(AGENTS):
        with tracker.track_agent(f"agent {agent}"):
            prompt = [Segment("system", "text", f"You are agent {agent}. " * 50)]
            for number in range(calls // AGENTS):
                key = object()
                prompt = [*prompt, Segment("user", "text", f"Question {number} of agent {agent}, in some words. " * 5)]
                recorder.start("llm_call", key=key, model="gpt-4o", content=prompt)
                answer = Segment("assistant", "text", f"Answer {number} of agent {agent}, in some words. " * 5)
                recorder.finish(key, usage=Usage(300 + 100 * number, 50), output=[answer])
                prompt = [*prompt, answer]


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    found = []
    for row in result["rows"]:
        if "us" in row:
            found.append(Figure("an agent's block, entered and left", "<= 100 us", f"{row['us']:.0f} us"))
        elif row["what"] == "distribution":
            found.append(Figure(f"distribution over {result['runs']:,} runs", "<= 100 ms", f"{row['ms']:.0f} ms"))
        else:
            found.append(
                Figure(f"{row['what']}, a run of {result['calls']:,} calls", "<= 500 ms", f"{row['ms']:.0f} ms")
            )
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000, help="model calls of the run that is asked about")
    parser.add_argument("--runs", type=int, default=1000, help="other runs in the store")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.calls, options.runs)
    show(result, [figure.to_dict() for figure in figures(result)], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
