"""Replaying recorded calls through a scenario: each is changed and priced, one by one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, sqrt
from statistics import fmean, pstdev

import orjson

from tc_core.costs.plain_totals import check_names, value_of
from tc_core.costs.repricing import Repricing
from tc_core.costs.scenarios import Scenario, ScenarioGroup, ScenarioResult, dollars
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.period import Period
from tc_core.model.ports import CallFacts, Filters, GroupKey
from tc_core.runtime.recorders import recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

Progress = Callable[[int, int | None], object]

_US_PER_DAY = 86_400_000_000
_QUANTILE = 1.2816
_NOISE = 1.5
_OTHER_TOKENS = 0.1
"""Another maker's model counts the same text by so much more or less tokens (a standard deviation)."""


@dataclass(slots=True)
class _Sums:
    calls: int = 0
    before: int = 0
    after: float = 0
    priced_before: int = 0
    priced_after: int = 0
    change: float = 0
    compared: int = 0
    doubtful: float = 0
    """What of `after` rests on tokens that are estimated, or that another maker's model would count otherwise."""
    by_day: dict[int, float] = field(default_factory=dict)


class Replay:
    """Takes calls in, and says what they would have cost."""

    def __init__(self, scenario: Scenario, *, removed: int = 0) -> None:
        self._scenario = scenario
        self._sums: dict[GroupKey, _Sums] = {}
        self._repricing = Repricing(scenario)
        self._days: set[int] = set()
        self._removed = removed

    def take(self, calls: Sequence[CallFacts]) -> None:
        """Price some calls as they would have been."""
        days, is_same, volume = self._days, not self._scenario.is_priced_anew, self._scenario.volume
        for call in calls:
            sums = self._sums.get(call.group)
            if sums is None:
                sums = self._sums[call.group] = _Sums()
            before = call.cost_nanos
            after, is_doubtful = (before, False) if is_same else self._repricing.after(call)
            sums.calls += 1
            day = call.at_us // _US_PER_DAY
            if day not in days:
                days.add(day)
            if before is not None:
                sums.before += before
                sums.priced_before += 1
            if after is not None:
                cost = after * volume
                sums.after += cost
                sums.priced_after += 1
                sums.by_day[day] = sums.by_day.get(day, 0.0) + cost
                if before is not None:
                    sums.change += cost - before
                    sums.compared += 1
                if is_doubtful or call.usage_source in ("proxy", "estimate"):
                    sums.doubtful += cost

    def result(self, by: Sequence[str], period: Period) -> ScenarioResult:
        """Return what came of it."""
        check_names(by, self._sums)
        days = len(self._days)
        whole = _added(self._sums.values())
        groups = [_group(dict(zip(by, key, strict=True)), sums, days) for key, sums in self._sums.items()]
        groups.sort(key=lambda group: (-(group.cost_before_nanos or 0), -group.calls, str(group.key)))
        total = _group({}, whole, days)
        return ScenarioResult(
            **{name: getattr(total, name) for name in ScenarioGroup.__slots__ if name != "key"},
            groups=groups if by else [],
            unknown_models=sorted(self._repricing.unknown),
            unused_models=sorted(set(self._scenario.model_map) - self._repricing.seen),
            days=days,
            monthly_change=None if total.change is None or not days else total.change * 30 / days,
            start=period.start,
            end=period.end,
            notes=self._notes(total, days),
        )

    def _notes(self, total: ScenarioGroup, days: int) -> list[str]:
        notes = [
            f"no price is known for {model!r}: its calls are left out" for model in sorted(self._repricing.unknown)
        ]
        unused = sorted(set(self._scenario.model_map) - self._repricing.seen)
        if total.calls:
            notes += [f"no call of the period asked for {model!r}" for model in unused]
        notes += [
            f"{count:,} {'call has' if count == 1 else 'calls have'} more input than {model} takes"
            f" ({self._repricing.windows[model]:,} tokens)"
            for model, count in sorted(self._repricing.too_long.items())
        ]
        notes += [
            f"{model} has no price for batches: its standard price holds"
            for model in sorted(self._repricing.without_batch)
        ]
        if total.unpriced_before:
            notes.append(f"{total.unpriced_before:,} of {total.calls:,} calls have no price as they are")
        if self._removed:
            notes.append(f"{self._removed:,} events of the period have left the store and are not replayed")
        if total.calls and days < 7:
            notes.append(f"the period has calls on {days} day{'' if days == 1 else 's'} only: the interval is wide")
        return notes


def pages(
    storage: StorageBackend, by: Sequence[str], filters: Filters, period: Period, progress: Progress | None
) -> Iterator[Sequence[CallFacts]]:
    """Read the calls of a period, as many at once as is quick."""
    if not isinstance(storage, SqlStore):
        recorder_for(storage).drain()
        found = storage.query_events(filters, period.start, period.end)
        calls = (event for event in found if event.is_call and event.status != "open")
        yield [_facts(event, by) for event in calls if event.cost_nanos is not None or is_counted(event)]
        return
    total = storage.count(filters, period.start, period.end) if progress is not None else None
    done = 0
    for page in storage.calls(by, filters, period.start, period.end):
        yield page
        done += len(page)
        if progress is not None:
            progress(done, total)


def is_counted(event: TrackingEvent) -> bool:
    """Tell whether a call without a cost lacks one: no provider bills a call that failed without usage."""
    return event.has_usage or event.status != "error"


def removed_in(storage: StorageBackend, period: Period) -> int:
    """Return how many events of a period have left the store."""
    removed = storage.removals() if isinstance(storage, SqlStore) else {}
    return sum(events for day, events in removed.items() if period.has_some_of(day))


def _facts(event: TrackingEvent, by: Sequence[str]) -> CallFacts:
    return CallFacts(
        tuple(value_of(event, name) for name in by),
        to_us(event.timestamp),
        event.usage,
        orjson.dumps(dict(event.charges)).decode() if event.charges else None,
        event.cost_nanos,
        event.model,
        event.served_model,
        event.provider,
        event.service_tier,
        event.usage_source,
        event.price_source,
    )


def _added(parts: Iterable[_Sums]) -> _Sums:
    whole = _Sums()
    for sums in parts:
        for name in ("calls", "before", "after", "priced_before", "priced_after", "change", "compared", "doubtful"):
            setattr(whole, name, getattr(whole, name) + getattr(sums, name))
        for day, cost in sums.by_day.items():
            whole.by_day[day] = whole.by_day.get(day, 0.0) + cost
    return whole


def _group(key: Mapping[str, str | None], sums: _Sums, days: int) -> ScenarioGroup:
    before = sums.before if sums.priced_before or not sums.calls else None
    after = round(sums.after) if sums.priced_after or not sums.calls else None
    half = _half(sums, days)
    return ScenarioGroup(
        key=key,
        calls=sums.calls,
        cost_before=dollars(before),
        cost_after=dollars(after),
        low=None if after is None else after * exp(-half) / 1e9,
        high=None if after is None else after * exp(half) / 1e9,
        change=sums.change / 1e9 if sums.compared or not sums.calls else None,
        unpriced_before=sums.calls - sums.priced_before,
        unpriced_after=sums.calls - sums.priced_after,
        cost_before_nanos=before,
        cost_after_nanos=after,
    )


def _half(sums: _Sums, days: int) -> float:
    """Return half the interval on logarithms: how days differ, and how tokens may be counted otherwise."""
    costs = list(sums.by_day.values()) + [0.0] * (days - len(sums.by_day))
    mean = fmean(costs) if costs else 0.0
    if not mean:
        return 0.0
    spread = max(pstdev(costs) / mean, 0.3) if len(costs) < 7 else pstdev(costs) / mean
    doubt = _OTHER_TOKENS * sums.doubtful / sums.after
    return min(_QUANTILE * sqrt((_NOISE * spread) ** 2 / len(costs) + doubt**2), _NOISE)
