"""The parts of a prompt or an answer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Segment(NamedTuple):
    """One part of a prompt or an answer, by reference: who says it, what kind it is, and its body.

    `kind` is one of `text`, `tool_schema`, `tool_call`, `tool_result`; the body is text, or plain JSON
    values that the writer turns into text.
    """

    role: str
    kind: str
    body: Any


Content = Sequence[Segment] | Callable[[], Sequence[Segment]]
"""The parts of a prompt, or what gives them when they are needed."""


def segments(content: Content | None) -> Sequence[Segment]:
    """Return the parts of a prompt."""
    if content is None:
        return ()
    return content() if callable(content) else content


def characters(parts: Sequence[Segment]) -> int:
    """Return the length of the texts, without looking into what is not text."""
    return sum(len(part.body) for part in parts if type(part.body) is str)
