"""How far a day's cost lies outside of what is usual, for many series at once.

A day is expected to cost what the last four weeks did, by weekday. The ratio of the two as a logarithm, of the day
alone and as the mean of a week, is compared with the band in which it has lain in the last six weeks. Everything about
a day comes from the days before it, at most `REACH` of them: an answer does not depend on where a question begins.
"""

from typing import NamedTuple

import numpy as np

from tc_core.costs.anomalies.anomaly import LEAST_DAYS
from tc_core.costs.anomalies.scores import Scores
from tc_core.costs.anomalies.windows import Places, mean_of_last, median, quantiles
from tc_core.costs.weekdays import Floats, weekday_factors

MARGIN = 1.0
"""A day is an anomaly that is further out of the band than the series' own noise and `_Span` say."""

QUIET = 7
"""So many days without an anomaly end an episode."""

LEVEL = 28
BAND = 42
MEMORY = 90
REACH = MEMORY + BAND + 7
"""Days before a day that can matter to it."""

_SOFTENING = 0.3
"""Share of a typical day that is added to both sides of the ratio, so that small sums weigh little."""

_TAIL = 0.02
_OF_BAND = 0.9
_EVIDENCE = 21
"""With so many days of cost a day must be twice as far out as with very many."""

_LEAST_FACTOR = 0.2
"""Weekdays that cost less than this share of a day say nothing of the level."""


class _Span(NamedTuple):
    """Over how many days is looked at once, and how far out of the band is too far: so many deviations, and so much."""

    days: int
    deviations: float
    least: float


_SPANS = (_Span(1, 1.42, 0.115), _Span(7, 0.38, 0.095))


def score_days(costs: Floats, begins: Places) -> Scores:
    """Score daily costs (series x days, zeros where nothing was spent, NaN where the cost is not known).

    `begins` has for each day where the history begins that counts for it.
    """
    series, days = costs.shape
    filled = costs.copy()
    expected, typical = np.full((series, days), np.nan), np.zeros((series, days))
    for day in range(1, days):
        expected[:, day], typical[:, day] = _expected(filled, day, begins[:, day])
        unknown = np.isnan(costs[:, day])
        filled[unknown, day] = np.nan_to_num(expected[unknown, day])
    soft = _SOFTENING * typical + 1e-9
    with np.errstate(invalid="ignore"):
        residual = np.log((costs + soft) / (expected + soft))
    up, down, low, high = (np.full((series, days), np.nan) for _ in range(4))
    doubt = 1 + (_EVIDENCE / np.maximum(_spent(costs), 1)) ** 2
    for span in _SPANS:
        means = mean_of_last(residual, span.days, least=span.days)
        for day in range(LEAST_DAYS + 1, days):
            below, above, width = _band(means, day, begins[:, day], span)
            width *= doubt[:, day]
            up[:, day] = np.fmax(up[:, day], (means[:, day] - above) / width)
            down[:, day] = np.fmax(down[:, day], (below - means[:, day]) / width)
            if span.days == 1:
                low[:, day] = (expected[:, day] + soft[:, day]) * np.exp(below - width) - soft[:, day]
                high[:, day] = (expected[:, day] + soft[:, day]) * np.exp(above + width) - soft[:, day]
    few = _spent(costs) < LEAST_DAYS
    for scores in (up, down):
        scores[few | np.isnan(costs)] = np.nan
    return Scores(up, down, expected, np.maximum(low, 0), high)


def _band(means: Floats, day: int, begins: Places, span: _Span) -> tuple[Floats, Floats, Floats]:
    """Return the band of the last weeks, and how far out of it is too far."""
    place = np.arange(max(0, day - BAND), day)
    past = np.where(place >= begins[:, None] + 2, means[:, place], np.nan)
    below, low, lower, upper, high, above = quantiles(past, (_TAIL, 0.1, 0.25, 0.75, 0.9, 1 - _TAIL))
    deviation = np.nan_to_num(np.fmax((upper - lower) / 1.35, (high - low) / 2.56))
    width = span.deviations * deviation + span.least
    return _OF_BAND * np.fmin(below, 0), _OF_BAND * np.fmax(above, 0), width


def _spent(costs: Floats) -> Floats:
    """Return how many of the days before each day had cost."""
    counted: Floats = np.concatenate([np.zeros((len(costs), 1)), np.cumsum(costs > 0, 1)], 1)
    days = np.arange(costs.shape[1])
    within: Floats = counted[:, days] - counted[:, np.maximum(days - MEMORY, 0)]
    return within


def _expected(costs: Floats, day: int, begins: Places) -> tuple[Floats, Floats]:
    """Return what a day is expected to cost, and what a day with cost typically does."""
    first = max(0, day - BAND)
    known = np.where(np.arange(first, day) >= begins[:, None], costs[:, first:day], np.nan)
    factors = _factors(known)
    recent = known[:, -LEVEL:]
    of_day = factors[:, np.arange(-recent.shape[1], 0) % 7]
    with np.errstate(divide="ignore", invalid="ignore"):
        level = median(np.where(of_day >= _LEAST_FACTOR, recent / of_day, np.nan))
    expected = np.where(np.isnan(recent).all(1), np.nan, np.nan_to_num(level * factors[:, 0]))
    return expected, np.nan_to_num(median(np.where(known > 0, known, np.nan)))


def _factors(known: Floats) -> Floats:
    """Return how each weekday, counted from the one that follows, differs from the mean of its week."""
    factors = np.ones((len(known), 7))
    whole = np.isfinite(known).sum(1) // 7
    for weeks in range(2, known.shape[1] // 7 + 1):
        some = whole == weeks
        if some.any():
            factors[some] = weekday_factors(known[some][:, -7 * weeks :].reshape(-1, weeks, 7))
    return factors
