"""The simple forecasts of which the default is a weighted mean: the last weeks again, and a damped trend."""

import numpy as np

from tc_core.costs import weekdays
from tc_core.costs.weekdays import Floats

MEANS = (14, 28, 56)
"""Days whose mean is taken to go on."""

PRIOR = np.array([0.125, 2.0, 0.125, 1.0])
"""What the means and the trend weigh before back-tests say anything."""

_WEEKS = 12
_SURE = 2.5
"""A slope that is not so many times its error is none."""

_STEEPEST = 0.25
"""Logarithmic growth a week that is believed at most."""

_DAMPING = 0.9
"""Of the growth so much goes on into the next week."""


def per_day(history: Floats, days: int) -> float:
    """Return the mean of the last days, cut to whole weeks where there is one."""
    days = min(days, len(history))
    return float(history[-(days - days % 7 if days >= 7 else days) :].mean())


def paths(history: Floats, days: int) -> Floats:
    """Return the daily costs that each member expects (members x days), without any weekday in them."""
    flat = [np.full(days, per_day(history, mean)) for mean in MEANS]
    return np.array([*flat, trend(history, days)])


def trend(history: Floats, days: int) -> Floats:
    """Return the days that follow when the growth of the last weeks goes on, less and less."""
    growth = weekly_growth(history) / 7
    age = (min(28, len(history)) - 1) / 2  # so old is the mean of the last 28 days
    damped = np.cumsum(_DAMPING ** (np.arange(1, days + 1) / 7))
    return np.asarray(per_day(history, 28) * np.exp(growth * (age + damped)))


def weekly_growth(history: Floats) -> float:
    """Return the logarithmic growth a week: the middle of all slopes between weeks, less what may be noise."""
    slope, error = slope_of_weeks(history)
    if not slope:
        return 0.0
    sure = abs(slope) / error
    return float(np.clip(slope * max(0.0, 1 - (_SURE / sure) ** 2), -_STEEPEST, _STEEPEST))


def slope_of_weeks(history: Floats) -> tuple[float, float]:
    """Return the slope of the logarithms of weekly sums (Theil and Sen) and its error; 0 and 1 where there is none."""
    weeks = min(len(history) // 7, _WEEKS)
    if weeks < 4:
        return 0.0, 1.0
    sums = history[-7 * weeks :].reshape(weeks, 7).sum(1)
    middle = np.median(sums)
    if middle <= 0:
        return 0.0, 1.0
    logs = np.log(sums + 0.05 * middle)
    at = np.arange(weeks) - (weeks - 1) / 2
    first, second = np.triu_indices(weeks, 1)
    slope = float(np.median((logs[second] - logs[first]) / (at[second] - at[first])))
    off = logs - slope * at
    off -= np.median(off)
    error = max(1.2533 * float(np.abs(off).mean()) * np.sqrt(weeks / (weeks - 2)), 1e-6) / np.sqrt((at**2).sum())
    return slope, float(error)


def weekday_factors(history: Floats) -> Floats:
    """Return how each weekday differs from the mean of its week, beginning with the day after the history."""
    weeks = min(len(history) // 7, 8)
    factors: Floats = weekdays.weekday_factors(history[len(history) - 7 * weeks :].reshape(1, weeks, 7))[0]
    return factors
