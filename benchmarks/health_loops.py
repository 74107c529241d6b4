"""Loops that are put into recorded runs, against these runs, pages, polling and maps over items."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.health_scores import auc, runs, share_above
from tc_core.health.forms import read
from tc_core.health.signals.repetition import Repetition

Message = dict[str, Any]
Row = dict[str, Any]


def repetition(data: Path, every: int) -> list[Row]:
    """Measure loops put into runs against runs as they are, pages, polling and maps over items."""
    conversations = runs(data, every)
    rows = []
    for times in (2, 3, 4):
        dice = random.Random(1)
        loops: dict[str, list[float]] = {name: [] for name in _LOOPS}
        honest: dict[str, list[float]] = {name: [] for name in ("unedited", *_HONEST)}
        pool = [pair for messages in conversations for pair in _pairs(messages)]
        users = [m for messages in conversations for m in _prose(messages, "user")]
        answers = [m for messages in conversations for m in _prose(messages, "assistant")]
        for messages in conversations:
            if len(_pairs(messages)) < 2 or len(_prose(messages, "assistant")) < 2:
                continue
            place = dice.randrange(1, len(messages))
            while place < len(messages) and messages[place]["role"] == "tool":
                place += 1
            honest["unedited"].append(_peak(messages))
            for name, edit in (*_LOOPS.items(), *_HONEST.items()):
                added = edit(messages, {"pairs": pool, "users": users, "answers": answers}, dice, times)
                peak = _peak([*messages[:place], *added, *messages[place:]])
                (loops if name in loops else honest)[name].append(peak)
        clean = [each for some in honest.values() for each in some]
        dirty = [each for some in loops.values() for each in some]
        bar = sorted(clean)[int(0.95 * len(clean))]
        each = ", ".join(f"{name} {auc(some, clean):.3f}" for name, some in loops.items())
        further = (
            f"{each}; recall at 5 % false alarms {sum(d > bar for d in dirty) / len(dirty):.2f} (level > {bar:.2f}); "
            f"level >= 0.6: {share_above(dirty, 0.6):.2f} against {share_above(clean, 0.6):.3f}"
        )
        rows.append({"what": f"{times} repeats: AUC", "value": round(auc(dirty, clean), 4), "further": further})
    return rows


def _peak(messages: Sequence[Message]) -> float:
    watch = Repetition()
    for message in messages:
        watch.add(read(message))
    return watch.peak


def _prose(messages: Sequence[Message], role: str, least: int = 12) -> list[Message]:
    return [m for m in messages if m["role"] == role and len((m.get("content") or "").split()) >= least]


def _pairs(messages: Sequence[Message]) -> list[tuple[Message, Message]]:
    return [
        (m, messages[i + 1])
        for i, m in enumerate(messages[:-1])
        if m.get("tool_calls") and messages[i + 1]["role"] == "tool"
    ]


def _less(text: str, dice: random.Random, share: float) -> str:
    return " ".join(word for word in text.split(" ") if dice.random() > share)


def _again(messages: Sequence[Message], _pool: Any, dice: random.Random, times: int) -> list[Message]:
    pair = dice.choice(_pairs(messages))
    return [each for _ in range(times) for each in pair]


def _near_answers(messages: Sequence[Message], pool: Any, dice: random.Random, times: int) -> list[Message]:
    text = dice.choice(_prose(messages, "assistant"))["content"]
    found = []
    for _ in range(times):
        changed = re.sub(r"\d", lambda _: str(dice.randrange(10)), text)
        found += [
            {"role": "assistant", "content": changed},
            {"role": "user", "content": dice.choice(pool["users"])["content"]},
        ]
    return found


def _two_agents(messages: Sequence[Message], _pool: Any, dice: random.Random, times: int) -> list[Message]:
    one, other = (dice.choice(_prose(messages, "assistant"))["content"] for _ in range(2))
    found = []
    for _ in range(times):
        found += [
            {"role": "assistant", "content": _less(one, dice, 0.1)},
            {"role": "user", "content": _less(other, dice, 0.1)},
        ]
    return found


def _same_question(messages: Sequence[Message], pool: Any, dice: random.Random, times: int) -> list[Message]:
    text = dice.choice(_prose(messages, "user", 8) or pool["users"])["content"]
    found = []
    for _ in range(times):
        found += [
            {"role": "user", "content": _less(text, dice, 0.05)},
            {"role": "assistant", "content": dice.choice(pool["answers"])["content"]},
        ]
    return found


def _call(name: str, arguments: Mapping[str, Any], content: str, id_: str) -> list[Message]:
    call = {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id_, "name": name, "content": content},
    ]


def _pages(messages: Sequence[Message], pool: Any, dice: random.Random, times: int) -> list[Message]:
    name = dice.choice(_pairs(messages))[0]["tool_calls"][0]["function"]["name"]
    found = []
    for page, (_, result) in enumerate(dice.sample(pool["pairs"], times), 1):
        found += _call(name, {"query": "open", "page": page}, result["content"], f"p{page}")
    return found


def _polling(_messages: Sequence[Message], _pool: Any, dice: random.Random, times: int) -> list[Message]:
    found, done = [], 0
    for number in range(times):
        done += dice.randrange(3, 9)
        result = json.dumps({"job": "job-7731", "status": "running", "done": done})
        found += _call("get_status", {"job": "job-7731"}, result, f"q{number}")
    return found


def _map(_messages: Sequence[Message], pool: Any, dice: random.Random, times: int) -> list[Message]:
    found = []
    for number, (_, result) in enumerate(dice.sample(pool["pairs"], times)):
        item = "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=6))
        said = f"Now I will look at the details of reservation {item} to see whether it can be changed."
        found.append({"role": "assistant", "content": said})
        found += _call("get_reservation_details", {"reservation_id": item}, result["content"], f"m{number}")
    return found


_LOOPS = {
    "same call": _again,
    "near-equal answers": _near_answers,
    "two agents": _two_agents,
    "same question": _same_question,
}
_HONEST = {"pages": _pages, "polling": _polling, "map": _map}
