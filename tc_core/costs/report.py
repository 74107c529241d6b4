"""Cost reports: sums over a period, as a whole and by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Self

from tc_core.costs.zones import TIME_UNITS, totals_in_zone
from tc_core.model import money
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period
from tc_core.model.ports import AggregateReader, Filters
from tc_core.model.totals import Totals


@dataclass(frozen=True, slots=True)
class CostGroup:
    """The sums of one group; `key` maps each name grouped by to its value, None for events without one.

    `charges` is what of the cost came beside tokens.
    """

    key: Mapping[str, str | None]
    cost: float | None
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    audio_tokens: int
    unpriced_calls: int
    estimated_calls: int
    errors: int
    latency_ms: float
    cost_nanos: int | None
    charges: float | None = None
    charges_nanos: int | None = None

    @classmethod
    def of(cls, key: Mapping[str, str | None], totals: Totals) -> Self:
        """Turn machine units into what users see."""
        nanos, charges_nanos = totals.known_cost_nanos, totals.known_charges_nanos
        return cls(
            key=key,
            cost=None if nanos is None else money.to_dollars(nanos),
            calls=totals.calls,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cached_tokens=totals.cached_tokens,
            cache_write_tokens=totals.cache_write_tokens,
            reasoning_tokens=totals.reasoning_tokens,
            audio_tokens=totals.audio_tokens,
            unpriced_calls=totals.unpriced,
            estimated_calls=totals.estimated,
            errors=totals.errors,
            latency_ms=totals.latency_us / 1000,
            cost_nanos=nanos,
            charges=None if charges_nanos is None else money.to_dollars(charges_nanos),
            charges_nanos=charges_nanos,
        )

    @property
    def cost_exact(self) -> Decimal | None:
        """The cost in dollars without the rounding of floats."""
        return None if self.cost_nanos is None else money.to_decimal(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: dict(self.key) if name == "key" else getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class CostReport:
    """What calls cost in a period: US dollars, tokens, and how far the figures can be trusted.

    `total_cost` is None when there were calls and not one has a price; otherwise it leaves out the
    `unpriced_calls`, and `total_charges` is what of it came beside tokens. `estimated_calls` are those whose usage the provider did not report; `errors` counts
    failed calls. Groups come with the dearest first, groups by time in order of time.

    Sums over whole hours, by the names that roll-ups have, are kept for ever. Where others were asked for, of days
    whose events have left the store, `removed_events` tells how many are gone of these days: figures are too low by at
    most so many events. Nothing is missing from `details_since` on, which is None where nothing is missing at all.
    """

    total_cost: float | None
    total_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unpriced_calls: int
    estimated_calls: int
    groups: list[CostGroup] = field(default_factory=list)
    errors: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    total_cost_nanos: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    removed_events: int = 0
    details_since: datetime | None = None
    total_charges: float | None = None
    total_charges_nanos: int | None = None

    @property
    def total_cost_exact(self) -> Decimal | None:
        """The cost in dollars without the rounding of floats."""
        return None if self.total_cost_nanos is None else money.to_decimal(self.total_cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["groups"] = [group.to_dict() for group in self.groups]
        for name in ("start", "end", "details_since"):
            plain[name] = None if plain[name] is None else plain[name].isoformat()
        return plain


def report(
    reader: AggregateReader,
    period: Period,
    *,
    group_by: Sequence[str] = (),
    filters: Filters | None = None,
    tz: tzinfo = UTC,
) -> CostReport:
    """Sum up a period; hours, days and months grouped by are those of `tz`."""
    filters, gaps = filters or {}, Gaps()
    found = totals_in_zone(reader, period, group_by, filters, tz, gaps=gaps) if group_by else {}
    if group_by and not gaps.days and "event_type" not in group_by:
        whole = Totals.of(found.values())  # each event is in one group, and no other has come meanwhile
    else:
        whole = reader.totals((), filters, period.start, period.end, gaps=gaps)[()]
    groups = [CostGroup.of(dict(zip(group_by, key, strict=True)), totals) for key, totals in found.items()]
    total = CostGroup.of({}, whole)
    return CostReport(
        total_cost=total.cost,
        total_calls=total.calls,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cached_tokens=total.cached_tokens,
        unpriced_calls=total.unpriced_calls,
        estimated_calls=total.estimated_calls,
        groups=_in_order(groups, by_time=any(name in TIME_UNITS for name in group_by)),
        errors=total.errors,
        cache_write_tokens=total.cache_write_tokens,
        reasoning_tokens=total.reasoning_tokens,
        audio_tokens=total.audio_tokens,
        total_cost_nanos=total.cost_nanos,
        start=period.start,
        end=period.end,
        removed_events=gaps.events,
        details_since=gaps.whole_since,
        total_charges=total.charges,
        total_charges_nanos=total.charges_nanos,
    )


def _in_order(groups: list[CostGroup], *, by_time: bool) -> list[CostGroup]:
    by_cost = sorted(groups, key=lambda group: (-(group.cost_nanos or 0), -group.calls, str(group.key)))
    if not by_time:
        return by_cost
    return sorted(by_cost, key=lambda group: [group.key[unit] or "" for unit in TIME_UNITS if unit in group.key])
