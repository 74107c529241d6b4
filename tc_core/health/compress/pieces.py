"""What a message is made of when it is shortened: pieces that are kept or dropped whole, and the values in them."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tc_core.health.compress.groups import Group

OUTPUT = "output"
"""The label of results that are no JSON."""
MOST_PIECES, WIDEST = 200, 240
"""A longer text is cut into so many runs of lines; a longer line at a blank."""

_WORD = re.compile(r"\d{4}-\d\d-\d\d|[\w$#@](?:[@./:#-]{0,64}\w+)+|\w")  # bounded: rows of signs took the square
_SENTENCE = re.compile(r"(?<=[.!?。])\s+|(?<=[。！？])|\n+")  # noqa: RUF001  # full stops of Chinese and Japanese


class Piece:
    """A row, the numbers of one, a sentence, a line: its text, the values in it, and where it comes from."""

    __slots__ = ("extra", "group", "is_call", "label", "message", "place", "rest", "text", "values")

    def __init__(
        self,
        group: int,
        label: str,
        text: str,
        values: Iterable[str],
        place: float,
        *,
        extra: float = 0.0,
        is_call: bool = False,
    ) -> None:
        self.group, self.label, self.text, self.place = group, label, text, place
        self.values = tuple(dict.fromkeys(values))
        self.extra, self.is_call = extra, is_call
        self.rest: Piece | None = None
        """The numbers of a row, which are offered once the row itself is in."""
        self.message = 0
        """Which message of the group it is of."""

    @property
    def where(self) -> tuple[int, str]:
        """The line that it goes on."""
        return self.group, "call" if self.is_call else self.label


def pieces_of(group: Group) -> list[Piece]:
    """Return the pieces of a group's messages, without what reads like an instruction in a tool's result."""
    found: list[Piece] = []
    asked = {call.id: call.name for entry in group.entries for call in entry.calls}
    for index, entry in enumerate(group.entries):
        before = len(found)
        if entry.role == "tool":
            name = next((asked[id_] for id_ in entry.answers if id_ in asked), entry.name or "result")
            found += _of_result(entry.text, group.number, name, before)
        else:
            parts = (part.strip() for part in _SENTENCE.split(entry.text))
            found += [
                Piece(group.number, entry.role, part, words(part), before + place)
                for place, part in enumerate(filter(None, parts))
            ]
        for call in entry.calls:
            leaves = _arguments(call.arguments)
            found.append(Piece(group.number, call.name, ", ".join(leaves), leaves, len(found), extra=0.2, is_call=True))
        for piece in found[before:]:
            piece.message = index
            if piece.rest:
                piece.rest.message = index
        if entry.withheld:
            found[before:] = [piece for piece in found[before:] if not _is_withheld(piece, entry.withheld)]
    return found


def words(text: str) -> list[str]:
    """Return the values of prose: words that are not all lower-case letters."""
    return [
        word
        for word in _WORD.findall(text)
        if len(word) > 2
        and (not word.islower() or "_" in word or "/" in word or any(map(str.isdigit, word)))
    ]  # fmt: skip


def _is_withheld(piece: Piece, sentences: Sequence[str]) -> bool:
    texts = [piece.text, *([piece.rest.text] if piece.rest else [])]
    return any(sentence in text or text in sentence for sentence in sentences for text in texts)


def _arguments(arguments: str) -> list[str]:
    try:
        return [str(leaf) for _, leaf in _flat(json.loads(arguments))]
    except (ValueError, RecursionError):
        return [arguments]


def _of_result(content: str, group: int, name: str, place: int) -> list[Piece]:
    try:
        parsed = json.loads(content)
        found: list[Piece] = []
        if isinstance(parsed, dict | list):
            _walk(parsed, name, group, found, place)
            return found
    except (ValueError, RecursionError):
        pass
    return [Piece(group, OUTPUT, part, words(part), place + number) for number, part in enumerate(_text_parts(content))]


def _text_parts(content: str) -> list[str]:
    lines = []
    for line in content.split("\n"):
        while len(line) > WIDEST:
            cut = line.rfind(" ", WIDEST // 2, WIDEST)
            cut = cut if cut > 0 else WIDEST
            lines.append(line[:cut])
            line = line[cut:]  # noqa: PLW2901  # what is left of it
        if line.strip():
            lines.append(line)
    step = -(-len(lines) // MOST_PIECES) or 1
    return ["\n".join(lines[start : start + step]) for start in range(0, len(lines), step)]


def _walk(value: Any, label: str, group: int, found: list[Piece], place: int) -> None:
    """Make a piece of the scalars of each object and list; objects in a list are rows."""
    if isinstance(value, dict):
        _row(
            [(key, each) for key, each in value.items() if not isinstance(each, dict | list)],
            label,
            group,
            found,
            place,
        )
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                _walk(inner, str(key), group, found, place)
        return
    for each in value:
        if not isinstance(each, dict | list):
            _row([(None, each)], label, group, found, place)
    for each in value:
        if isinstance(each, dict):
            _row(list(_flat(each)), label, group, found, place)
        elif isinstance(each, list):
            _walk(each, label, group, found, place)


def _row(leaves: Sequence[tuple[str | None, Any]], label: str, group: int, found: list[Piece], place: int) -> None:
    """Make a piece of the strings of a row; its numbers and flags with their keys are a second one."""
    strings = list(dict.fromkeys(each for _, each in leaves if isinstance(each, str) and each and each != label))
    named = [label] if any(each == label for _, each in leaves) else []
    others = [(key, each) for key, each in leaves if not isinstance(each, str) and each is not None]
    rest = None
    if others:
        text = " ".join(f"{key} {_plain(each)}" if key else _plain(each) for key, each in others)
        values = [_plain(each) for _, each in others]
        rest = Piece(group, label, text, values, place + len(found) + 0.5, extra=0.05 * len(others))
    if strings:
        head = Piece(group, label, ", ".join(strings), strings + named, place + len(found))
        head.rest = rest
        found.append(head)
    elif rest:
        found.append(rest)


def _flat(value: Any, key: str | None = None) -> Iterator[tuple[str | None, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, key)
    else:
        yield key, value


def _plain(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
