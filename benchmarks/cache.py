"""Cache breaks on seeded runs: what is stated against what was done, by a provider's cache that is played here.

Each run is a conversation whose calls are billed by a cache that knows nothing of ours: it keeps the prompts of each
model for some minutes, and bills as cached what a prompt begins with. Into the runs are put a clock in the
instructions, pauses, compactions, other models, tools in another order, a cut tool result, misses of the provider's
own, and a provider that never hits but for a flat few per cent. A break is a call that was billed at least 256 cached
tokens fewer than it would have been without what was done to it. Beside it stands the plain rule: fewer cached tokens
than last time.

python -m benchmarks.cache [--json] [--runs N] [--seed N]
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
from tc_core import ProvenanceAnalyzer, SQLiteStorage, flush
from tc_core.meter import tokens
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

START_US = 1_780_000_000_000_000
LEAST_LOST = 256
AIMS = {"precision": 0.98, "recall": 0.95, "right cause": 0.95}

Prompt = Sequence[Segment]


class Turn(NamedTuple):
    """One call as it is sent, and as it would have been without what was done to it."""

    prompt: Prompt
    plain: Prompt
    model: str = "gpt-4o"
    pause_s: float = 8.0
    cause: str | None = None
    """What was done to it that can break its cache."""


class Cache:
    """A provider's cache: prompts by model, each for five to ten minutes from its last use; in steps of 128 tokens."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kept: list[tuple[str, list[str], float]] = []

    def hit(self, model: str, prompt: Prompt, at_s: float) -> int:
        """Return how many tokens of a prompt are there."""
        wanted = [_text(part) for part in prompt]
        best = 0
        for kept_model, texts, until_s in self._kept:
            if kept_model == model and at_s <= until_s:
                same = next((n for n, pair in enumerate(zip(wanted, texts, strict=False)) if pair[0] != pair[1]), None)
                best = max(best, min(len(wanted), len(texts)) if same is None else same)
        size = weight(prompt[:best])
        return size // 128 * 128 if size >= 1024 else 0

    def keep(self, model: str, prompt: Prompt, at_s: float) -> None:
        """Keep a prompt."""
        texts = [_text(part) for part in prompt]
        self._kept = [each for each in self._kept if each[2] >= at_s and each[1] != texts[: len(each[1])]]
        self._kept.append((model, texts, at_s + self._chance.uniform(300, 600)))


def _text(part: Segment) -> str:
    return f"{part.role} {part.body}"


def weight(prompt: Prompt) -> int:
    """Return what a provider bills for a prompt: its tokens, and some for each part."""
    return sum(_weight(str(part.body)) + 4 for part in prompt)


_weights: dict[str, int] = {}


def _weight(text: str) -> int:
    if text not in _weights:
        _weights[text] = tokens.count(text, "gpt-4o", corrects=False).tokens
    return _weights[text]


WORDS = (
    *(
        "flight",
        "train",
        "ticket",
        "price",
        "Lisbon",
        "Berlin",
        "booking",
        "refund",
        "hotel",
        "window",
        "aisle",
        "meal",
    ),
    *("bag", "gate", "delay", "morning", "evening", "arrival", "seat", "class", "passport", "visa", "euro", "card"),
)


def words(chance: random.Random, count: int) -> str:
    """Return a text of so many words."""
    return " ".join(chance.choices(WORDS, k=count))


def talk(chance: random.Random, turns: int) -> list[tuple[Prompt, Segment]]:
    """Return the prompts of a conversation with an agent that has tools, and what it answers."""
    names = [f"tool_{number}" for number in range(chance.randint(2, 6))]
    schemas = [{"name": name, "description": words(chance, 30)} for name in names]
    history = [
        Segment("system", "tool_schema", schemas),
        Segment("system", "text", words(chance, chance.randint(900, 1_800))),
        Segment("user", "text", words(chance, 60)),
    ]
    found: list[tuple[Prompt, Segment]] = []
    for number in range(turns):
        if chance.random() < 0.6:
            ask = Segment("assistant", "tool_call", [chance.choice(names), {"query": words(chance, 6), "n": number}])
            said = [ask, Segment("tool", "tool_result", words(chance, chance.randint(40, 500)))]
        else:
            ask = Segment("assistant", "text", words(chance, chance.randint(20, 120)))
            said = [ask, Segment("user", "text", words(chance, chance.randint(10, 60)))]
        found.append((list(history), ask))
        history += said
    return found


def healthy(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    for prompt in prompts:
        yield Turn(prompt, prompt, pause_s=chance.uniform(2, 40))


def clock(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    since = chance.randint(0, 3)
    for number, prompt in enumerate(prompts):
        told = f"It is {chance.randint(10, 23)}:{chance.randint(10, 59)}:{number + 10}. "
        system = Segment("system", "text", told + prompt[1].body)
        changed = [prompt[0], system, *prompt[2:]]
        yield Turn(changed, prompt, cause="system") if number >= since else Turn(prompt, prompt)


def pause(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    at = {chance.randint(3, len(prompts) - 1): chance.choice([700, 1_500, 5_000, 9_000]) for _ in range(2)}
    for number, prompt in enumerate(prompts):
        yield Turn(prompt, prompt, pause_s=at.get(number, 8.0), cause="expiry" if number in at else None)


def compaction(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    at, last = chance.randint(6, len(prompts) - 2), chance.choice([4, 6, 8])
    summary = [Segment("user", "text", "Summary: " + words(chance, 60))] if chance.random() < 0.6 else []
    start = len(prompts[at]) - last
    for number, prompt in enumerate(prompts):
        if number < at:
            yield Turn(prompt, prompt)
        else:
            cut = [*prompt[:2], *summary, *prompt[start:]]
            yield Turn(cut, prompt, cause="compaction" if number == at else None)


def model(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    at = chance.randint(3, len(prompts) - 3)
    for number, prompt in enumerate(prompts):
        name = "gpt-4.1" if number >= at else "gpt-4o"
        yield Turn(prompt, prompt, model=name, cause="model" if number == at else None)


def tool_order(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    at = chance.randint(3, len(prompts) - 2)
    for number, prompt in enumerate(prompts):
        turned = [Segment("system", "tool_schema", list(reversed(prompt[0].body))), *prompt[1:]]
        if number < at:
            yield Turn(prompt, prompt)
        else:
            yield Turn(turned, prompt, cause="tool_order" if number == at else None)


def tool_result(chance: random.Random, prompts: Sequence[Prompt]) -> Iterator[Turn]:
    at = len(prompts) - chance.randint(2, 4)
    place = next((n for n, part in enumerate(prompts[at]) if part.kind == "tool_result"), None)
    for number, prompt in enumerate(prompts):
        if number < at or place is None:
            yield Turn(prompt, prompt)
        else:
            cut = [*prompt[:place], Segment("tool", "tool_result", "[removed]"), *prompt[place + 1 :]]
            yield Turn(cut, prompt, cause="tool_result" if number == at else None)


Change = Callable[[random.Random, Sequence[Prompt]], Iterator[Turn]]
CASES: dict[str, Change] = {
    "healthy": healthy,
    "the provider's own misses": healthy,
    "a flat few per cent": healthy,
    "a clock in the instructions": clock,
    "a pause": pause,
    "a compaction": compaction,
    "another model": model,
    "tools in another order": tool_order,
    "a tool result that is cut": tool_result,
    "sub-agents in turn": healthy,
}


class Truth(NamedTuple):
    """What is true of one call."""

    case: str
    cause: str | None
    lost: int
    is_plain_rule: bool


def record(store: SQLiteStorage, runs: int, seed: int) -> dict[str, Truth]:
    """Record the runs of each case; return what is true of each call, by its id."""
    truth: dict[str, Truth] = {}
    at_s = 0.0
    for number in range(runs):
        for name, change in CASES.items():
            chance = random.Random(f"{seed} {number} {name}")
            at_s += 86_400
            lines = 3 if name == "sub-agents in turn" else 1
            truth |= _record_run(store, chance, name, change, at_s, lines)
            flush(60)
    return truth


def _record_run(
    store: SQLiteStorage, chance: random.Random, name: str, change: Change, at_s: float, lines: int
) -> dict[str, Truth]:
    recorder, cache, undisturbed = recorder_for(store), Cache(chance), Cache(chance)
    talks = [talk(chance, chance.randint(12, 20)) for _ in range(lines)]
    turns = [list(change(chance, [prompt for prompt, _ in each])) for each in talks]
    factor = chance.uniform(0.97, 1.08)  # what a provider counts otherwise than we do
    before = [0] * lines
    truth: dict[str, Truth] = {}
    run = object()
    recorder.start("workflow", key=run, name=name, at_us=_us(at_s))
    for number in range(max(map(len, turns))):
        for line in range(lines):
            if number >= len(turns[line]):
                continue
            turn, answer = turns[line][number], talks[line][number][1]
            would_be = undisturbed.hit("gpt-4o", turn.plain, at_s)
            at_s += turn.pause_s
            billed = cache.hit(turn.model, turn.prompt, at_s)
            should = min(would_be, weight(turn.prompt) // 128 * 128)
            cause = turn.cause
            if name == "a flat few per cent":
                billed, should = weight(turn.prompt) * chance.randint(2, 4) // 100, 0
            elif name == "the provider's own misses" and billed and chance.random() < 0.1:
                billed, cause = 0, "none_on_our_side"
            if cause == "compaction":  # what is kept of the history could have been read from the cache
                should = min(should, _kept(turn))
            cache.keep(turn.model, turn.prompt, at_s)
            undisturbed.keep("gpt-4o", turn.plain, at_s)
            key = object()
            id_ = recorder.start(
                "llm_call", key=key, parent=run, model=turn.model, content=list(turn.prompt), at_us=_us(at_s)
            )
            input_tokens = round(weight(turn.prompt) * factor)
            cached = min(round(billed * factor) // 128 * 128, input_tokens)
            recorder.finish(key, usage=Usage(input_tokens, 50, cached), output=[answer], at_us=_us(at_s + 1))
            at_s += 1
            is_break = cause is not None and should - billed >= LEAST_LOST
            lost = should - billed if is_break else 0
            truth[id_] = Truth(name, cause if is_break else None, lost, cached < before[line])
            before[line] = cached
    recorder.finish(run, at_us=_us(at_s))
    return truth


def _kept(turn: Turn) -> int:
    had = {_text(part) for part in turn.plain}
    return weight([part for part in turn.prompt if _text(part) in had]) // 128 * 128


def _us(at_s: float) -> int:
    return START_US + round(at_s * 1_000_000)


def run(folder: Path, runs: int, seed: int) -> dict[str, Any]:
    """Record, ask, and compare."""
    with SQLiteStorage(folder / "cache.db") as store:
        truth = record(store, runs, seed)
        wait_for_parts(store, 120)
        began = time.perf_counter()
        found = ProvenanceAnalyzer(store).patterns(["cache_break"])
        took = time.perf_counter() - began
    stated = {event_id: each.evidence["cause"] for each in found for event_id in each.event_ids}
    rows = [_row(name, {id_: each for id_, each in truth.items() if each.case == name}, stated) for name in CASES]
    rows.append(_row("all", truth, stated))
    wrong = [
        {"case": truth[id_].case, "true": truth[id_].cause, "stated": stated.get(id_)}
        for id_ in truth
        if truth[id_].cause != stated.get(id_)
    ]
    return {"benchmark": "cache", "seconds": took, "calls": len(truth), "rows": rows, "wrong": wrong}


def _row(name: str, truth: Mapping[str, Truth], stated: Mapping[str, str]) -> dict[str, Any]:
    breaks = {id_ for id_, each in truth.items() if each.cause is not None}
    said = {id_ for id_ in truth if id_ in stated}
    right = breaks & said
    named = sum(stated[id_] == truth[id_].cause for id_ in right)
    plain = {id_ for id_, each in truth.items() if each.is_plain_rule}
    return {
        "case": name,
        "calls": len(truth),
        "breaks": len(breaks),
        "stated": len(said),
        "precision": len(right) / len(said) if said else None,
        "recall": len(right) / len(breaks) if breaks else None,
        "right cause": named / len(right) if right else None,
        "plain rule": len(plain),
        "plain rule right": len(plain & breaks),
    }


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    whole = result["rows"][-1]
    return [Figure(f"cache breaks, {name}", f">= {aim}", f"{whole[name]:.3f}") for name, aim in AIMS.items()]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=20, help="so many of each case")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.runs, options.seed)
    show(result, result["rows"], as_json=options.json)
    if not options.json:
        counts: dict[str, int] = {}
        for each in result["wrong"]:
            counts[json.dumps(each)] = counts.get(json.dumps(each), 0) + 1
        for text, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(count, text)
    return result


if __name__ == "__main__":
    main()
