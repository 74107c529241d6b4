"""The signals of health beside labels: those of people (topics), and those that our own edits give."""

import json
import random
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import health_loops
from benchmarks.health_scores import auc, best_f1, runs, share_above, spearman
from tc_core.health.forms import read
from tc_core.health.injection import SURE, WARN, risk_of
from tc_core.health.signals.thread import Thread
from tc_core.health.signals.topic import Topic
from tc_core.health.similarity import Similarity, similarity_of

Message = dict[str, Any]
Row = dict[str, Any]
_PERSON = re.compile(r"[a-z]+_[a-z]+_\d{4}")


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
            spliced = _spliced(dialogs, similarity, has_cues=has_cues)
            said = f"best F1 {best_f1(marks, scores):.3f}, spliced AUC {spliced:.3f}"
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
    return auc([s for m, s in pairs if m], [s for m, s in pairs if not m]), best_f1(marks, scores)


# Irrelevant share


def irrelevant(data: Path, every: int) -> list[Row]:
    """Measure how the irrelevant share follows noise that is put into runs."""
    dice = random.Random(1)
    conversations = [messages for messages in runs(data, every) if len(messages) >= 14]
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
        for messages in runs(data, every)
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
    told = f"told of: {share_above(dirty, WARN):.3f} against {share_above(clean, WARN):.3f}"
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
    "repetition": health_loops.repetition,
    "irrelevant": irrelevant,
    "injection": injection,
}
