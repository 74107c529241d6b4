"""The event, twice: `TrackingEvent` as users see it, `EventRecord` as it travels to the store."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Self, get_args

from tc_core.model import ids, money
from tc_core.model.clock import now
from tc_core.model.scope import DIMENSIONS, EMPTY_SCOPE, Scope, label_text
from tc_core.model.usage import Usage, check_usage

EventType = Literal["llm_call", "embedding", "tool", "retrieval", "agent", "task", "workflow"]
Status = Literal["open", "ok", "error", "cancelled", "closed", "abandoned"]
UsageSource = Literal["provider", "exact", "proxy", "estimate"]

EVENT_TYPES: tuple[str, ...] = get_args(EventType)
STATUSES: tuple[str, ...] = get_args(Status)
USAGE_SOURCES: tuple[str, ...] = get_args(UsageSource)

BROKEN_OFF = frozenset({"abandoned", "cancelled", "closed"})
"""How a run ends that nobody waits for any more; should it come to its own end all the same, that is what holds."""

CALL_TYPES = frozenset({"llm_call", "embedding"})
"""Event types that carry usage and cost, and that `calls` counts."""

MOST_LATENCY_MS = 10 * 365 * 86_400_000
"""Ten years: more is taken for a mistake."""

MOST_COST_NANOS = 10**18
"""A billion dollars: more is taken for a mistake, and would not fit the store's integers."""

MOST_CHARGED = 10**12
"""More of one kind in one event is taken for a mistake."""

MOST_CHARGES = 64
"""More kinds in one event are taken for a mistake."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TrackingEvent:
    """One recorded operation.

    `timestamp` is when it started (a naive datetime is local time, as everywhere in Python; it is
    kept as aware UTC). Tokens follow the inclusive buckets of `Usage`. `cost` is US dollars; None means
    unknown, which is not zero. `model` is the model that was asked for, `served_model` the one that
    answered, `service_tier` the kind of processing that is paid for (`batch`, `flex`, `priority`, ...). `charges`
    is what is charged beside plain tokens, kind -> count, as the provider reports it (`{"web_searches": 2}`), and
    `charges_nanos` what of the cost that makes up, None where it is not known. A label named like a dimension also
    fills that dimension when it is not set.
    """

    event_id: str = field(default_factory=lambda: ids.to_text(ids.new_id()))
    timestamp: datetime = field(default_factory=now)
    event_type: str = "llm_call"
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parent_id: str | None = None

    name: str | None = None
    provider: str | None = None
    served_model: str | None = None
    status: str = "ok"
    error_type: str | None = None
    latency_ms: float | None = None

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    service_tier: str | None = None
    usage_source: str | None = None
    cost_nanos: int | None = None
    price_source: str | None = None
    price_date: date | None = None
    charges: Mapping[str, int | float] = field(default_factory=dict)
    charges_nanos: int | None = None

    agent_id: str | None = None
    agent_type: str | None = None
    task_type: str | None = None
    intent: str | None = None
    workflow_id: str | None = None
    session_id: str | None = None
    environment: str | None = None

    root_id: str | None = field(default=None, compare=False)
    depth: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        fill = object.__setattr__
        fill(self, "timestamp", self.timestamp.astimezone(UTC))
        fill(self, "labels", {label_text(name): label_text(value) for name, value in self.labels.items()})
        for name in DIMENSIONS:
            if getattr(self, name) is None and name in self.labels:
                fill(self, name, self.labels[name])
        if self.cost_nanos is not None:
            fill(self, "cost", money.to_dollars(self.cost_nanos))
        elif self.cost is not None:
            fill(self, "cost_nanos", money.to_nanos(self.cost))
        if self.root_id is None and self.parent_id is None:
            fill(self, "root_id", self.event_id)
        if self.usage_source is None and self.has_usage:
            fill(self, "usage_source", "provider")

    def check(self) -> None:
        """Raise ValueError, naming the field, for facts that no event can have.

        Saving checks. Reading does not: what a provider reported stays readable, however odd it is.
        """
        if not self.event_id:
            raise ValueError("event_id must not be empty")
        check_text("event_type", self.event_type)
        check_moment(self.timestamp)
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {self.status!r}")
        if self.usage_source not in (None, *USAGE_SOURCES):
            raise ValueError(f"usage_source must be one of {', '.join(USAGE_SOURCES)}, not {self.usage_source!r}")
        if self.latency_ms is not None:
            check_latency(self.latency_ms)
        for name in ("cost_nanos", "charges_nanos"):
            nanos = getattr(self, name)
            if nanos is not None and type(nanos) is not int:
                raise ValueError(f"{name} must be a whole number, not {nanos!r}")
        if not 0 <= (self.cost_nanos or 0) <= MOST_COST_NANOS:
            raise ValueError(f"cost must be between 0 and {MOST_COST_NANOS // 10**9:,} dollars, not {self.cost!r}")
        if not 0 <= (self.charges_nanos or 0) <= MOST_COST_NANOS:
            raise ValueError(f"charges_nanos must be between 0 and {MOST_COST_NANOS:,}, not {self.charges_nanos!r}")
        check_charges(self.charges)
        check_usage(self.usage)

    @property
    def cost_exact(self) -> Decimal | None:
        """The cost in dollars without the rounding of floats."""
        return None if self.cost_nanos is None else money.to_decimal(self.cost_nanos)

    @property
    def total_tokens(self) -> int | None:
        """Input plus output tokens, or None when either is unknown."""
        return self.usage.total_tokens

    @property
    def has_usage(self) -> bool:
        """Whether any token count is known."""
        return self.input_tokens is not None or self.output_tokens is not None

    @property
    def is_call(self) -> bool:
        """Whether this is a request to a model, which `calls` counts."""
        return self.event_type in CALL_TYPES

    @property
    def usage(self) -> Usage:
        """The token counts as one value."""
        return Usage(
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
            self.audio_input_tokens,
            self.audio_output_tokens,
            self.cache_write_1h_tokens,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; unset fields are left out, except cost and tokens of a call."""
        always = {"event_id", "cost", "cost_nanos", "input_tokens", "output_tokens"} if self.is_call else {"event_id"}
        plain: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if name in always or value not in (None, {}):
                plain[name] = value.isoformat() if isinstance(value, date) else value
        return plain


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(TrackingEvent))

_FILL = tuple(getattr(TrackingEvent, name).__set__ for name in FIELDS)


def stored(facts: Iterable[Any]) -> TrackingEvent:
    """Make an event of the values of all its `FIELDS`, which a store has kept: they were completed when it was made."""
    event = object.__new__(TrackingEvent)
    for fill, value in zip(_FILL, facts, strict=True):
        fill(event, value)
    return event


@dataclass(slots=True, eq=False)
class EventRecord:
    """An event in machine units on its way to the store; the writer's enrich steps complete it.

    Times are microseconds since 1970 UTC, money is nano-dollars, ids are sixteen bytes.
    """

    id: ids.EventId
    event_type: str
    at_us: int
    parent_id: ids.EventId | None = None
    scope: Scope = EMPTY_SCOPE
    name: str | None = None
    model: str | None = None
    provider: str | None = None
    served_model: str | None = None
    service_tier: str | None = None
    status: Status = "open"
    error_type: str | None = None
    latency_us: int | None = None
    usage: Usage | None = None
    usage_source: UsageSource | None = None
    cost_nanos: int | None = None
    price_source: str | None = None
    price_date: date | None = None
    charges: Mapping[str, int | float] | None = None
    """What is charged beside plain tokens: kind -> count, as the provider reports it."""
    charges_nanos: int | None = None
    """What of the cost those that come beside the tokens make up."""
    metadata: Mapping[str, Any] | None = None
    external_id: str | None = None
    parent_external_id: str | None = None

    @property
    def rank(self) -> int:
        """How final the record is; only a higher rank revises what the store has."""
        return rank(self.status, self.usage_source)

    def to_event(self) -> TrackingEvent:
        """Turn the record into what users see."""
        usage, parent = self.usage or Usage(), self.parent_id
        return TrackingEvent(
            event_id=self.external_id or ids.to_text(self.id),
            timestamp=from_us(self.at_us),
            event_type=self.event_type,
            labels=self.scope.labels,
            metadata=self.metadata or {},
            charges=self.charges or {},
            parent_id=self.parent_external_id or (None if parent is None else ids.to_text(parent)),
            latency_ms=None if self.latency_us is None else self.latency_us / 1000,
            **{name: getattr(usage, name) for name in Usage._fields},
            **{name: getattr(self.scope, name) for name in DIMENSIONS},
            **{name: getattr(self, name) for name in _SHARED},
        )

    @classmethod
    def from_event(cls, event: TrackingEvent) -> Self:
        """Turn a user's event into machine units."""
        parent = event.parent_id
        return cls(
            id=ids.from_text(event.event_id),
            event_type=event.event_type,
            at_us=to_us(event.timestamp),
            parent_id=None if parent is None else ids.from_text(parent),
            scope=Scope.of([getattr(event, name) for name in DIMENSIONS], event.labels),
            name=event.name,
            model=event.model,
            provider=event.provider,
            served_model=event.served_model,
            service_tier=event.service_tier,
            status=event.status,  # type: ignore[arg-type]  # checked when the event was made
            error_type=event.error_type,
            latency_us=None if event.latency_ms is None else round(event.latency_ms * 1000),
            usage=event.usage if event.usage_source else None,
            usage_source=event.usage_source,  # type: ignore[arg-type]  # the same
            cost_nanos=event.cost_nanos,
            price_source=event.price_source,
            price_date=event.price_date,
            charges=event.charges or None,
            charges_nanos=event.charges_nanos,
            metadata=event.metadata or None,
            external_id=event.event_id if ids.is_external(event.event_id) else None,
            parent_external_id=parent if parent is not None and ids.is_external(parent) else None,
        )


def check_text(name: str, value: object) -> None:
    """Raise ValueError for what is no text, or an empty one."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text that is not empty, not {value!r}")


def check_moment(moment: object) -> datetime:
    """Return when something happened; raise ValueError for what is no datetime, or lies before 1970."""
    if not isinstance(moment, datetime):
        raise ValueError(f"timestamp must be a datetime, not {moment!r}")
    if not EPOCH.year <= moment.year < MAXYEAR or to_us(moment) < 0:  # beyond, changing the zone overflows
        raise ValueError(f"timestamp must lie between 1970 and {MAXYEAR}, got {moment.isoformat()}")
    return moment


def check_latency(milliseconds: object) -> float:
    """Return a latency; raise ValueError for one that no call can have."""
    if not isinstance(milliseconds, int | float) or not 0 <= milliseconds <= MOST_LATENCY_MS:  # false for NaN too
        raise ValueError(f"latency_ms must be between 0 and {MOST_LATENCY_MS:,}, not {milliseconds!r}")
    return milliseconds


def is_charge(kind: object, count: object) -> bool:
    """Tell whether a count can be that of something that is charged beside tokens."""
    is_number = isinstance(count, int | float) and not isinstance(count, bool)
    return isinstance(kind, str) and is_number and 0 <= count <= MOST_CHARGED  # false for NaN too


def check_charges(charges: object) -> None:
    """Raise ValueError for what is charged beside tokens where no call can have that."""
    if not isinstance(charges, Mapping) or len(charges) > MOST_CHARGES:
        raise ValueError(f"charges must be at most {MOST_CHARGES} kinds and their counts, not {charges!r:.200}")
    for kind, count in charges.items():
        if not is_charge(kind, count):
            raise ValueError(f"charges must map texts to numbers from 0 to {MOST_CHARGED:,}, not {kind!r} to {count!r}")


_SHARED = (
    "name",
    "model",
    "provider",
    "served_model",
    "service_tier",
    "status",
    "error_type",
    "usage_source",
    "cost_nanos",
    "price_source",
    "price_date",
    "charges_nanos",
)


def rank(status: str, usage_source: str | None) -> int:
    """Order revisions: open < abandoned < broken off < ended < the same two with what the provider reports."""
    if status == "open":
        return 0
    if status == "abandoned":
        return 1
    return 2 + (status not in BROKEN_OFF) + 2 * (usage_source == "provider")


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970 UTC; a naive moment is local time."""
    return (moment.astimezone(UTC) - EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Return the aware UTC moment."""
    return EPOCH + timedelta(microseconds=at_us)
