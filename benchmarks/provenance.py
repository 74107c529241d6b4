"""What the ledger finds in prompts alone, on 150 recorded runs of a tool-calling agent replayed call by call.

The runs lie beside the repository, in ../shared/data/agent_trajectories.jsonl; without them there is nothing to
measure. Each assistant message is one call whose prompt is all before it; the calls of all runs are shuffled into each
other, and no call says which run it belongs to. Precision and recall are of what is stated as a fact.

python -m benchmarks.provenance [--json] [--case NAME ...] [--runs N]
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Figure, show
from tc_core import SQLiteStorage, flush
from tc_core.ledger.waterfall import waterfall
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

RUNS = Path(__file__).parents[2] / "shared" / "data" / "agent_trajectories.jsonl"
START_US = 1_700_000_000_000_000
PRECISION = 0.99

Message = Mapping[str, Any]


class Replayed(NamedTuple):
    """One call of a run: what it is sent, what it answers, and what that prompt was made of."""

    run: int
    number: int
    prompt: Sequence[Message]
    answer: Message
    pasted: int | None = None
    """The run of which a text was pasted into the prompt."""
    is_recorded: bool = True


Change = Callable[[list[Replayed], random.Random], list[Replayed]]


def replayed(runs: Sequence[Sequence[Message]]) -> list[Replayed]:
    """Return the calls of all runs."""
    return [
        Replayed(run, number, messages[:place], messages[place])
        for run, messages in enumerate(runs)
        for number, place in enumerate(place for place, each in enumerate(messages) if each["role"] == "assistant")
    ]


def shuffled(calls: Sequence[Replayed], chance: random.Random) -> list[Replayed]:
    """Put the calls of all runs into each other, each run's own in their order."""
    queues: dict[int, list[Replayed]] = {}
    for call in calls:
        queues.setdefault(call.run, []).append(call)
    turns = [call.run for call in calls]
    chance.shuffle(turns)
    return [queues[run].pop(0) for run in turns]


def last(count: int, *, has_summary: bool = False) -> Change:
    """Keep the system text and the last messages of each prompt, and in place of the others nothing or a summary."""

    def change(calls: list[Replayed], _chance: random.Random) -> list[Replayed]:
        return [call._replace(prompt=_trimmed(call, count, has_summary=has_summary)) for call in calls]

    return change


def _trimmed(call: Replayed, count: int, *, has_summary: bool) -> Sequence[Message]:
    head = 1 if call.prompt and call.prompt[0]["role"] == "system" else 0
    if len(call.prompt) <= head + count:
        return call.prompt
    text = f"Summary of run {call.run} so far: {call.number} steps were made."
    summary = [{"role": "user", "content": text}] if has_summary else []
    return [*call.prompt[:head], *summary, *call.prompt[-count:]]


def ok(share: float) -> Change:
    """Let a share of all texts that models answer be "OK"."""

    def change(calls: list[Replayed], chance: random.Random) -> list[Replayed]:
        chosen = {
            (call.run, len(call.prompt)) for call in calls if call.answer.get("content") and chance.random() < share
        }
        said = {"role": "assistant", "content": "OK"}
        found = []
        for call in calls:
            prompt = [said if (call.run, place) in chosen else each for place, each in enumerate(call.prompt)]
            answer = said if (call.run, len(call.prompt)) in chosen else call.answer
            found.append(call._replace(prompt=prompt, answer=answer))
        return found

    return change


def half(calls: list[Replayed], chance: random.Random) -> list[Replayed]:
    """Leave half of the calls unrecorded."""
    return [call._replace(is_recorded=chance.random() < 0.5) for call in calls]


def alike(calls: list[Replayed], _chance: random.Random) -> list[Replayed]:
    """Let all runs begin with the same system text and first words."""
    first = calls[0].prompt[:2]
    return [call._replace(prompt=[*first, *call.prompt[2:]]) for call in calls]


def pasted(calls: list[Replayed], chance: random.Random) -> list[Replayed]:
    """Paste what one run has answered into a later prompt of another one, as a user's message."""
    found, long = [], dict[int, Message]()
    for call in calls:
        others = [run for run in long if run != call.run]
        if others and call.number == 0 and chance.random() < 0.9:
            run = chance.choice(others)
            paste = {"role": "user", "content": long[run]["content"]}
            call = call._replace(prompt=[*call.prompt, paste], pasted=run)  # noqa: PLW2901  # the same call, with more in it
        found.append(call)
        if len(call.answer.get("content") or "") > 400:
            long[call.run] = call.answer
    return found


CASES: dict[str, tuple[Change, ...]] = {
    "interleaved": (),
    "same system text and first words": (alike,),
    "30 % answer OK": (ok(0.3),),
    "all texts answer OK": (ok(1.0),),
    "last 6": (last(6),),
    "last 4": (last(4),),
    "last 3": (last(3),),
    "last 4, 30 % OK": (ok(0.3), last(4)),
    "summary and last 4": (last(4, has_summary=True),),
    "summary and last 2": (last(2, has_summary=True),),
    "half unrecorded": (half,),
    "half unrecorded, last 4": (half, last(4)),
    "outputs pasted": (pasted,),
}
REFERENCE = {
    "interleaved": (1.0, 0.996),
    "same system text and first words": (1.0, 0.972),
    "30 % answer OK": (1.0, 0.998),
    "all texts answer OK": (1.0, 0.996),
    "last 6": (1.0, 0.933),
    "last 4": (1.0, 0.890),
    "last 3": (1.0, 0.544),
    "last 4, 30 % OK": (0.9997, 0.871),
    "summary and last 4": (1.0, 0.901),
    "summary and last 2": (1.0, 0.267),
    "half unrecorded": (0.997, 0.999),
    "half unrecorded, last 4": (0.945, 0.933),
    "outputs pasted": (1.0, 0.950),
}
"""Precision and recall that a prototype of these rules had on the same runs."""


def measure(store: SQLiteStorage, calls: Sequence[Replayed]) -> dict[str, Any]:
    """Record some calls and compare what is stated with what is true."""
    recorder, ids, before = recorder_for(store), dict[str, Replayed](), dict[int, str]()
    truth: dict[str, set[str]] = {"continuation_of": set(), "derived_from": set()}
    by_pasted: dict[int, list[str]] = {}
    began = time.perf_counter()
    for place, call in enumerate(calls):
        if not call.is_recorded:
            before.pop(call.run, None)
            continue
        key, at = (call.run, call.number), START_US + place * 1_000_000
        id_ = recorder.start("llm_call", key=key, model="gpt-4o", content=as_segments(call.prompt), at_us=at)
        recorder.finish(key, usage=Usage(1, 1), output=as_segments([call.answer]), at_us=at + 500_000)
        ids[id_] = call
        if call.run in before:
            truth["continuation_of"].add(f"{id_} {before[call.run]}")
        before[call.run] = id_
        if call.pasted is not None:
            by_pasted.setdefault(call.pasted, []).append(id_)
        if place % 500 == 499:
            flush(30)
    wait_for_parts(store, 60)
    took = time.perf_counter() - began
    stated = {kind: set[str]() for kind in truth}
    for relation in store.relationships(hints=True):
        if relation.source == "content" and relation.relation in stated:
            stated[relation.relation].add(f"{relation.source_id} {relation.target_id}")
    right = stated["continuation_of"] & truth["continuation_of"]
    pasted_right = sum(
        any(ids[pair.split()[1]].run == run for pair in stated["derived_from"] if pair.startswith(source))
        for run, sources in by_pasted.items()
        for source in sources
    )
    return {
        "calls": len(ids),
        "true": len(truth["continuation_of"]),
        "stated": len(stated["continuation_of"]),
        "precision": len(right) / (len(stated["continuation_of"]) or 1),
        "recall": len(right) / (len(truth["continuation_of"]) or 1),
        "pasted": sum(map(len, by_pasted.values())),
        "pasted_recall": pasted_right / (sum(map(len, by_pasted.values())) or 1),
        "derived": len(stated["derived_from"]),
        "calls_per_second": len(ids) / took,
    }


def as_segments(messages: Sequence[Message]) -> list[Segment]:
    """Return messages as what adapters hand over."""
    return list(_parts(messages))


def _parts(messages: Sequence[Message]) -> Iterator[Segment]:
    for message in messages:
        role, content = message["role"], message.get("content") or ""
        if content or role == "tool":
            yield Segment(role, "tool_result" if role == "tool" else "text", content)
        for call in message.get("tool_calls") or ():
            yield Segment(role, "tool_call", [call["function"]["name"], call["function"]["arguments"]])


def load(count: int | None = None) -> list[list[Message]]:
    """Return the messages of the recorded runs."""
    with RUNS.open() as file:
        return [json.loads(line)["messages"] for line in file][:count]


def run(folder: Path, names: Sequence[str], count: int | None = None) -> dict[str, Any]:
    """Measure each case in a store of its own."""
    rows: list[dict[str, Any]] = []
    for name in names:
        chance = random.Random(7)
        calls = shuffled(replayed(load(count)), chance)
        for change in CASES[name]:
            calls = change(calls, chance)
        with SQLiteStorage(folder / f"{len(rows)}.db") as store:
            found = measure(store, calls)
            whole = waterfall(store)
            parts = sum(row.tokens for row in whole.rows)
            aim = REFERENCE[name]
            rows.append(
                {
                    "case": name,
                    "reference": f"{aim[0]:.3f} / {aim[1]:.3f}",
                    **found,
                    "sums": parts == whole.total_tokens,
                }
            )
    return {"benchmark": "provenance", "rows": rows}


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    found = []
    for row in result["rows"]:
        aim = REFERENCE[row["case"]]
        measured = f"P {row['precision']:.3f}, R {row['recall']:.3f}"
        if row["pasted"]:
            measured += f", pasted R {row['pasted_recall']:.3f}"
        found.append(
            Figure(f"continuation_of, {row['case']}", f"P {max(PRECISION, aim[0]):.3f}, R {aim[1]:.3f}", measured)
        )
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one; can be given again")
    parser.add_argument("--runs", type=int, help="only so many of the recorded runs")
    options = parser.parse_args(arguments)
    if not RUNS.exists():
        result: dict[str, Any] = {"benchmark": "provenance", "rows": []}
        print(json.dumps(result) if options.json else "skipped: ../shared/data/agent_trajectories.jsonl is not there")
        return result
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.case or list(CASES), options.runs)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
