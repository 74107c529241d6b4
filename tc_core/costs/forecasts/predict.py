"""The total of the days to come with an interval, from daily costs; numpy alone.

The members of `members` are weighed by how well they did on the same number of days of this history. The interval is a
mean of one from the noise of the days, and one from the errors of the back-tests, which count for more as there are
more of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tc_core.costs.forecasts import members
from tc_core.costs.weekdays import Floats

MOST_BACKTESTS = 26
LEAST_HISTORY = 14
"""Days before a back-test."""

_LONG_HISTORY = 28
"""Days before a back-test that says which member is better."""

_POWER = 4.0
_CALM = 2.0
_PRIOR_LASTS = 8
_QUANTILE = 1.2816  # between -this and this lies 80 % of a normal distribution
_NOISE = 1.5
_DRIFT, _DRIFT_OF_SHORT = 0.15, 0.2
_WIDEST = 1.5
_PRIOR_WEIGHT = 3.0

Paths = Callable[[Floats, int], Floats]
"""From a history to the daily costs of the days that follow, one row or several."""


class Prediction(NamedTuple):
    """The days to come (without `skip` first ones), their total and interval, and how back-tests did."""

    path: Floats
    total: float
    low: float
    high: float
    backtest_error: float | None


class Backtests(NamedTuple):
    """Totals that were said of the past (origins x members), what came, and after how many days that was."""

    said: Floats
    came: Floats
    origins: Floats


def predict(history: Floats, days: int, *, skip: int = 0, method: Paths | None = None) -> Prediction:
    """Forecast `days` days after the first `skip` ones that follow `history` (every day, none below zero).

    `method` gives one path of its own; the default weighs several.
    """
    tests = backtests(history, days, method or members.paths)
    weights = _weights(tests) if method is None else np.ones(1)
    whole = weights @ np.atleast_2d((method or members.paths)(history, skip + days))
    if len(history) >= _LONG_HISTORY and not history[-_LONG_HISTORY:].any():
        whole = np.zeros(skip + days)  # it has ended, whatever the weeks before say
    path = whole[skip:] * _weekdays(history, skip, days)
    total = float(path.sum())
    error = _error(tests, weights)
    half, soft = _half(history, days, tests, weights)
    low = max((total + soft) * np.exp(-half) - soft, 0.0)
    return Prediction(path, total, float(low), float((total + soft) * np.exp(half) - soft), error)


def backtests(history: Floats, days: int, method: Paths, *, most: int = MOST_BACKTESTS) -> Backtests:
    """Forecast as many days of the past, from a week to the week before it, and compare."""
    origins = list(range(len(history) - days, LEAST_HISTORY - 1, -7))[:most]
    said = [np.atleast_2d(method(history[:origin], days)).sum(1) for origin in origins]
    came = [history[origin : origin + days].sum() for origin in origins]
    return Backtests(np.array(said), np.array(came), np.array(origins, dtype=float))


def _weights(tests: Backtests) -> Floats:
    """Return how much each member weighs: as before, and by its errors."""
    weights = members.PRIOR
    is_long = tests.origins >= _LONG_HISTORY
    if is_long.any():
        count = int(is_long.sum())
        errors = np.abs(tests.said - tests.came[:, None])[is_long]
        relative = (errors / (errors.mean(1, keepdims=True) + 1e-12)).sum(0)
        weights = weights ** (_PRIOR_LASTS / (_PRIOR_LASTS + count))
        weights = weights * ((relative + _CALM) / (count + _CALM)) ** -_POWER
    return np.asarray(weights / weights.sum())


def _weekdays(history: Floats, skip: int, days: int) -> Floats:
    """Return factors of the days; over whole weeks their mean is one."""
    factors = members.weekday_factors(history)
    return np.asarray(factors[(skip + np.arange(days)) % 7])


def _half(history: Floats, days: int, tests: Backtests, weights: Floats) -> tuple[float, float]:
    """Return half the interval, on logarithms, and what is added so that a total of zero has one."""
    soft = 0.05 * float(history[-56:].mean()) * days + 1e-9
    drift = _DRIFT_OF_SHORT if len(history) < _LONG_HISTORY else _DRIFT
    noise = (_NOISE * _variation(history)) ** 2 * (1 / days + 1 / min(len(history), 28))
    half = _QUANTILE * float(np.sqrt(noise + drift**2))
    if len(tests.came):
        errors = np.sort(np.abs(np.log((tests.came + soft) / (tests.said @ weights + soft))))
        apart = 1 + (len(errors) - 1) * 7 / days  # they overlap: so many count
        bound = errors[min(len(errors), int(np.ceil(0.8 * (len(errors) + 1)))) - 1]
        half = float((_PRIOR_WEIGHT * half + apart * bound) / (_PRIOR_WEIGHT + apart))
    return min(half, _WIDEST), soft


def _variation(history: Floats) -> float:
    """Return how far days lie off the mean of their weekday, as a share of the mean day."""
    recent = history[-56:]
    mean = max(float(recent.mean()), 1e-12)
    if len(history) >= LEAST_HISTORY:
        by_week = recent[-(len(recent) // 7 * 7) :].reshape(-1, 7)
        return float(np.sqrt(((by_week - by_week.mean(0)) ** 2).sum() / (by_week.size - 7))) / mean
    spread = float(recent.std(ddof=1)) if len(recent) > 1 else mean
    return max(spread / mean, 0.3)


def _error(tests: Backtests, weights: Floats) -> float | None:
    """Return the mean error as a share of what came."""
    came = float(tests.came.sum())
    return float(np.abs(tests.said @ weights - tests.came).sum()) / came if came else None
