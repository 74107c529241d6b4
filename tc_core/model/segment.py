"""The parts of a prompt or an answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Segment(NamedTuple):
    """One part of a prompt or an answer, by reference: who says it, what kind it is, and its body.

    `kind` is one of `text`, `tool_schema`, `tool_call`, `tool_result`, `reasoning`, `image`; the body is text, or plain
    JSON values that the writer turns into text, of an image what the request has of it.
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


_IMAGES = frozenset({"image", "image_url", "input_image"})
_REASONING = ("thinking", "reasoning", "reasoning_content")


def of_block(role: str, kind: str, block: object) -> Segment | None:
    """Return a part of a message's content as a segment, by reference; None for what has no weight that is known."""
    if isinstance(block, str):
        return Segment(role, kind, block)
    if not isinstance(block, Mapping):
        return None
    text = block.get("text")
    if isinstance(text, str):
        return Segment(role, kind, text)
    sort = block.get("type")
    if sort in _IMAGES:
        return Segment(role, "image", block)
    if sort in _REASONING:
        said = next((block[name] for name in _REASONING if isinstance(block.get(name), str)), "")
        return Segment(role, "reasoning", said) if said else None
    return None
