"""What a segment is: the same content gives the same text, whichever framework sends it.

Ids of tool calls and messages are no part of it: providers and frameworks make them anew, and use some again.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from tc_core.model.segment import Segment

SYSTEM, USER, ASSISTANT, TOOL = 1, 2, 3, 4
TEXT, CALL, RESULT, SCHEMA = 1, 2, 3, 4

_ROLES = {
    "system": SYSTEM,
    "developer": SYSTEM,
    "assistant": ASSISTANT,
    "ai": ASSISTANT,
    "model": ASSISTANT,
    "chatbot": ASSISTANT,
    "tool": TOOL,
    "function": TOOL,
}
"""What frameworks and providers call who speaks; everybody else is a user."""

_OBSERVATION = "\nObservation:"
"""With this CrewAI's text agents glue what a tool said to what the model said."""

MOST_SCHEMAS = 64
MOST_REMEMBERED = 2_000
"""Arguments of tools that are longer are read anew each time."""


class Item(NamedTuple):
    """One segment of a prompt: its role and kind in one number, and its text."""

    what: int
    body: str


_UNSEEN = frozenset({"image", "reasoning"})
"""What has no place of its own: images have no text, and not every framework sends thoughts back."""


def what(role: int, kind: int) -> int:
    """Put role and kind into one number."""
    return role * 8 + kind


SCHEMAS = what(SYSTEM, SCHEMA)
ANSWER = what(ASSISTANT, TEXT)
TOOL_RESULT = what(TOOL, RESULT)

_TEXTS = {role: what(code, RESULT if code == TOOL else TEXT) for role, code in _ROLES.items()}
_USER_TEXT = what(USER, TEXT)
_TOOL_CALL = what(ASSISTANT, CALL)


def items(parts: Sequence[Segment], schemas: "Schemas") -> list[Item]:
    """Return the segments of a prompt or an answer; texts of nothing but blanks are none."""
    found: list[Item] = []
    for role, kind, body in parts:
        if kind == "tool_schema":
            found.append(Item(SCHEMAS, schemas.text(body)))
        elif kind == "tool_call":
            name, arguments = body
            found.append(Item(_TOOL_CALL, f"{name}({canonical_json(arguments)})"))
        elif kind in _UNSEEN:
            continue
        elif kind == "tool_result":
            found.append(Item(TOOL_RESULT, (body if isinstance(body, str) else canonical_json(body)).strip()))
        else:
            text = (body if isinstance(body, str) else canonical_json(body)).strip()
            place = _TEXTS.get(role, _USER_TEXT)
            if place == ANSWER and _OBSERVATION in text:
                found.extend(_observed(text))
            elif text:
                found.append(Item(place, text))
    return found


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no blanks; JSON that is text already is read first."""
    if isinstance(value, str):
        return _read_anew(value) if len(value) <= MOST_REMEMBERED else _read_anew.__wrapped__(value)
    return _written(value)


@lru_cache(maxsize=4096)
def _read_anew(text: str) -> str:
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return text.strip()
    return value.strip() if isinstance(value, str) else _written(value)


def _written(value: Any) -> str:
    try:
        return orjson.dumps(value, str, _SORTED).decode()
    except TypeError:  # a lone surrogate, a number beyond 64 bits, keys of two types, a value within itself
        pass
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(value)


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


class Schemas:
    """The text of the tools that a request brings; written once for the same objects, which many calls share."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], tuple[list[Any], str]] = OrderedDict()

    def text(self, tools: Any) -> str:
        """Return the schemas in the order in which they are sent, each with its keys sorted."""
        if not isinstance(tools, list):
            return canonical_json(tools)
        key = tuple(map(id, tools))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (list(tools), canonical_json(tools))  # held, so that no other object gets its id
            if len(self._known) > MOST_SCHEMAS:
                self._known.popitem(last=False)
        return known[1]


def _observed(text: str) -> Iterator[Item]:
    said, _, seen = text.partition(_OBSERVATION)
    for place, part in ((ANSWER, said.strip()), (TOOL_RESULT, seen.strip())):
        if part:
            yield Item(place, part)
