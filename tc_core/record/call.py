"""A run that is open, from its start hook until its record is in the store."""

from asyncio import CancelledError
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord, Status
from tc_core.model.ports import Link, SpoolMark

EVENT_BYTES = 1000
"""About how much memory a queued event takes without its texts."""


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


@dataclass(slots=True, eq=False)
class OpenCall:
    """A record in the making and what is known beside it."""

    key: Hashable
    record: EventRecord
    parent: "OpenCall | None" = None
    started_ns: int = 0
    content: Content | None = None
    output: Sequence[Segment] | None = None
    input_characters: int | None = None
    output_characters: int | None = None
    links: list[Link] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    is_written: bool = False
    """Whether the store has a row of it: then no child of it needs to bring one."""
    spooled: SpoolMark | None = None
    """Where the spool goes on after the entry of its end."""
    held_bytes: int = EVENT_BYTES
    """About how much memory its texts keep."""

    def keep_texts(self, output: Sequence[Segment] | None = None) -> None:
        """Keep the texts for the writer, which will count their tokens, and their lengths for the spool."""
        if self.content is None and self.input_characters is not None:  # it ended before; the prompt's length is left
            self.output_characters = characters(output or ())
            return
        if self.content is None and not output:
            return  # nothing is known of it, which is not a prompt of no length
        self.content, self.output = segments(self.content), output
        self.input_characters, self.output_characters = characters(self.content), characters(output or ())
        self.held_bytes = EVENT_BYTES + self.input_characters + self.output_characters

    def is_below(self, other: "OpenCall") -> bool:
        """Tell whether it lies in the subtree of another one."""
        above = self.parent
        while above is not None and above is not other:
            above = above.parent
        return above is not None


@dataclass(slots=True, eq=False)
class LooseLink:
    """A relation that was observed after its event had ended, in its place in the queue."""

    link: Link
    spooled: SpoolMark | None
    held_bytes: int = 200


Item = OpenCall | LooseLink
"""What waits for the writer."""


def status_of(error: BaseException) -> Status:
    """Return how a run ended that this error came out of."""
    if isinstance(error, GeneratorExit):
        return "closed"
    return "cancelled" if isinstance(error, (CancelledError, KeyboardInterrupt)) else "error"


def segments(content: Content | None) -> Sequence[Segment]:
    """Return the parts of a prompt."""
    if content is None:
        return ()
    return content() if callable(content) else content


def characters(parts: Sequence[Segment]) -> int:
    """Return the length of the texts, without looking into what is not text."""
    return sum(len(part.body) for part in parts if type(part.body) is str)
