"""How far a day's cost lies outside of what is usual, for many series at once.

A day is expected to cost what the last two weeks did, by weekday; the ratio of the two, as a logarithm, is compared
with the band in which it has lain in the last six weeks. Everything about a day comes from the days before it, at most
`REACH` of them, so that an answer does not depend on where a question begins.
"""

import numpy as np

from tc_core.costs.anomalies.scores import Scores
from tc_core.costs.anomalies.windows import Floats, Places, first_cost, mean_of_last, median, quantiles

MARGIN = 0.45
"""Outside of the usual by more than this share of the usual band is an anomaly."""

QUIET = 7
"""So many days without an anomaly end an episode."""

LEAST = 7
"""Days with cost before a series is judged."""

LEVEL = 14
BAND = 42
MEMORY = 90
REACH = MEMORY + BAND + 3
"""Days before a day that can matter to it."""

_SOFTENING = 0.3
"""Share of a typical day that is added to both sides of the ratio, so that small sums weigh little."""

_TAIL = 0.02
_NARROWEST = 0.3
_FULL = 28
"""With fewer days of cost than this the band is wider in proportion."""


def score_days(costs: Floats) -> Scores:
    """Score daily costs (series x days, zeros where nothing was spent, NaN where the cost is not known)."""
    series, days = costs.shape
    begins = first_cost(costs, MEMORY)
    filled = costs.copy()
    expected, typical = np.full((series, days), np.nan), np.zeros((series, days))
    for day in range(1, days):
        expected[:, day], typical[:, day] = _expected(filled, day, begins[:, day])
        unknown = np.isnan(costs[:, day])
        filled[unknown, day] = np.nan_to_num(expected[unknown, day])
    soft = _SOFTENING * typical + 1e-9
    with np.errstate(invalid="ignore"):
        residual = np.log((costs + soft) / (expected + soft))
    residual[:, :1] = np.nan
    spent = _spent(costs)
    up, down = np.full((series, days), np.nan), np.full((series, days), np.nan)
    low, high = np.full((series, days), np.nan), np.full((series, days), np.nan)
    for span in (1, 3):
        means = mean_of_last(residual, span, least=span)
        for day in range(8, days):
            place = np.arange(max(0, day - BAND), day)
            past = np.where(place >= begins[:, day, None] + 2, means[:, place], np.nan)
            below, above = quantiles(past, (_TAIL, 1 - _TAIL))
            below, above = np.minimum(np.nan_to_num(below), 0), np.maximum(np.nan_to_num(above), 0)
            width = np.maximum(above - below, _NARROWEST) * np.maximum(1, _FULL / np.maximum(spent[:, day], 1))
            up[:, day] = np.fmax(up[:, day], (means[:, day] - above) / width)
            down[:, day] = np.fmax(down[:, day], (below - means[:, day]) / width)
            if span == 1:
                low[:, day] = (expected[:, day] + soft[:, day]) * np.exp(below) - soft[:, day]
                high[:, day] = (expected[:, day] + soft[:, day]) * np.exp(above) - soft[:, day]
    few = spent < LEAST
    for scores in (up, down):
        scores[few | np.isnan(costs)] = np.nan
    return Scores(up, down, expected, np.maximum(low, 0), high)


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
    factors = _weekday_factors(known)
    recent = known[:, -LEVEL:]
    weekdays = (np.arange(-recent.shape[1], 0)) % 7
    level = median(recent / np.maximum(factors[:, weekdays], 0.05))
    return level * factors[:, 0], np.nan_to_num(median(np.where(known > 0, known, np.nan)))


def _weekday_factors(known: Floats) -> Floats:
    """Return how each weekday, counted from the one that follows, differs from the mean of its week."""
    series, days = known.shape
    factors = np.ones((series, 7))
    whole = (np.isfinite(known).sum(1)) // 7
    for weeks in range(2, days // 7 + 1):
        some = whole == weeks
        if not some.any():
            continue
        by_week = known[some][:, days - 7 * weeks :].reshape(-1, weeks, 7)
        share = by_week / (by_week.sum(2, keepdims=True) + 1e-12)
        usual = (np.median(share, 1) if weeks > 2 else share.mean(1)) * 7
        usual /= np.maximum(usual.mean(1, keepdims=True), 1e-9)
        factors[some] = 1 + weeks / (weeks + 2) * (usual - 1)
    return factors
