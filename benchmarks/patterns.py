"""What the detectors find in 150 recorded runs of a tool-calling agent, and how fast; for reading them by eye.

The runs lie beside the repository, in ../shared/data/agent_trajectories.jsonl; without them there is nothing to look
at. Each is recorded as one run of a workflow: an assistant message is a call whose prompt is all before it, and each
tool it asks for an event. Times are made up (a call two seconds, a tool a fifth, a user twenty); tokens are counted.

python -m benchmarks.patterns [--json] [--runs N] [--read KIND [--most N]]
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, show
from benchmarks.provenance import RUNS, START_US, Message, as_segments, load
from tc_core import Pattern, ProvenanceAnalyzer, SQLiteStorage, flush
from tc_core.meter import tokens
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

CALL_US, TOOL_US, USER_US, BETWEEN_US = 2_000_000, 200_000, 20_000_000, 60_000_000
PER_SEGMENT = 4

Texts = dict[str, tuple[int, int, Message]]
"""Of each event its run, its place in it, and its message."""


def record(store: SQLiteStorage, runs: Sequence[Sequence[Message]]) -> Texts:
    """Record all runs one after another; return which message each event is."""
    recorder, texts, at_us = recorder_for(store), Texts(), START_US
    for number, messages in enumerate(runs):
        key = object()
        root = recorder.start("workflow", key=key, name="airline", labels={"workflow_id": "airline"}, at_us=at_us)
        texts[root] = (number, 0, messages[0])
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                event_id, at_us = _call(recorder, key, messages, place, at_us)
            elif message["role"] == "tool":
                event_id, at_us = _tool(recorder, key, message, at_us)
            else:
                at_us += USER_US
                continue
            texts[event_id] = (number, place, message)
        recorder.finish(key, at_us=at_us)
        at_us += BETWEEN_US
        if number % 20 == 19:
            flush(60)
    return texts


def _call(recorder: Any, run: object, messages: Sequence[Message], place: int, at_us: int) -> tuple[str, int]:
    prompt, answer = as_segments(messages[:place]), as_segments([messages[place]])
    key = object()
    id_ = recorder.start("llm_call", key=key, parent=run, model="gpt-4o", content=prompt, at_us=at_us)
    usage = Usage(_weight(prompt), _weight(answer))
    recorder.finish(key, usage=usage, output=answer, at_us=at_us + CALL_US)
    return id_, at_us + CALL_US


def _tool(recorder: Any, run: object, message: Message, at_us: int) -> tuple[str, int]:
    key = object()
    id_ = recorder.start("tool", key=key, parent=run, name=message.get("name"), at_us=at_us)
    recorder.finish(key, output=as_segments([message]), at_us=at_us + TOOL_US)
    return id_, at_us + TOOL_US


def _weight(parts: Sequence[Segment]) -> int:
    return sum(tokens.count(str(part.body), "gpt-4o", corrects=False).tokens + PER_SEGMENT for part in parts)


def read(found: Sequence[Pattern], texts: Texts, most: int) -> None:
    """Print findings with what was said, for a person to judge."""
    for each in found[:most]:
        print(f"\n{each.kind}  {each.severity}  {each.wasted_cost}  {json.dumps(dict(each.evidence), default=str)}")
        for event_id in each.event_ids[:8]:
            number, place, message = texts[event_id]
            said = message.get("content") or ""
            calls = [
                f"{call['function']['name']}({call['function']['arguments']})"
                for call in message.get("tool_calls") or ()
            ]
            print(f"  run {number} message {place}: {' '.join([*calls, said])[:300]!r}")


def run(folder: Path, count: int | None) -> tuple[dict[str, Any], list[Pattern], Texts]:
    """Record, and ask for everything."""
    with SQLiteStorage(folder / "patterns.db") as store:
        texts = record(store, load(count))
        wait_for_parts(store, 120)
        began = time.perf_counter()
        waste = ProvenanceAnalyzer(store).waste()
        took = time.perf_counter() - began
    kinds = Counter(each.kind for each in waste.patterns)
    rows = [
        {
            "kind": kind,
            "findings": number,
            "events": sum(len(each.event_ids) for each in waste.patterns if each.kind == kind),
            "wasted": sum(each.wasted_cost or 0 for each in waste.patterns if each.kind == kind),
        }
        for kind, number in kinds.most_common()
    ]
    result = {
        "benchmark": "patterns",
        "events": len(texts),
        "seconds": took,
        "spent": (waste.spent_nanos or 0) / 1e9,
        "wasted": waste.wasted_nanos / 1e9,
        "rows": rows,
    }
    return result, list(waste.patterns), texts


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    if "events" not in result:
        return []
    rate = result["events"] / result["seconds"]
    return [Figure("patterns of 150 recorded runs, events/s", "", f"{rate:,.0f}")]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, help="only so many of the recorded runs")
    parser.add_argument("--read", metavar="KIND", help="print findings of this kind with what was said")
    parser.add_argument("--most", type=int, default=10)
    options = parser.parse_args(arguments)
    if not RUNS.exists():
        result: dict[str, Any] = {"benchmark": "patterns", "rows": []}
        print(json.dumps(result) if options.json else "skipped: ../shared/data/agent_trajectories.jsonl is not there")
        return result
    with tempfile.TemporaryDirectory() as folder:
        result, found, texts = run(Path(folder), options.runs)
    if options.read:
        read([each for each in found if each.kind == options.read], texts, options.most)
    else:
        show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
