"""A run that is open, from its start hook until its record is in the store."""

from asyncio import CancelledError
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord, Status
from tc_core.model.ports import Link, SpoolMark
from tc_core.model.segment import Content, characters, segments
from tc_core.model.usage import Report, Usage

EVENT_BYTES = 1000
"""About how much memory a queued event takes without its texts."""
BYTES_PER_TOKEN = 4


@dataclass(slots=True, eq=False)
class PendingEvent:
    """A record in the making and what is known beside it."""

    key: Hashable
    record: EventRecord
    parent: "PendingEvent | None" = None
    started_ns: int = 0
    content: Content | None = None
    output: Content | None = None
    input_characters: int | None = None
    output_characters: int | None = None
    links: Sequence[Link] = ()
    attempts: Sequence[Attempt] = ()
    attempt_reports: Sequence[Report | None] = ()
    """What the answer to each attempt says of usage."""
    report: Report | None = None
    """What the provider's answer says of usage, until a step reads it."""
    known: Usage | None = None
    """The counts of a report that is not whole: an estimate leaves them as they are."""
    is_written: bool = False
    """Whether the store has a row of it: then no child of it needs to bring one."""
    is_marked: bool = False
    """Whether the spool says that it has begun."""
    spooled: SpoolMark | None = None
    """Where the spool goes on after the entry of its end."""
    held_bytes: int = EVENT_BYTES
    """About how much memory its texts keep."""
    is_again: bool = False
    """Whether it ended before, and this end only knows more."""
    has_texts: bool = False
    """Whether its texts are kept for the parts that read them."""

    def count_texts(self, output: Content | None = None) -> None:
        """Take up the texts for the writer, which will count their tokens, and their lengths for the spool."""
        output = segments(output)
        if self.content is None and self.input_characters is not None:  # it ended before; the prompt's length is left
            self.output_characters = characters(output)
            return
        if self.content is None and not output:
            return  # nothing is known of it, which is not a prompt of no length
        self.content, self.output = segments(self.content), output
        self.input_characters, self.output_characters = characters(self.content), characters(self.output)
        self.held_bytes = EVENT_BYTES + self.input_characters + self.output_characters

    def keep_texts(self, output: Content | None) -> None:
        """Keep the texts for the parts that read them, by reference; how large they are is told by the tokens."""
        if self.is_again or (self.content is None and output is None):
            return
        if not self.output:  # where the prompt alone was counted, that is empty
            self.output = output
        self.has_texts = True
        if self.input_characters is None:
            read = None if self.record.usage is None else self.record.usage.input_tokens
            self.held_bytes += read * BYTES_PER_TOKEN if type(read) is int and read > 0 else EVENT_BYTES

    def let_go_of_texts(self) -> None:
        """Hold the texts no longer."""
        self.content = self.output = None
        self.has_texts = False
        self.held_bytes = EVENT_BYTES

    def is_below(self, other: "PendingEvent") -> bool:
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


Item = PendingEvent | LooseLink
"""What waits for the writer."""


def status_of(error: BaseException) -> Status:
    """Return how a run ended that this error came out of."""
    if isinstance(error, GeneratorExit):
        return "closed"
    return "cancelled" if isinstance(error, (CancelledError, KeyboardInterrupt)) else "error"
