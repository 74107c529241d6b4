"""Cost reports: sums over a period, as a whole and by group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from tc_core.costs import filters as filtering
from tc_core.costs import notebook, percentiles, present, units
from tc_core.costs.percentiles import Percentiles, Spread
from tc_core.costs.reading import CostReader
from tc_core.costs.units import CostPer
from tc_core.costs.zones import TIME_UNITS, totals_in_zone
from tc_core.model import money
from tc_core.model.gaps import Gaps
from tc_core.model.notebook import InNotebook, Shown
from tc_core.model.period import Period
from tc_core.model.ports import AggregateReader, Filters, GroupKey
from tc_core.model.totals import Totals

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.table import Table


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
    percentiles: Percentiles | None = None
    per: Mapping[str, CostPer] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        key: Mapping[str, str | None],
        totals: Totals,
        percentiles: Percentiles | None = None,
        per: Mapping[str, CostPer] | None = None,
    ) -> Self:
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
            percentiles=percentiles,
            per=per or {},
        )

    @property
    def cost_exact(self) -> Decimal | None:
        """The cost in dollars without the rounding of floats."""
        return None if self.cost_nanos is None else money.to_decimal(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"key": dict(self.key)} | _more_as_json(self.percentiles, self.per)


@dataclass(frozen=True, slots=True)
class CostReport(InNotebook):
    """What calls cost in a period: US dollars, tokens, and how far the figures can be trusted.

    `total_cost` is None when there were calls and not one has a price; otherwise it leaves out the
    `unpriced_calls`, and `total_charges` is what of it came beside tokens. `estimated_calls` are those whose usage the
    provider did not report; `errors` counts failed calls. Groups come with the dearest first, groups by time
    in order of time.

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
    latency_ms: float = 0.0
    percentiles: Percentiles | None = None
    per: Mapping[str, CostPer] = field(default_factory=dict)
    rest: CostGroup | None = None
    rest_groups: int = 0

    @property
    def total_cost_exact(self) -> Decimal | None:
        """The cost in dollars without the rounding of floats."""
        return None if self.total_cost_nanos is None else money.to_decimal(self.total_cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["groups"] = [group.to_dict() for group in self.groups]
        plain["rest"] = None if self.rest is None else self.rest.to_dict()
        plain |= _more_as_json(self.percentiles, self.per)
        for name in ("start", "end", "details_since"):
            plain[name] = None if plain[name] is None else plain[name].isoformat()
        return plain

    def to_json(self) -> str:
        """Return it as JSON text."""
        return present.to_json(self)

    def to_csv(self) -> str:
        """Return the groups as CSV; cells that a spreadsheet would run as a formula are quoted."""
        return present.to_csv(self)

    def to_markdown(self) -> str:
        """Return the groups as a table in Markdown."""
        return present.to_markdown(self)

    def to_dataframe(self) -> "DataFrame":
        """Return the groups as a pandas DataFrame; raises ImportError where pandas is missing."""
        return present.to_dataframe(self)

    def __rich__(self) -> "Table":
        return present.to_table(self)

    def _shown(self) -> Shown:
        return notebook.of_report(self)


def _more_as_json(spread: Percentiles | None, per: Mapping[str, CostPer]) -> dict[str, Any]:
    told = {unit: each.to_dict() for unit, each in per.items()}
    return {"percentiles": None if spread is None else spread.to_dict(), "per": told}


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is to tell beside the sums.

    `percentiles` are shares such as 50 and 95; `per` are units such as `user`, `session` or `success`. `top` is how
    many groups are named, the others are one; `sort` is the figure by which they are ordered, the largest first.
    """

    group_by: Sequence[str] = ()
    filters: Filters = field(default_factory=dict)
    tz: tzinfo = UTC
    percentiles: Sequence[float] = ()
    per: Sequence[str] = ()
    top: int | None = None
    sort: str | None = None

    def __post_init__(self) -> None:
        percentiles.check(self.percentiles)
        if self.top is not None:
            check_whole("top", self.top)
        if self.sort not in (None, *SORTS):
            raise ValueError(f"reports are sorted by {', '.join(SORTS)}, not {self.sort!r}")
        asked: list[object] = [*self.group_by, *self.per]
        for name in asked:
            if not isinstance(name, str) or not name:
                raise ValueError(f"a report is grouped by names, not by {name!r}")


def check_whole(name: str, value: object) -> None:
    """Raise ValueError for what is no whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value!r}")


def report(
    reader: AggregateReader,
    period: Period,
    *,
    group_by: Sequence[str] = (),
    filters: Filters | None = None,
    tz: tzinfo = UTC,
) -> CostReport:
    """Sum up a period; hours, days and months grouped by are those of `tz`."""
    return answer(reader, period, Question(group_by, filters or {}, tz))


def answer(reader: AggregateReader, period: Period, question: Question) -> CostReport:
    """Answer a question about a period; percentiles and costs per unit need a `CostReader`."""
    gaps, group_by = Gaps(), list(dict.fromkeys(question.group_by))
    filters = filtering.resolved(reader, question.filters, period)
    found = totals_in_zone(reader, period, group_by, filters, question.tz, gaps=gaps) if group_by else {}
    if group_by and not gaps.days and "event_type" not in group_by:
        whole = Totals.of(found.values())  # each event is in one group, and no other has come meanwhile
    else:
        whole = reader.totals((), filters, period.start, period.end, gaps=gaps)[()]
    more = _More(reader, period, question, filters, group_by, gaps)
    groups = [
        CostGroup.of(dict(zip(group_by, key, strict=True)), totals, more.spread(key), more.per(key))
        for key, totals in found.items()
    ]
    named, rest = _ordered(groups, question, found)
    total = CostGroup.of({}, whole, more.spread(None), more.per(None))
    return CostReport(
        total_cost=total.cost,
        total_calls=total.calls,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cached_tokens=total.cached_tokens,
        unpriced_calls=total.unpriced_calls,
        estimated_calls=total.estimated_calls,
        groups=named,
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
        latency_ms=total.latency_ms,
        percentiles=total.percentiles,
        per=total.per,
        rest=rest,
        rest_groups=len(groups) - len(named),
    )


class _More:
    """What is told beside the sums, of each group and of the whole, where it was asked for."""

    def __init__(
        self,
        reader: AggregateReader,
        period: Period,
        question: Question,
        filters: Filters,
        group_by: Sequence[str],
        gaps: Gaps,
    ) -> None:
        self._shares, self._all = question.percentiles, Percentiles()
        self._spreads: dict[GroupKey, Percentiles] = {}
        self._units: dict[str, Mapping[GroupKey, units.Counted]] = {}
        self._units_of_all: dict[str, units.Counted] = {}
        if not (question.percentiles or question.per):
            return
        if not isinstance(reader, CostReader):
            raise TypeError(f"percentiles and costs per unit need a store, not a {type(reader).__name__}")
        if question.percentiles:
            spread = Spread(group_by, question.tz)
            others = [name for name in group_by if name not in TIME_UNITS]
            for key, call in reader.each(others, filters, period, gaps=gaps):
                spread.add(key, call.at_us, call.cost_nanos, None if call.is_error else call.latency_us)
            self._spreads, self._all = spread.of(self._shares), spread.of_all(self._shares)
        for unit in question.per:
            if group_by:
                self._units[unit] = units.count_units(reader, unit, period, group_by, filters, question.tz)
            self._units_of_all[unit] = units.count_units(reader, unit, period, (), filters, question.tz).get(
                (), units.NONE
            )

    def spread(self, key: GroupKey | None) -> Percentiles | None:
        """Return the percentiles of a group, or of all calls."""
        if not self._shares:
            return None
        return self._all if key is None else self._spreads.get(key, Percentiles())

    def per(self, key: GroupKey | None) -> Mapping[str, CostPer]:
        """Return what one of each unit costs, in a group or in all."""
        return {
            unit: units.made(unit, of_all if key is None else self._units[unit].get(key, units.NONE))
            for unit, of_all in self._units_of_all.items()
        }


def _ordered(
    groups: list[CostGroup], question: Question, found: Mapping[GroupKey, Totals]
) -> tuple[list[CostGroup], CostGroup | None]:
    """Return the groups in their order, and what lies behind the first ones in one."""
    by_time = any(name in TIME_UNITS for name in question.group_by)
    ordered = _in_order(groups, by_time=by_time and question.sort is None, figure=SORTS[question.sort or "cost"])
    if question.top is None or question.top >= len(ordered):
        return ordered, None
    named = _in_order(groups, by_time=False, figure=SORTS[question.sort or "cost"])[: question.top]
    kept = {tuple(group.key.values()) for group in named}
    rest = Totals.of(totals for key, totals in found.items() if key not in kept)
    return [group for group in ordered if tuple(group.key.values()) in kept], CostGroup.of({}, rest)


def _in_order(groups: list[CostGroup], *, by_time: bool, figure: Callable[[CostGroup], float]) -> list[CostGroup]:
    by_figure = sorted(groups, key=lambda group: (-figure(group), -group.calls, str(group.key)))
    if not by_time:
        return by_figure
    return sorted(by_figure, key=lambda group: [group.key[unit] or "" for unit in TIME_UNITS if unit in group.key])


SORTS: Mapping[str, Callable[[CostGroup], float]] = {
    "cost": lambda group: group.cost_nanos or 0,
    "calls": lambda group: group.calls,
    "tokens": lambda group: group.input_tokens + group.output_tokens,
    "errors": lambda group: group.errors,
    "time": lambda group: group.latency_ms,
}
"""The figures by which groups can be ordered."""
