"""Text from tools and documents that reads like an instruction to the model: the strongest sentence's sum of cues.

A hint for a person, never a block. The cues were written for English; other languages, statements ("the user wants
...") and instructions split over lines are not seen.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tc_core.health import injection_words as words

WARN = 2.2
"""From this sum of cues on a sentence is told of."""
SURE = 4.0
"""The sum that is a risk of 1."""
MOST_CHARACTERS = 200_000
"""More of one text is not looked at."""
MOST_KEPT = 20
"""So many sentences of one text are told of."""

_TABLE = 0.6  # from this share of rows on a text is a table


class Risk(NamedTuple):
    """How much a text reads like an instruction, 0 to 1, and the sentences that do, the strongest first."""

    risk: float
    sentences: tuple[str, ...] = ()


def risk_of(text: str) -> Risk:
    """Judge what a tool or a document has brought; a JSON result is judged string by string."""
    lines = _readable(text)[:MOST_CHARACTERS].split("\n")
    found = sorted(_judged(lines), key=lambda each: -each[0])
    if not found:
        return Risk(0.0)
    return Risk(min(1.0, found[0][0] / SURE), tuple(said for score, said in found[:MOST_KEPT] if score >= WARN))


def _judged(lines: list[str]) -> Iterator[tuple[float, str]]:
    tables = sum(line.lstrip().startswith("|") for line in lines)
    counts: Counter[str] | None = None
    is_fenced = False
    for line in lines:
        if line.lstrip().startswith("```"):
            is_fenced = not is_fenced
            continue
        for piece in words.SENTENCE.split(line):
            sentence = piece.strip()
            if not 8 <= len(sentence) <= words.LONGEST or " " not in sentence:
                continue
            score = cues(sentence)
            is_alone = sentence == line.strip() and _is_prose(sentence, line)
            if is_alone:
                is_among_rows = not line.startswith("|") and tables > _TABLE * (len(lines) - 1)
                score += 2.0 if is_among_rows else 1.0 if is_fenced else 0.0
            if score > 0.5:
                if counts is None:
                    counts = Counter(word[:6] for each in lines for word in words.WORDS.findall(each.lower()))
                score += 0.8 * _novelty(sentence, counts) + 0.4 * is_alone
            if score > 0:
                yield score, sentence


def cues(sentence: str) -> float:
    """Sum what makes one sentence an instruction."""
    start = words.LEAD.sub("", sentence)
    first = first.group().lower() if (first := words.FIRST.match(start)) else ""
    is_verb = first in words.CHANGE or first in words.ASK
    if not is_verb and not words.CALLS.search(sentence):
        return 0.0
    is_yours = bool(words.YOURS.search(sentence))
    score = 4.0 if words.OVERRIDE.search(sentence) else 0.0
    score += 1.5 if is_yours else 0.5 if words.ANSWER.search(sentence) else 0.0
    if is_verb:
        score += (2.0 if is_yours else 0.0) + (1.6 if words.LETTERS.search(sentence) else 0.0)
    is_personal = bool(words.PERSONAL.search(words.QUOTED.sub("", sentence)))
    if words.REQUEST.search(start):
        score += 1.6
    elif first in words.ASK:
        score += 0.8 if is_personal and not is_yours else 1.4
    elif sentence.endswith("?") and words.QUESTION.search(start):
        score += 0.5 if is_personal else 1.4
    if score and not is_yours and not words.PROSE.match(sentence) and words.CODE.search(sentence):
        score -= 0.8
    return score


def _is_prose(sentence: str, line: str) -> bool:
    return sentence[0].isupper() and sentence[-1] in ".?!\"')" and not words.CODE.search(line)


def _novelty(sentence: str, counts: Counter[str]) -> float:
    """Return the share of the content words that stand nowhere else in the text."""
    own = words.WORDS.findall(sentence.lower())
    times = Counter(word[:6] for word in own)
    content = {word[:6] for word in own if word not in words.STOP}
    return sum(counts[word] <= times[word] for word in content) / len(content) if content else 0.0


def _readable(text: str) -> str:
    """Return the strings of a JSON result, one a line, each cut before a verb that begins anew; other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        waiting, strings = [json.loads(text)], []
    except (ValueError, RecursionError):
        return text
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            strings.append(words.BEHIND_A_VALUE.sub("\n", value))
        elif isinstance(value, dict):
            waiting += reversed(list(value.values()))
        elif isinstance(value, list):
            waiting += reversed(value)
    return "\n".join(strings)
