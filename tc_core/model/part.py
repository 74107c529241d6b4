"""A part: what a branch adds to recording, said in one place, and all of it optional.

A branch has a module `live.py` with a function `part(store)`, which returns a `Part`, or None where it has nothing to
add for that store.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from tc_core.model.event import EventRecord, TrackingEvent
from tc_core.model.ids import EventId
from tc_core.model.scope import EMPTY_SCOPE, Scope
from tc_core.model.segment import Content, Segment
from tc_core.model.usage import Usage


class Request(NamedTuple):
    """A model call that is about to be made; what is not known of it is None."""

    model: str | None
    provider: str | None = None
    event_type: str = "llm_call"
    scope: Scope = EMPTY_SCOPE
    """The dimensions and labels that the call will have."""
    content: Content | None = None
    """The prompt, by reference."""
    most_output_tokens: int | None = None
    """The limit that the request sets."""
    can_swap: bool = False
    """Whether the host can still send it to another model."""
    can_answer: bool = False
    """Whether the host can take an answer that no model gave."""
    can_shorten: bool = False
    """Whether the host can still send fewer messages."""
    event_id: EventId | None = None
    """The id that the call's event will have."""
    root_id: EventId | None = None
    """The id of the run that it is part of."""
    temperature: float | None = None
    """What the request says of it."""
    setup: Callable[[], str | None] | None = None
    """Gives a text that is the same for requests which are made in the same way, whatever their prompt."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a request; without anything it is sent as it is.

    `model` names another model, or is one of the host's own objects; `answer` is given instead of a model's; `refusal`
    is what the program's call raises. With `compress_at`, a share of the model's window or a number of tokens, a prompt
    that reaches it is made shorter first.
    """

    model: Any = None
    answer: str | None = None
    refusal: Exception | None = None
    compress_at: float | None = None


ALLOWED = Decision()


class Meter(Protocol):
    """Watches how long an answer gets that comes piece by piece, on the thread that reads it."""

    def piece(self, characters: int) -> Exception | None:
        """Note that so many characters have come; return what the stream is cut with, None where it may go on."""


class Followed(NamedTuple):
    """What a host that can change requests makes of one that was let through: told before it is sent, and after."""

    answer: str | None = None
    """What the model has said, where that is text and nothing else."""
    is_shortened: bool = False


class Booked(NamedTuple):
    """What an event counts for at one time: what sums are made of."""

    event_type: str
    status: str
    provider: str | None
    model: str | None
    scope: Scope
    usage: Usage
    cost_nanos: int | None
    latency_us: int | None
    charges_nanos: int | None = None


class Change(NamedTuple):
    """One event that a transaction writes: what it counted for before, None where it is new, and what it does now.

    An open row counts for nothing, so it is None as well.
    """

    id: EventId
    at_us: int
    before: Booked | None
    after: Booked | None


class Transaction(Protocol):
    """The write transaction that a batch, a reprice or an import is written in."""

    @property
    def connection(self) -> Any:
        """The connection of SQLAlchemy, for statements of the branch's own."""

    @property
    def database(self) -> Any:
        """The database, for what its SQL says differently: `add_up`, `insert_missing`, `placeholder`, ..."""


class Texts(NamedTuple):
    """The texts of a call, a tool or a retrieval that is in the store: held no longer than `after` needs them."""

    record: EventRecord
    prompt: Sequence[Segment]
    output: Sequence[Segment]


class Finding(NamedTuple):
    """One line of an examination; `said` says what is wrong and what to do about it."""

    state: Literal["ok", "warning", "fault"]
    subject: str
    said: str


WritePart = Callable[[Transaction, Sequence[Change]], object]


@dataclass(slots=True, kw_only=True)
class Part:
    """What a branch adds to recording. Whatever it raises costs only itself, and is counted, but for `write`.

    `admit` is asked on the caller's thread before a request; set and taken away while recording, it costs nothing
    where no part has one; `enforce` is called with whether calls may be stopped, where `instrument` says so. Of a
    request that was let through, `withdraw` is told that it is not made after all, `rename` that its event will have
    another id, and `followed`, by hosts that can change requests, what was made of it. `cut` is called with whether
    streams may be cut, and `meter` gives what watches the answer to a request that was let through, None where nothing
    does. `steps` complete a record on the writer's thread, also at replay. `write` is called wherever sums are booked,
    in the same transaction and after them; it may run again after a conflict, and writes its rows in the order of their
    keys. `committed` is called on the writer's thread right after a commit, and again after an error. `after` gets
    texts once the events are in the store, on a thread of its own, in order and at most once; what it has no time for
    is counted as a fault and not held. `listen` gets events after their commit. `chore` does a small step on the
    writer's thread, and returns in how many seconds it wants to be called again, or None for never. `checks` are lines
    of the doctor. `rule_kinds` are kinds of alert rules: by its name, a function of a call's TrackingEvent that returns
    the figure which a threshold is held against, or None.
    """

    name: str
    admit: Callable[[Request], Decision | None] | None = None
    enforce: Callable[[bool], object] | None = None
    withdraw: Callable[[EventId], object] | None = None
    rename: Callable[[EventId, EventId], object] | None = None
    cut: Callable[[bool], object] | None = None
    meter: Callable[[EventId], Meter | None] | None = None
    followed: Callable[[EventId, Followed], object] | None = None
    steps: Sequence[Callable[[Any], object]] = ()
    write: WritePart | None = None
    committed: Callable[[], object] | None = None
    after: Callable[[Sequence[Texts]], object] | None = None
    listen: Callable[[Sequence[TrackingEvent]], object] | None = None
    chore: Callable[[], float | None] | None = None
    checks: Callable[[], Iterable[Finding]] | None = None
    rule_kinds: Mapping[str, Any] = field(default_factory=dict)
