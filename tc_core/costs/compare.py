"""Two periods side by side: what changed, in which groups, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any, NamedTuple

from tc_core.costs import drivers as reasons
from tc_core.costs import filters as filtering
from tc_core.costs import names, notebook
from tc_core.costs.drivers import Driver, Segment, Side
from tc_core.costs.reading import CostReader
from tc_core.costs.report import CostGroup, CostReport, Question, answer
from tc_core.costs.zones import TIME_UNITS
from tc_core.meter import recorded
from tc_core.model import clock, money
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.notebook import InNotebook, Shown
from tc_core.model.period import Period, period
from tc_core.model.ports import EventReader, Filters, GroupKey
from tc_core.model.totals import Totals

Span = str | date | Period | tuple[str | date | None, str | date | None]
"""A period: `last-week`, a day, a `Period`, or a start and an end as in `CostTracker.get_costs`."""

_ALIKE = ("model", "served_model", "provider", "service_tier", "price_source")
_GIVEN = frozenset({None, "billed", "cache"})
"""Sources of costs that no table has worked out."""

MOST_DAYS = 800
"""So many days are looked at for prices that change."""


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What one group cost in both periods, and why that changed; the drivers sum to the difference."""

    key: Mapping[str, str | None]
    before: CostGroup
    after: CostGroup
    difference_nanos: int
    drivers: tuple[Driver, ...]

    @property
    def difference(self) -> float:
        """The change in dollars."""
        return money.to_dollars(self.difference_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "key": dict(self.key),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "difference": self.difference,
            "difference_nanos": self.difference_nanos,
            "drivers": [driver.to_dict() for driver in self.drivers],
        }


@dataclass(frozen=True, slots=True)
class Comparison(InNotebook):
    """What calls cost in two periods, the change, and its drivers, which sum to `difference_nanos` exactly.

    Calls without a price are in neither cost, nor in the drivers; the reports say how many there are. Groups whose cost
    changed most come first. Each group's drivers are worked out within it and sum to its own difference; those of all
    are the sums of the groups'.
    """

    before: CostReport
    after: CostReport
    difference_nanos: int
    drivers: tuple[Driver, ...]
    groups: tuple[GroupChange, ...]

    @property
    def difference(self) -> float:
        """The change in dollars; less is negative."""
        return money.to_dollars(self.difference_nanos)

    @property
    def ratio(self) -> float | None:
        """The later cost over the earlier one; None where that is not known, or nothing."""
        then, now = self.before.total_cost_nanos, self.after.total_cost_nanos
        return now / then if then and now is not None else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "difference": self.difference,
            "difference_nanos": self.difference_nanos,
            "ratio": self.ratio,
            "drivers": [driver.to_dict() for driver in self.drivers],
            "groups": [group.to_dict() for group in self.groups],
        }

    def _shown(self) -> Shown:
        return notebook.of_comparison(self)


def as_period(span: Span, tz: tzinfo) -> Period:
    """Return the period that is meant; raise ConfigurationError where it cannot be read."""
    if isinstance(span, Period):
        return span
    if isinstance(span, tuple):
        return period(*span, tz=tz)
    return period(span, span, tz=tz)


def same_part(before: Period, after: Period) -> Period:
    """Cut the earlier period to as much of it as has gone by of the later one, where that is still under way."""
    now = clock.now()
    if None in (before.start, before.end, after.start, after.end) or not after.start <= now < after.end:  # type: ignore[operator]
        return before
    gone: timedelta = now - after.start.astimezone(UTC)  # type: ignore[union-attr]
    start, end = before.start.astimezone(UTC), before.end.astimezone(UTC)  # type: ignore[union-attr]
    return Period(before.start, min(end, start + gone))


def compare(
    reader: CostReader,
    events: EventReader,
    before: Period,
    after: Period,
    *,
    by: Sequence[str] = (),
    filters: Filters | None = None,
    tz: tzinfo = UTC,
) -> Comparison:
    """Compare two periods; see `CostTracker.compare`."""
    for name in by:
        if name in TIME_UNITS:
            raise ValueError(f"periods are compared by names, not by {name!r}")
    wanted = [filtering.resolved(reader, filters or {}, each) for each in (before, after)]
    reports = [answer(reader, span, Question(by, filters or {}, tz)) for span in (before, after)]
    sides = [_calls(reader, span, by, each) for span, each in zip((before, after), wanted, strict=True)]
    valuing = _Valuing(events, before, after)
    old, new = ({_key(group): group for group in each.groups} for each in reports)
    groups = []
    for key in dict.fromkeys((*old, *new)) if by else [()]:
        named = dict(zip(by, key, strict=True))
        within = [{**each, **{name: [value] for name, value in named.items()}} for each in wanted]
        parts = valuing.sides((sides[0].get(key, {}), sides[1].get(key, {})), within)
        then, now = (each.get(key) or CostGroup.of(named, Totals()) for each in (old, new))
        difference = (now.cost_nanos or 0) - (then.cost_nanos or 0)
        groups.append(GroupChange(named, then, now, difference, tuple(reasons.drivers(*parts))))
    groups.sort(key=lambda group: (-abs(group.difference_nanos), str(group.key)))
    return Comparison(
        before=reports[0],
        after=reports[1],
        difference_nanos=(reports[1].total_cost_nanos or 0) - (reports[0].total_cost_nanos or 0),
        drivers=_together(groups, valuing) if by else groups[0].drivers,
        groups=tuple(groups) if by else (),
    )


def _together(groups: Sequence[GroupChange], valuing: "_Valuing") -> tuple[Driver, ...]:
    if not groups:
        return tuple(reasons.drivers(*valuing.sides(({}, {}), ({}, {}))))
    named = [
        (" ".join(value or f"no {names.short(name)}" for name, value in group.key.items()), group.drivers)
        for group in groups
    ]
    return tuple(reasons.together(named))


class _Alike(NamedTuple):
    """What makes calls alike."""

    model: str | None
    served_model: str | None
    provider: str | None
    service_tier: str | None
    price_source: str | None


_Counted = Mapping[_Alike, Totals]


def _calls(
    reader: CostReader, span: Period, by: Sequence[str], filters: Filters
) -> dict[GroupKey, dict[_Alike, Totals]]:
    """Return the sums of calls that are alike, by group."""
    asked = list(dict.fromkeys((*by, *_ALIKE)))
    found: dict[GroupKey, dict[_Alike, Totals]] = {}
    for key, totals in reader.totals(asked, filters, span.start, span.end).items():
        if totals.priced:
            value = dict(zip(asked, key, strict=True))
            group = found.setdefault(tuple(value[name] for name in by), {})
            group[_Alike(*(value[name] for name in _ALIKE))] = totals
    return found


def _key(group: CostGroup) -> GroupKey:
    return tuple(group.key.values())


class _Valuing:
    """Values calls at the prices of one moment: the end of the earlier period."""

    def __init__(self, events: EventReader, before: Period, after: Period) -> None:
        self._events, self._spans = events, (before, after)
        now = clock.now()
        last = now if before.end is None else min(before.end, now)
        self._at_us = to_us(last) - 1
        self._days = list(_days(before, after, last))
        self._changes: dict[_Alike, bool] = {}

    def sides(self, counted: tuple[_Counted, _Counted], filters: Sequence[Filters]) -> tuple[Side, Side]:
        """Return the segments of both periods."""
        before = counted[0]
        made: list[dict[_Alike, Segment]] = []
        for span, side, wanted in zip(self._spans, counted, filters, strict=True):
            made.append(
                {
                    alike: Segment(
                        alike.model or alike.served_model or "no model",
                        totals.priced,
                        totals.cost_nanos,
                        self._valued(alike, totals, before.get(alike), span, wanted),
                        totals.input_tokens,
                        totals.cached_tokens,
                        totals.output_tokens,
                    )
                    for alike, totals in side.items()
                }
            )
        return made[0], made[1]

    def _valued(self, alike: _Alike, totals: Totals, before: Totals | None, span: Period, filters: Filters) -> Fraction:
        if alike.price_source in _GIVEN:  # by what a token cost on average in the earlier period
            tokens = 0 if before is None else before.input_tokens + before.output_tokens
            if before is None or not tokens:
                return Fraction(totals.cost_nanos)
            return Fraction(before.cost_nanos, tokens) * (totals.input_tokens + totals.output_tokens)
        if not self._has_changed(alike):
            return Fraction(totals.cost_nanos)
        above = names.from_above(filters)
        wanted = {name: value for name, value in filters.items() if name not in above}
        wanted |= {name: [value] for name, value in zip(_ALIKE, alike, strict=True)}
        calls = self._events.query_events(wanted, span.start, span.end)
        valued = Fraction(sum(self._worth(call) for call in calls))
        if not above:
            return valued
        cost = sum(call.cost_nanos or 0 for call in calls)  # of more calls than are meant, in the same ratio
        return valued * totals.cost_nanos / cost if cost else valued

    def _worth(self, call: TrackingEvent) -> int | Fraction:
        """Return what a call would cost at the moment's prices; one that was priced otherwise keeps the ratio."""
        if call.cost_nanos is None:
            return 0
        own, there = recorded.price_of(call), recorded.price_at(call, self._at_us)
        if own is None or there is None or not own.cost_nanos:
            return call.cost_nanos
        return Fraction(call.cost_nanos * there.cost_nanos, own.cost_nanos)

    def _has_changed(self, alike: _Alike) -> bool:
        """Tell whether the price of such calls was another one on any day of the periods."""
        if alike not in self._changes:
            probes = [_probe(alike, moment) for moment in self._days]
            priced = {tuple(_nanos(each) for each in some) for some in probes}
            self._changes[alike] = len(priced) > 1
        return self._changes[alike]


def _probe(alike: _Alike, moment: datetime) -> list[TrackingEvent]:
    """Return calls of every kind of tokens, a small one and large ones, where prices may rise with the prompt."""
    return [
        TrackingEvent(
            timestamp=moment,
            model=alike.model,
            served_model=alike.served_model,
            provider=alike.provider,
            service_tier=alike.service_tier,
            input_tokens=size,
            output_tokens=100_000,
            cached_tokens=100_000 * is_cached,
            cache_write_tokens=100_000 * is_cached,
        )
        for size in (200_000, 1_000_000)
        for is_cached in (False, True)
    ]


def _nanos(call: TrackingEvent) -> int | None:
    price = recorded.price_of(call)
    return None if price is None else price.cost_nanos


def _days(before: Period, after: Period, last: datetime) -> Sequence[datetime]:
    """Return a moment of each day of both periods."""
    found = [last - timedelta(microseconds=1)]
    for span in (before, after):
        end = min(span.end or clock.now(), clock.now())
        start = span.start or end - timedelta(days=MOST_DAYS // 2)
        days = min(MOST_DAYS // 2, max(1, -(-(end - start) // timedelta(days=1))))
        found += [start + number * timedelta(days=1) for number in range(days)]
    return found
