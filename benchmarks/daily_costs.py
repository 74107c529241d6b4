"""Daily costs as agents make them, of many kinds, and what can go wrong with them: for anomalies and forecasts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Chance = np.random.Generator

DAYS = 90


@dataclass(frozen=True, slots=True)
class Case:
    """One series, and on which day what has gone wrong, if anything."""

    kind: str
    costs: Floats
    event: str = "none"
    day: int | None = None


class _Days:
    """What kinds are made of: noise, weekdays, the number of each day."""

    def __init__(self, chance: Chance, count: int) -> None:
        self.chance, self.count = chance, count
        self.number = np.arange(count)
        self.weekday = (self.number + chance.integers(7)) % 7
        self.weekend = np.where(self.weekday >= 5, chance.uniform(0.15, 0.6), 1.0)

    def noise(self, deviation: float) -> Floats:
        """Return factors around one."""
        return np.asarray(np.exp(self.chance.normal(0, deviation, self.count) - deviation**2 / 2))

    def growth(self, sign: int) -> Floats:
        """Return factors that grow or shrink by up to 3 % a day."""
        return np.asarray(np.exp(sign * self.chance.uniform(0.005, 0.03) * self.number))

    def steps(self) -> Floats:
        """Return factors that rise twice."""
        factors = np.ones(self.count)
        for day in self.chance.choice(np.arange(10, 80), 2, replace=False):
            factors[day:] *= self.chance.uniform(1.1, 1.5)
        return factors

    def beginning(self) -> Floats:
        """Return zeros, then a rise within five days."""
        begin = self.chance.integers(30, 75)
        return np.where(self.number < begin, 0, np.minimum(1, (self.number - begin + 1) / 5))

    def some(self, share: float, values: Floats) -> Floats:
        """Return values on a share of the days, zeros on the others."""
        return np.where(self.chance.random(self.count) < share, values, 0)


Kind = Callable[[_Days], NDArray[Any]]

KINDS: Mapping[str, Kind] = {
    "flat, 10 % noise": lambda days: days.noise(0.1),
    "flat, 40 % noise": lambda days: days.noise(0.4),
    "weekdays": lambda days: days.weekend * days.noise(0.2),
    "growth": lambda days: days.growth(1) * days.noise(0.2) * days.weekend**0.5,
    "decline": lambda days: days.growth(-1) * days.noise(0.2) * days.weekend**0.5,
    "bursts": lambda days: (
        days.noise(0.3) * np.where(days.chance.random(days.count) < 0.1, days.chance.uniform(2, 6, days.count), 1)
    ),
    "launches": lambda days: days.noise(0.25) * days.weekend * days.steps(),
    "sparse": lambda days: days.some(0.25, np.exp(days.chance.normal(0, 0.8, days.count))),
    "new spender": lambda days: days.noise(0.4) * days.weekend * days.beginning(),
    "almost zero": lambda days: days.some(0.03, 0.01 * days.noise(0.5)),
    "counts": lambda days: days.chance.poisson(days.chance.uniform(0.5, 8) * days.weekend, days.count) * 0.02,
    "drift": lambda days: np.exp(np.cumsum(days.chance.normal(0, 0.08, days.count))) * days.noise(0.15) * days.weekend,
}
"""The kinds on which the constants of `costs.anomalies.days` were chosen, with seeds 11 and 12."""

OTHER_KINDS: Mapping[str, Kind] = {
    "weekly job": lambda days: days.noise(0.2) * np.where(days.weekday == 2, days.chance.uniform(2, 6), 1),
    "month end": lambda days: (
        days.noise(0.2) * np.where((days.number + days.chance.integers(30)) % 30 < 2, days.chance.uniform(1.5, 3), 1)
    ),
    "weekend heavy": lambda days: days.noise(0.25) * np.where(days.weekday >= 5, 2.5, 1),
    "ramp": lambda days: days.noise(0.2) * (1 + 2 * np.clip((days.number - days.chance.integers(20, 50)) / 25, 0, 1)),
    "working days": lambda days: days.noise(0.3) * np.where(days.weekday >= 5, 0, 1),
    "flat, 25 % noise": lambda days: days.noise(0.25),
    "heavy tails": lambda days: np.exp(0.25 * days.chance.standard_t(4, days.count)),
    "slow wave": lambda days: (
        days.noise(0.2)
        * (1 + 0.4 * np.sin(days.number / 90 * 2 * np.pi * days.chance.uniform(0.5, 2) + days.chance.uniform(0, 6)))
    ),
}
"""Kinds that no constant was fitted to, but that were looked at when one of two forms was chosen."""

LAST_KINDS: Mapping[str, Kind] = {
    "every second week": lambda days: days.noise(0.25) * np.where(days.number // 7 % 2 == 0, 1, 1.6),
    "few customers": lambda days: np.sum(
        [days.some(0.7, np.exp(days.chance.normal(0, 0.4, days.count))) for _ in range(days.chance.integers(3, 8))],
        axis=0,
    ),
    "gamma noise": lambda days: days.chance.gamma(8, 1 / 8, days.count) * days.weekend,
    "autocorrelated": lambda days: np.exp(_carried(days.chance.normal(0, 0.2, days.count), 0.6)) * days.weekend,
    "growth in steps": lambda days: 1.15 ** (days.number // 14) * days.noise(0.2),
    "holidays": lambda days: days.noise(0.2) * days.weekend * np.where(days.chance.random(days.count) < 0.03, 0.2, 1),
}
"""Kinds that were made and measured once, after all else stood."""


def _carried(steps: Floats, share: float) -> Floats:
    found = steps.copy()
    for place in range(1, len(found)):
        found[place] += share * found[place - 1]
    return found


EVENTS = ("none", "spike 2x", "spike 3x", "spike 5x", "shift 2x", "shift 3x", "drop to 0.3x", "stop")
_WITHOUT_DROPS = ("sparse", "almost zero", "counts")
_RARE = ("sparse", "almost zero")


def generate(kinds: Mapping[str, Kind], seed: int, per_kind: int, *, days: int = DAYS) -> list[Case]:
    """Return series of each kind, with an event in seven of eight."""
    chance = np.random.default_rng(seed)
    found = []
    for kind, make in kinds.items():
        for number in range(per_kind):
            costs = np.maximum(10 ** chance.uniform(-1, 3) * make(_Days(chance, days)), 0.0)
            found.append(_with_event(kind, costs, EVENTS[number % len(EVENTS)], chance))
    return found


def quiet_series(kinds: Mapping[str, Kind], seed: int, per_kind: int, *, days: int = DAYS) -> list[Case]:
    """Return series of each kind in which nothing goes wrong."""
    chance = np.random.default_rng(seed)
    makers = [(kind, make) for kind, make in kinds.items() for _ in range(per_kind)]
    return [Case(kind, np.maximum(10 ** chance.uniform(-1, 3) * make(_Days(chance, days)), 0)) for kind, make in makers]


def matrix(cases: Sequence[Case]) -> Floats:
    """Return the costs of all cases, series x days."""
    return np.array([case.costs for case in cases])


def _with_event(kind: str, costs: Floats, event: str, chance: Chance) -> Case:
    if event == "none" or (kind in _WITHOUT_DROPS and event in ("drop to 0.3x", "stop")):
        return Case(kind, costs)
    count, earliest = len(costs), 30
    if kind == "new spender":
        earliest = min(int(np.flatnonzero(costs)[0]) + 8, count - 8)
    day = int(chance.integers(earliest, count - 6))
    times = float(event.split()[1][:-1]) if event[:5] in ("spike", "shift") else 0.3
    if event == "stop":
        costs[day:] = 0
    elif not event.startswith("spike"):
        costs[day:] *= times
    elif kind in _RARE:  # so many times what a day with cost has cost
        spent = costs[:day][costs[:day] > 0]
        costs[day] = (float(np.median(spent)) if len(spent) else 1.0) * times * (3 if kind == "almost zero" else 1)
    else:
        costs[day] *= times
    return Case(kind, costs, event, day)
