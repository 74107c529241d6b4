"""The signals of health beside labels: those of people (topics), and those that our own edits give."""

import json
import random
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tc_core.health.forms import read
from tc_core.health.injection import SURE, WARN, risk_of
from tc_core.health.signals.repetition import Repetition
from tc_core.health.signals.thread import Thread
from tc_core.health.signals.topic import Topic
from tc_core.health.similarity import Similarity, similarity_of

Message = dict[str, Any]
Row = dict[str, Any]
_PERSON = re.compile(r"[a-z]+_[a-z]+_\d{4}")


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return how often a positive is above a negative."""
    marked = sorted([(score, 1) for score in positives] + [(score, 0) for score in negatives])
    rank_sum, start = 0.0, 0
    while start < len(marked):
        end = start
        while end < len(marked) and marked[end][0] == marked[start][0]:
            end += 1
        rank_sum += sum(mark for _, mark in marked[start:end]) * (start + end + 1) / 2
        start = end
    ones = len(positives)
    return (rank_sum - ones * (ones + 1) / 2) / (ones * len(negatives))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the correlation of ranks."""
    return 0.0 if len(set(a)) < 2 or len(set(b)) < 2 else statistics.correlation(_ranks(a), _ranks(b))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    found, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2
        start = end + 1
    return found


def _share(scores: Sequence[float], bar: float) -> float:
    return sum(score >= bar for score in scores) / len(scores)


def _f1(marks: Sequence[int], scores: Sequence[float]) -> float:
    """Return the best F1 over all bars."""
    hits, best, ones = 0, 0.0, sum(marks)
    ordered = sorted(zip(scores, marks, strict=True), reverse=True)
    for count, (score, mark) in enumerate(ordered, 1):
        hits += mark
        if count == len(ordered) or ordered[count][0] != score:  # all of one score are above a bar, or none
            best = max(best, 2 * hits / (count + ones))
    return best


def _runs(data: Path, every: int) -> list[list[Message]]:
    with (data / "agent_trajectories.jsonl").open() as lines:
        return [json.loads(line)["messages"] for place, line in enumerate(lines) if place % every == 0]


# Topics


def topic(data: Path, every: int) -> list[Row]:
    """Measure shifts on dialogues that people have marked, and on ones spliced together."""
    dialogs = list(json.loads((data / "topic_shift_dialogs.json").read_text()).values())[::every]
    rows = []
    for name in ("lexical", "semantic"):
        try:
            similarity = similarity_of(name)
        except ImportError as error:
            rows.append({"what": f"{name}: left out", "value": 0.0, "further": str(error)})
            continue
        for has_cues in (True, False):
            marks, scores = _shifts(dialogs, similarity, has_cues=has_cues)
            positives = [score for mark, score in zip(marks, scores, strict=True) if mark]
            negatives = [score for mark, score in zip(marks, scores, strict=True) if not mark]
            said = (
                f"best F1 {_f1(marks, scores):.3f}, spliced AUC {_spliced(dialogs, similarity, has_cues=has_cues):.3f}"
            )
            how = "with cues" if has_cues else "nearness only"
            rows.append({"what": f"{name}, {how}: AUC", "value": round(auc(positives, negatives), 4), "further": said})
    marks = [int(mark) for dialog in dialogs for _, mark in dialog[1:]]
    always = 2 * sum(marks) / (len(marks) + sum(marks))
    rows.append({"what": "always yes: F1", "value": round(always, 3), "further": "always no: F1 0, AUC 0.5"})
    depth = _texttiling(dialogs)
    rows.append(
        {
            "what": "TextTiling: AUC",
            "value": round(depth[0], 3),
            "further": f"best F1 {depth[1]:.3f}, sees what follows",
        }
    )
    return rows


def _shifts(dialogs: Sequence[Any], similarity: Similarity, *, has_cues: bool) -> tuple[list[int], list[float]]:
    marks, scores = [], []
    for dialog in dialogs:
        watch = Topic(similarity)
        watch.has_cues = has_cues
        for place, (text, mark) in enumerate(dialog):
            watch.add(text)
            if place:
                marks.append(int(mark))
                scores.append(1 - watch.coherence)
    return marks, scores


def _spliced(dialogs: Sequence[Any], similarity: Similarity, *, has_cues: bool) -> float:
    dice = random.Random(1)
    stays: list[float] = []
    jumps: list[float] = []
    for dialog in dialogs:
        other = dice.choice(dialogs)
        places = [k for k in range(4, len(dialog)) if dialog[k][1] == "0"]
        seams = [k for k in range(4, len(other)) if other[k][1] == "0"]
        if not places or not seams or other is dialog:
            continue
        cut, seam = dice.choice(places), dice.choice(seams)
        for text, scores in ((dialog[cut][0], stays), (other[seam][0], jumps)):
            watch = Topic(similarity)
            watch.has_cues = has_cues
            for before, _ in dialog[cut - 2 : cut]:
                watch.add(before)
            watch.add(text)
            scores.append(1 - watch.coherence)
    return auc(jumps, stays)


def _texttiling(dialogs: Sequence[Any]) -> tuple[float, float]:
    """Measure depth scores of word overlap between the two messages before and the two from here on (Hearst 1997)."""
    similarity = similarity_of("lexical")
    marks, scores = [], []
    for dialog in dialogs:
        profiles = [similarity.profile(text) for text, _ in dialog]
        near = [similarity.nearness(profiles[k], profiles[max(0, k - 2) : k]) for k in range(1, len(dialog))]
        for place, value in enumerate(near):
            left, right = max(near[: place + 1]), max(near[place:])
            marks.append(int(dialog[place + 1][1]))
            scores.append(left + right - 2 * value)
    pairs = list(zip(marks, scores, strict=True))
    return auc([s for m, s in pairs if m], [s for m, s in pairs if not m]), _f1(marks, scores)


# Repetition


def repetition(data: Path, every: int) -> list[Row]:
    """Measure loops put into runs against runs as they are, pages, polling and maps over items."""
    conversations = _runs(data, every)
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
            f"level >= 0.6: {_share(dirty, 0.6):.2f} against {_share(clean, 0.6):.3f}"
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


# Irrelevant share


def irrelevant(data: Path, every: int) -> list[Row]:
    """Measure how the irrelevant share follows noise that is put into runs."""
    dice = random.Random(1)
    conversations = [messages for messages in _runs(data, every) if len(messages) >= 14]
    people = [set(_PERSON.findall(json.dumps(messages))) for messages in conversations]
    rows = []
    for is_block in (False, True):
        truth: list[float] = []
        guess: list[float] = []
        within = []
        for number, messages in enumerate(conversations):
            others = [
                _groups(other) for place, other in enumerate(conversations) if not people[place] & people[number]
            ] or [_groups(conversations[number - 1])]
            for share in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
                noisy, real = _noisy(messages, others, share, dice, is_block=is_block)
                thread = Thread()
                for message in noisy:
                    thread.add(read(message))
                truth.append(real)
                guess.append(thread.irrelevant())
            within.append(spearman(truth[-8:], guess[-8:]))
        error = statistics.mean(abs(t - g) for t, g in zip(truth, guess, strict=True))
        clean = sorted(g for g, t in zip(guess, truth, strict=True) if t == 0)
        what = "blocks" if is_block else "single steps"
        most = clean[int(0.95 * len(clean))]
        further = f"all runs {spearman(truth, guess):.3f}, mean error {error:.3f}, 95 % of clean runs below {most:.2f}"
        rows.append(
            {"what": f"{what}, within a run: Spearman", "value": round(statistics.mean(within), 4), "further": further}
        )
    return rows


def _groups(messages: Sequence[Message]) -> list[list[Message]]:
    groups: list[list[Message]] = []
    for message in messages:
        if message["role"] == "tool" and groups:
            groups[-1].append(message)
        elif message["role"] != "system":
            groups.append([message])
    return groups


def _length(messages: Sequence[Message]) -> int:
    return sum(
        len(m.get("content") or "") + sum(len(c["function"]["arguments"]) for c in m.get("tool_calls") or ())
        for m in messages
        if m["role"] != "system"
    )


def _noisy(
    messages: Sequence[Message],
    others: Sequence[list[list[Message]]],
    share: float,
    dice: random.Random,
    *,
    is_block: bool,
) -> tuple[list[Message], float]:
    groups, own, added = _groups(messages), _length(messages), 0
    noise: list[tuple[int, list[list[Message]]]] = []
    wanted = share / (1 - share) * own - 50
    while added < wanted:
        source = dice.choice(others)
        some: list[list[Message]] = []
        for group in source if is_block else [dice.choice(source)]:
            if added >= wanted:
                break
            some.append(group)
            added += _length(group)
        noise.append((dice.randrange(0, max(1, len(groups) - 3)), some))
    found: list[Message] = []
    for number, group in enumerate(groups):
        for place, some in noise:
            if place == number:
                found += [message for each in some for message in each]
        found += group
    return found, added / (added + own)


# Injections


def injection(data: Path, every: int) -> list[Row]:
    """Measure attacks put into documents as results of tools, and where JSON results hold them."""
    known = json.loads((data / "injections.json").read_text())
    attacks: Mapping[str, Sequence[str]] = known["attacks"]
    documents = [text[:4000] for kind in ("emails", "tables", "code") for text in known[kind]][::every]
    results = [
        m["content"]
        for messages in _runs(data, every)
        for m in messages
        if m["role"] == "tool" and _is_json(m["content"])
    ]
    clean = [risk_of(text).risk * SURE for text in documents]
    rows = []
    for name, insert in (("own line", _on_a_line), ("inside a line", _inside)):
        by_kind = _attacked(documents, attacks, insert)
        rows += _recalled(name, by_kind, clean)
    chosen = random.Random(1).sample(results, min(600, len(results)))
    by_kind = _attacked(chosen, attacks, _in_json, draws=1)
    rows += _recalled("JSON results", by_kind, [risk_of(text).risk * SURE for text in chosen])
    return rows


def _recalled(name: str, by_kind: Mapping[str, Sequence[float]], clean: Sequence[float]) -> list[Row]:
    dirty = [score for some in by_kind.values() for score in some]
    bar = sorted(clean)[-1 - int(0.01 * len(clean))]
    found = sum(score > bar for score in dirty) / len(dirty)
    missed = sorted((sum(s > bar for s in some) / max(1, len(some)), kind) for kind, some in by_kind.items())
    worst = ", ".join(f"{kind} {share:.2f}" for share, kind in missed[:4])
    told = f"told of: {_share(dirty, WARN):.3f} against {_share(clean, WARN):.3f}"
    return [
        {"what": f"{name}: AUC", "value": round(auc(dirty, clean), 4), "further": told},
        {"what": f"{name}: recall at 1 % false alarms", "value": round(found, 4), "further": f"fewest: {worst}"},
    ]


def _attacked(
    documents: Sequence[str],
    attacks: Mapping[str, Sequence[str]],
    insert: Callable[[str, str, random.Random], str],
    draws: int = 10,
) -> dict[str, list[float]]:
    dice = random.Random(1)
    found: dict[str, list[float]] = {kind: [] for kind in attacks}
    for _ in range(draws):
        for text in documents:
            kind = dice.choice(list(attacks))
            found[kind].append(risk_of(insert(text, dice.choice(attacks[kind]), dice)).risk * SURE)
    return found


def _on_a_line(text: str, attack: str, dice: random.Random) -> str:
    lines = text.split("\n")
    place = dice.randrange(len(lines) + 1)
    return "\n".join([*lines[:place], attack, *lines[place:]])


def _inside(text: str, attack: str, dice: random.Random) -> str:
    place = dice.choice([found.end() for found in re.finditer(r"[.!?|]\s+|\s\s+", text)] or [len(text)])
    return f"{text[:place]}{attack} {text[place:]}"


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def _in_json(text: str, attack: str, dice: random.Random) -> str:
    """Put an attack in the place of one of the strings of a JSON result, or behind it."""
    whole = json.loads(text)
    places: list[tuple[Any, Any]] = []
    waiting = [whole]
    while waiting:
        value = waiting.pop()
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, str):
                places.append((value, key))
            elif isinstance(inner, (dict, list)):
                waiting.append(inner)
    if not places:
        return json.dumps([whole, attack])
    value, key = dice.choice(places)
    value[key] = attack if dice.random() < 0.5 else f"{value[key]} {attack}"
    return json.dumps(whole)


MEASURES: dict[str, Callable[[Path, int], list[Row]]] = {
    "topic": topic,
    "repetition": repetition,
    "irrelevant": irrelevant,
    "injection": injection,
}
