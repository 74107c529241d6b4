"""What policies cost the caller's thread: nothing where none is on, and a little for each kind that is.

`call` is what a hook does for a recorded call, beginning and end, with the question whether a part wants to be asked;
`off` in a program that lets no calls be changed, `none` in one that does while no policy is on. Then one policy of each
kind is on, and `admit` is what asking about a request takes, for prompts of 1 and 30 messages. Rounds of all cases
alternate, and the median of their ratios counts, so that a busy machine hurts all alike.

    python -m benchmarks.policies [--calls N] [--rounds N] [--json]
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show
from tc_core import Policy, PolicyManager, SQLiteStorage
from tc_core.model import ids
from tc_core.model.part import Request
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.record.recorder import Recorder
from tc_core.runtime.recorders import recorder_for
from tc_core.selection.policies.live import live_of

MESSAGES = (1, 30)
POLICIES = {
    "route": Policy(name="p", kind="route", model="gpt-4o", to="gpt-4o-mini"),
    "trim": Policy(name="p", kind="trim", at=0.5),
    "cache": Policy(name="p", kind="cache"),
    "loop": Policy(name="p", kind="loop"),
}


def prompt(messages: int) -> list[Segment]:
    """Return a conversation with a system prompt, and a tool that was asked at each second turn."""
    found = [Segment("system", "text", "You plan short trips. " * 40)]
    for number in range(messages):
        found.append(Segment("user", "text", f"{number}: to Lisbon, in March. " * 10))
        if number % 2:
            found.append(Segment("ai", "tool_call", ["search_flights", {"day": number}]))
            found.append(Segment("tool", "tool_result", f"flight {number}, 97 euros; " * 30))
    return found


def call_us(recorder: Recorder, calls: int) -> float:
    """Return how much of its thread's own time a recorded call takes, in microseconds."""
    began = time.thread_time_ns()
    for _ in range(calls):
        key = ids.new_id()
        if recorder.wants_to_admit:
            recorder.admit(Request("gpt-4o", "openai", event_id=key))
        recorder.start("llm_call", key=key, event_id=key, model="gpt-4o", provider="openai")
        recorder.finish(key, usage=Usage(400, 30))
    return (time.thread_time_ns() - began) / calls / 1000


def admit_us(recorder: Recorder, content: list[Segment], calls: int) -> float:
    """Return how long asking about a request takes, in microseconds."""
    root, took = ids.new_id(), 0
    for _ in range(calls):
        request = Request(
            "gpt-4o",
            "openai",
            content=content,
            event_id=ids.new_id(),
            root_id=root,
            can_swap=True,
            can_answer=True,
            can_shorten=True,
            temperature=0.0,
            setup=lambda: "the same",
        )
        began = time.perf_counter_ns()
        recorder.admit(request)
        took += time.perf_counter_ns() - began
    return took / calls / 1000


def measure(calls: int, rounds: int) -> list[dict[str, Any]]:
    """Measure all cases in turns."""
    with tempfile.TemporaryDirectory() as folder, SQLiteStorage(Path(folder) / "s.db") as store:
        recorder, manager, live = recorder_for(store), PolicyManager(store), live_of(store)
        taken: dict[str, list[float]] = {"off": [], "none": []}
        for number in range(rounds):
            for case in ("off", "none") if number % 2 else ("none", "off"):
                live.enforce(case == "none")
                taken[case].append(call_us(recorder, calls))
                store.flush()
        rows: list[dict[str, Any]] = [
            {
                "case": "a recorded call, no policy",
                "us": round(median(taken["none"]), 2),
                "ratio": round(median([b / a for a, b in zip(taken["off"], taken["none"], strict=True)]), 3),
            }
        ]
        live.enforce(True)
        for kind, policy in POLICIES.items():
            manager.apply(policy)
            for messages in MESSAGES:
                content = prompt(messages)
                took = median([admit_us(recorder, content, max(1, calls // 10)) for _ in range(rounds)])
                rows.append({"case": f"asked about {kind}, {messages} messages", "us": round(took, 2), "ratio": None})
            manager.undo("p")
    return rows


def figures(result: dict[str, Any]) -> Iterator[Figure]:
    """Yield what is aimed at beside what was measured."""
    yield Figure("a recorded call where no policy is on", "1.00 x", f"{result['rows'][0]['ratio']} x")
    dearest = max(result["rows"][1:], key=lambda row: row["us"])
    yield Figure("asking policies about a call", "0.3 ms", f"{dearest['us'] / 1000:.2f} ms ({dearest['case']})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = measure(options.calls, options.rounds)
    show({"benchmark": "policies", "rows": rows}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
