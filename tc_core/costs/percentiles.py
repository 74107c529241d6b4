"""Percentiles of what calls cost and of how long they take, exactly, from each call."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from tc_core.costs.zones import TIME_UNITS, name_in_zone
from tc_core.model import money
from tc_core.model.event import from_us
from tc_core.model.ports import GroupKey

_US_PER_QUARTER = 900_000_000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How the calls of a group are spread: `p50`, `p95` and so on, and what so many calls in 100 do not exceed.

    Each is the value of one of the calls. `cost` is US dollars of priced calls, `latency_ms` that of calls that were
    answered; both are empty where no call has one.
    """

    cost: Mapping[str, float] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    cost_nanos: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: dict(getattr(self, name)) for name in self.__slots__}


def check(shares: Sequence[float]) -> None:
    """Raise ValueError for a percentile that there is not."""
    several: object = shares
    if isinstance(several, str) or not isinstance(several, Iterable):
        raise ValueError(f"percentiles are several, such as [50, 95], not {several!r}")
    for share in several:
        is_number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not is_number or not 0 < share <= 100:  # false for NaN too
            raise ValueError(f"percentiles lie above 0 and up to 100, not {share!r}")


class Spread:
    """Takes up the figures of calls, and tells their percentiles by group."""

    def __init__(self, group_by: Sequence[str], tz: tzinfo) -> None:
        self._units = [(place, name) for place, name in enumerate(group_by) if name in TIME_UNITS]
        self._tz = tz
        self._names: dict[tuple[str, int], str] = {}
        self._costs: dict[GroupKey, list[int]] = {}
        self._latencies: dict[GroupKey, list[int]] = {}

    def add(self, key: GroupKey, at_us: int, cost_nanos: int | None, latency_us: int | None) -> None:
        """Take up one call; `key` has its values of all names that are no times."""
        if self._units:
            key = self._with_times(key, at_us)
        if cost_nanos is not None:
            self._costs.setdefault(key, []).append(cost_nanos)
        if latency_us is not None:
            self._latencies.setdefault(key, []).append(latency_us)

    def of(self, shares: Sequence[float]) -> dict[GroupKey, Percentiles]:
        """Return the percentiles of each group."""
        keys = dict.fromkeys((*self._costs, *self._latencies))
        return {key: _made(self._costs.get(key, ()), self._latencies.get(key, ()), shares) for key in keys}

    def of_all(self, shares: Sequence[float]) -> Percentiles:
        """Return the percentiles of all calls."""
        costs = [each for values in self._costs.values() for each in values]
        return _made(costs, [each for values in self._latencies.values() for each in values], shares)

    def _with_times(self, key: GroupKey, at_us: int) -> GroupKey:
        values = list(key)
        quarter = at_us // _US_PER_QUARTER
        for place, unit in self._units:
            name = self._names.get((unit, quarter))
            if name is None:
                name = self._names[unit, quarter] = name_in_zone(from_us(at_us), unit, self._tz)
            values.insert(place, name)
        return tuple(values)


def _made(costs: Iterable[int], latencies: Iterable[int], shares: Sequence[float]) -> Percentiles:
    nanos, us = _at(costs, shares), _at(latencies, shares)
    return Percentiles(
        cost=_each(nanos, money.to_dollars), latency_ms=_each(us, lambda each: each / 1000), cost_nanos=nanos
    )


def _at(values: Iterable[int], shares: Sequence[float]) -> dict[str, int]:
    """Return the nearest rank: the smallest value that is not exceeded by that share of all."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"p{share:g}": ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] for share in shares}


def _each(values: Mapping[str, int], change: Callable[[int], float]) -> dict[str, float]:
    return {name: change(value) for name, value in values.items()}
