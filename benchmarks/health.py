"""What compression keeps, and how well the signals of health tell what they say, on recorded runs and texts.

The runs lie beside the repository, in ../shared/data; without them there is nothing to measure. Constants were chosen
on these data, so the figures are those of the best of several settings: expect a little less elsewhere.

python -m benchmarks.health [--json] [--only compression|topic|repetition|irrelevant|injection|speed ...] [--every N]
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import health_signals
from benchmarks.common import Figure, show, timed
from tc_core.health.compress.compressed import compressed
from tc_core.health.forms import read
from tc_core.health.messages import Entry, size_of
from tc_core.health.monitor import ConversationMonitor
from tc_core.health.similarity import Lexical
from tc_core.meter import messages as scale
from tc_core.meter import tokens

DATA = Path(__file__).parents[2] / "shared" / "data"
RUNS = "agent_trajectories.jsonl"
MODEL = "gpt-4o"
SHARES = (0.5, 0.3)
LEAST_BEFORE = 6
"""A call is asked about only where so many messages stand before it."""

Message = dict[str, Any]


class Case(NamedTuple):
    """What stands before a call, and the values in its arguments that stand there."""

    before: Sequence[Message]
    wanted: frozenset[str]


def runs(path: Path, every: int = 1) -> list[list[Message]]:
    """Return the messages of each recorded run."""
    with path.open() as lines:
        return [json.loads(line)["messages"] for place, line in enumerate(lines) if place % every == 0]


def cases(conversations: Sequence[Sequence[Message]]) -> Iterator[Case]:
    """Yield each call of a tool with the values that it takes from what stands before it."""
    for messages in conversations:
        for place, message in enumerate(messages):
            if place >= LEAST_BEFORE and message.get("tool_calls"):
                whole = text_of(messages[:place])
                wanted = frozenset(
                    value
                    for call in message["tool_calls"]
                    for value in values_of(call["function"]["arguments"])
                    if is_in(value, whole)
                )
                if wanted:
                    yield Case(messages[:place], wanted)


def text_of(messages: Sequence[Message]) -> str:
    """Return all that stands in messages."""
    calls = (call["function"]["arguments"] for message in messages for call in message.get("tool_calls") or ())
    return "\n".join([*(message.get("content") or "" for message in messages), *calls])


def values_of(arguments: str) -> set[str]:
    """Return the strings of four and more characters and the numbers from 1,000 on in a call's arguments."""
    waiting, found = [json.loads(arguments)], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value) >= 4:
            found.add(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) >= 1000:
            found.add(str(value))
    return found


def is_in(value: str, text: str) -> bool:
    """Tell whether a value stands in a text, plain or as JSON writes it."""
    return value in text or json.dumps(value)[1:-1] in text


@functools.lru_cache(maxsize=100_000)
def size(text: str) -> int:
    return tokens.count(text, MODEL).tokens


def entries_of(messages: Sequence[Message]) -> list[Entry]:
    found = [read(message) for message in messages]
    for entry in found:
        entry.size = size_of(entry, MODEL)
    return found


def by_strategy(strategy: str) -> Callable[[Sequence[Message], int], Sequence[Message]]:
    """Return a way to compress that is one of ours."""

    def compress(messages: Sequence[Message], target: int) -> Sequence[Message]:
        entries = entries_of(messages)
        return compressed(entries, strategy, target, model=MODEL, similarity=Lexical())[0]

    return compress


def by_langchain(messages: Sequence[Message], target: int) -> Sequence[Message]:
    """Compress as LangChain's `trim_messages` does."""
    from langchain_core.messages import convert_to_messages, trim_messages

    objects = convert_to_messages([{**each, "content": each.get("content") or ""} for each in messages])
    sizes = {}
    for number, (one, entry) in enumerate(zip(objects, entries_of(messages), strict=True)):
        one.id = str(number)
        sizes[one.id] = entry.size

    def counted(some: Sequence[Any]) -> int:
        return sum(sizes[one.id] for one in some) + scale.PER_REPLY

    kept = trim_messages(
        objects, max_tokens=target, strategy="last", include_system=True, token_counter=counted,
        start_on=["human", "ai"], end_on=["human", "tool", "ai"],
    )  # fmt: skip
    return [messages[int(one.id or 0)] for one in kept]


WAYS: dict[str, Callable[[Sequence[Message], int], Sequence[Message]]] = {
    "sliding_window": by_strategy("sliding_window"),
    "LangChain trim_messages": by_langchain,
    "dedupe": by_strategy("dedupe"),
    "relevance": by_strategy("relevance"),
    "hybrid": by_strategy("hybrid"),
}


def kept_by(way: str, asked: Sequence[Case], share: float) -> dict[str, Any]:
    """Return the share of values that are still there, in all and of whole calls."""
    there = total = complete = over = 0
    took = []
    for case in asked:
        entries = entries_of(case.before)
        system = sum(entry.size for entry in entries if entry.role == "system")
        target = system + int(share * (sum(entry.size for entry in entries) - system))
        began = time.perf_counter()
        after = WAYS[way](case.before, target)
        took.append((time.perf_counter() - began) * 1000)
        over += sum(entry.size for entry in entries_of(after)) > target
        text = text_of(after)
        found = sum(is_in(value, text) for value in case.wanted)
        there, total, complete = there + found, total + len(case.wanted), complete + (found == len(case.wanted))
    return {
        "what": f"{way} at {share:.0%}",
        "value": round(there / total, 4),
        "further": f"whole calls {complete / len(asked):.3f}, {len(asked)} calls, {total} values, {over} over, "
        f"{statistics.median(took):.1f} ms",
    }


def in_groups(conversation: Sequence[Message]) -> list[Message]:
    """Let calls that follow each other be made at once, as parallel calls of one message."""
    found: list[Message] = []
    place = 0
    while place < len(conversation):
        message = conversation[place]
        if not message.get("tool_calls"):
            found.append(message)
            place += 1
            continue
        calls: list[Any] = []
        results: list[Message] = []
        while place + 1 < len(conversation) and conversation[place].get("tool_calls") and len(calls) < 3:
            calls += conversation[place]["tool_calls"]
            results.append(conversation[place + 1])
            place += 2
        if not calls:
            calls, place = list(message["tool_calls"]), place + 1
        renamed = [{**call, "id": f"{len(found)}_{number}"} for number, call in enumerate(calls)]
        found.append({"role": "assistant", "content": None, "tool_calls": renamed})
        found += [{**each, "tool_call_id": call["id"]} for each, call in zip(results, renamed, strict=False)]
    return found


def as_lines(conversation: Sequence[Message]) -> list[Message]:
    """Let results be plain lines instead of JSON."""

    def lines(content: str) -> str:
        try:
            parsed = json.loads(content)
        except ValueError:
            return content
        return json.dumps(parsed, indent=1).translate(str.maketrans("", "", '"{}[],')) if parsed else content

    return [
        {**message, "content": lines(message["content"])} if message["role"] == "tool" else message
        for message in conversation
    ]


def compression(every: int) -> list[dict[str, Any]]:
    """Measure what each way keeps, and the best one on other shapes of conversation."""
    recorded = runs(DATA / RUNS, every)
    asked = list(cases(recorded))
    rows = [kept_by(way, asked, share) for way in WAYS for share in SHARES]
    for name, shape in (("parallel calls", in_groups), ("plain text", as_lines)):
        other = list(cases([shape(messages) for messages in recorded]))
        for share in SHARES:
            row = kept_by("hybrid", other, share)
            rows.append({**row, "what": f"hybrid at {share:.0%}, {name}"})
    return rows


def speed() -> list[dict[str, Any]]:
    """Measure the processor time of a check after 10,000 turns, and of adding them."""
    recorded = [message for messages in runs(DATA / RUNS) for message in messages if message["role"] != "system"]
    chosen = (recorded * 5)[:20_000]
    monitor = ConversationMonitor(MODEL, "speed")
    added = timed(lambda: monitor.add_messages(chosen)).cpu_s * 1000
    took = [timed(monitor.check_health).cpu_s * 1000 for _ in range(7)]
    return [
        {
            "what": "a check after 10,000 turns, ms",
            "value": round(statistics.median(took), 2),
            "further": "20,000 messages",
        },
        {"what": "adding a message, ms", "value": round(added / len(chosen), 3), "further": "counted and looked at"},
    ]


PARTS = ("compression", "topic", "repetition", "irrelevant", "injection", "speed")


def measured(only: Sequence[str], every: int) -> list[dict[str, Any]]:
    """Measure what is asked for."""
    rows: list[dict[str, Any]] = []
    for part in only or PARTS:
        if part == "compression":
            found = compression(every)
        elif part == "speed":
            found = speed()
        else:
            found = health_signals.MEASURES[part](DATA, every)
        rows += [{"part": part, **row} for row in found]
    return rows


AIMS = {
    "hybrid at 50%": "0.99",
    "hybrid at 30%": "0.96",
    "lexical, with cues: AUC": "0.74",
    "3 repeats: AUC": "0.96",
    "single steps, within a run: Spearman": "0.85",
    "own line: AUC": "0.98",
    "own line: recall at 1 % false alarms": "0.9",
    "inside a line: AUC": "0.95",
    "inside a line: recall at 1 % false alarms": "0.8",
    "JSON results: AUC": "0.98",
    "a check after 10,000 turns, ms": "20",
}


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the rows of the table of all figures."""
    return [
        Figure(f"health: {row['what']}", AIMS[row["what"]], str(row["value"]))
        for row in result["rows"]
        if row["what"] in AIMS
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=[])
    parser.add_argument("--every", type=int, default=1, help="only every so many run")
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {"benchmark": "health", "rows": []}
    if not (DATA / RUNS).exists():
        print(json.dumps(result) if options.json else f"skipped: {DATA} does not exist")
        return result
    result["rows"] = measured(options.only, options.every)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
