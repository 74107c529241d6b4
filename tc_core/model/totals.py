"""Sums over events, and what each event adds to them.

This is the definition that the roll-ups, the queries over rows and the plain Python sums share.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

from tc_core.model.event import CALL_TYPES, TrackingEvent
from tc_core.model.usage import Usage


@dataclass(slots=True)
class Totals:
    """Sums over a group of events.

    `calls` are llm_call and embedding events, except open ones. Each is `priced`, `unpriced` (its cost is
    unknown) or a failed call without usage, which providers do not bill and which counts in `errors`
    alone. `estimated` are those whose usage the provider did not report. `charges_nanos` is what of the cost came
    beside tokens. Money is nano-dollars, latency microseconds.
    """

    calls: int = 0
    priced: int = 0
    unpriced: int = 0
    estimated: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    cost_nanos: int = 0
    charges_nanos: int = 0
    latency_us: int = 0

    @property
    def known_cost_nanos(self) -> int | None:
        """The cost, or None when there were calls and not one of them has a price."""
        return None if self.calls and not self.priced and not self.cost_nanos else self.cost_nanos

    @property
    def known_charges_nanos(self) -> int | None:
        """What of that came beside tokens, or None where the cost is."""
        return None if self.known_cost_nanos is None else self.charges_nanos

    @classmethod
    def of(cls, parts: Iterable["Totals"]) -> "Totals":
        """Return the sums over groups that have no event in common."""
        return cls(*(sum(column) for column in zip(*map(_measures_of, parts), strict=True)))

    def add(self, measures: Iterable[int]) -> None:
        """Add one event's measures, in the order of the fields."""
        for name, value in zip(MEASURES, measures, strict=True):
            setattr(self, name, getattr(self, name) + value)


MEASURES = tuple(field.name for field in fields(Totals))
_measures_of = attrgetter(*MEASURES)
NOTHING = (0,) * len(MEASURES)
CALLS_ONLY = frozenset({"errors", "latency_us"})
"""Measures that speak of calls alone, unless a question names an event type."""


def measures(
    event_type: str,
    status: str,
    usage: Usage | None,
    usage_source: str | None,
    cost_nanos: int | None,
    latency_us: int | None,
    charges_nanos: int | None = None,
) -> tuple[int, ...]:
    """Return what one event adds to each field of `Totals`; an open event adds nothing."""
    if status == "open":
        return NOTHING
    is_call = event_type in CALL_TYPES
    is_error = status == "error"
    is_priced = cost_nanos is not None
    is_unpriced = not is_priced and (usage is not None or not is_error)
    tokens_in, tokens_out, cached, written, reasoning, audio_in, audio_out, _ = usage or _NO_USAGE
    return (
        int(is_call),
        int(is_call and is_priced),
        int(is_call and is_unpriced),
        int(is_call and usage_source not in (None, "provider")),
        int(is_error),
        tokens_in or 0,
        tokens_out or 0,
        cached or 0,
        written or 0,
        reasoning or 0,
        (audio_in or 0) + (audio_out or 0),
        cost_nanos or 0,
        charges_nanos or 0,
        latency_us or 0,
    )


_NO_USAGE = Usage()


def totals_by(
    events: Iterable[TrackingEvent],
    key_of: Callable[[TrackingEvent], tuple[str | None, ...]],
    *,
    all_types: bool,
) -> dict[tuple[str | None, ...], Totals]:
    """Group and sum events in plain Python.

    `all_types` says that the question names an event type, so that errors and latency of every event count.
    """
    groups: dict[tuple[str | None, ...], Totals] = {}
    for event in events:
        if event.status == "open":
            continue
        total = groups.setdefault(key_of(event), Totals())
        usage = event.usage if event.has_usage else None
        latency_us = None if event.latency_ms is None else round(event.latency_ms * 1000)
        added = measures(
            event.event_type,
            event.status,
            usage,
            event.usage_source,
            event.cost_nanos,
            latency_us,
            event.charges_nanos,
        )
        total.add(
            0 if name in CALLS_ONLY and not all_types and not event.is_call else value
            for name, value in zip(MEASURES, added, strict=True)
        )
    return groups
