"""What an alert is, and a rule that fires one."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol, get_args

from tc_core import settings
from tc_core.model import ids
from tc_core.model.clock import now
from tc_core.model.event import TrackingEvent, check_text

SEVERITIES: tuple[str, ...] = get_args(settings.Severity)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a rule has to say.

    `key` is what it is about, such as an agent or a budget, empty where the rule has but one. `event_id` is the event
    that it was seen at, None where there is none. `alert_id` is what `acknowledge` takes.
    """

    rule: str
    severity: str
    message: str
    event_id: str | None = None
    key: str = ""
    fired_at: datetime = field(default_factory=now)
    alert_id: str = field(default_factory=lambda: ids.to_text(ids.new_id()))
    value: float | None = None
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None

    def __post_init__(self) -> None:
        check_severity("an alert", self.severity)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in plain.items()}


class Signal(NamedTuple):
    """What a condition has seen: whether it holds now for a key, and what there is to say of it."""

    key: str
    is_on: bool
    message: str = ""
    value: float | None = None
    event_id: str | None = None
    at_us: int | None = None
    """When it was so, in microseconds since 1970; None for now."""


class Condition(Protocol):
    """A condition that is asked about events as they come, or about the store now and then."""

    repeats: bool
    """Whether what still holds after the cooldown is told again; else it is told once, and again once it is over."""
    tells_end: bool
    """Whether those who were told are told when it is over."""
    every_seconds: float
    """How much time lies between two looks at the store at least."""

    def see(self, events: Sequence[TrackingEvent]) -> Iterable[Signal]:
        """Return what these events say, on the listeners' thread: quick, and without waiting for the store."""

    def look(self, firing: Collection[str]) -> Iterable[Signal]:
        """Return what the store says, on a thread that holds up nobody; `firing` are the keys that it fires for."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When to tell whom: a condition, and the channels that its alerts go to.

    `condition` is called with each event that is recorded, and holds where it returns true; one that raises has not
    held, and neither has one that meets a cost of None. It may also be what `type` and `threshold` mean in the settings
    file, as the presets of AlertManager make it. `channels` are `console`, `webhook`, `email`, `apprise`, or names
    given to `add_notifier`. For `cooldown` seconds after an alert the rule fires no further one for the same key. `by`
    names dimensions or labels that have an alert each, such as `("agent_id",)`.
    """

    name: str
    condition: "Callable[[TrackingEvent], object] | settings.AlertRule"
    severity: str = "warning"
    channels: Sequence[str] = ("console",)
    cooldown: float = 300
    by: Sequence[str] = ()
    message: str | None = None

    def __post_init__(self) -> None:
        check_text("name", self.name)
        if not callable(self.condition) and not isinstance(self.condition, settings.AlertRule):
            raise ValueError(f"condition of rule {self.name!r} must be a function of an event, not {self.condition!r}")
        check_severity(f"rule {self.name!r}", self.severity)
        _check_cooldown(self.name, self.cooldown)
        given = texts(self.channels)
        for channel in given:
            check_text(f"a channel of rule {self.name!r}", channel)
        object.__setattr__(self, "channels", tuple(dict.fromkeys(given)))
        object.__setattr__(self, "by", texts(self.by))

    @classmethod
    def of(cls, said: settings.AlertRule) -> "AlertRule":
        """Return what the settings file says as a rule."""
        return cls(said.name, said, said.severity, said.channels, said.cooldown, said.by)

    @property
    def kind(self) -> str:
        """What the settings file calls its type; `condition` for a function of one's own."""
        return self.condition.type if isinstance(self.condition, settings.AlertRule) else "condition"


def check_severity(whose: str, severity: object) -> None:
    """Raise ValueError for what is no severity."""
    if severity not in SEVERITIES:
        raise ValueError(f"severity of {whose} must be one of {', '.join(SEVERITIES)}, not {severity!r}")


def _check_cooldown(rule: str, seconds: object) -> None:
    if not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise ValueError(f"cooldown of rule {rule!r} must be seconds from 0 on, not {seconds!r}")


def texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return several texts, where one alone is meant as one; raise ValueError for what is none."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        raise ValueError(f"a rule needs texts, such as ('console',), not {given!r}")  # as what is empty
    return tuple(given)


def key_of(event: TrackingEvent, by: Sequence[str]) -> str:
    """Return what an alert about an event is about, by the dimensions or labels that are told apart."""
    return named({name: value_of(event, name) for name in by})


def value_of(event: TrackingEvent, name: str) -> str | None:
    """Return a dimension or a label of an event."""
    if name.startswith("labels."):
        return event.labels.get(name.removeprefix("labels."))
    value = getattr(event, name, None) if name in TrackingEvent.__slots__ else event.labels.get(name)
    return None if value is None else str(value)


def named(values: Mapping[str, str | None]) -> str:
    """Write some values as a key: `writer`, or `agent_id=writer, model=gpt-4o` where there are several."""
    if len(values) == 1:
        return next(iter(values.values())) or "none"
    return ", ".join(f"{name}={value or 'none'}" for name, value in values.items())
