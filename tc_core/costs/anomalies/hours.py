"""How far an hour's cost lies outside of what is usual, for many series at once.

An hour is expected to cost what the same hour of the last two weeks did; how far it lies off, as a share of that, is
compared with the band in which it has lain in the last three weeks. The band is set anew at each midnight (UTC).
Everything about an hour comes from before it, from at most `REACH` days.
"""

import numpy as np

from tc_core.costs.anomalies.scores import Scores
from tc_core.costs.anomalies.windows import Places, mean_of_last, median, quantiles
from tc_core.costs.weekdays import Floats

MARGIN = 0.3
"""Outside of the usual by more than this share of the usual band is an anomaly."""

QUIET = 12
"""So many hours without an anomaly end an episode."""

LEVEL = 14
BAND = 21
MEMORY = 45
REACH = MEMORY + BAND + 1
"""Days before an hour that can matter to it."""

LEAST = 3
"""Days before a series is judged."""

_DAY = 24
_SOFTENING = 0.5
"""Share of a typical hour that is added to what is expected, so that small sums weigh little."""

_TAIL = 0.015
_NARROWEST = 0.02
_FULL = 10
"""With fewer days the band is wider in proportion."""

_ENOUGH = 0.6


def score_hours(costs: Floats, begins: Places) -> Scores:
    """Score hourly costs (series x hours from a midnight, whole days, NaN where the cost is not known).

    `begins` has for each hour where the history begins that counts for it.
    """
    series, hours = costs.shape
    days = hours // _DAY
    expected, typical = _expected(costs, begins)
    scale = np.abs(expected) + _SOFTENING * typical
    with np.errstate(invalid="ignore", divide="ignore"):
        residual = np.where(scale > 0, (costs - expected) / scale, np.nan)  # where all was zero nothing is judged
    means = mean_of_last(residual, 2, least=2)
    up, down = np.full((series, hours), np.nan), np.full((series, hours), np.nan)
    low, high = np.full((series, hours), np.nan), np.full((series, hours), np.nan)
    for day in range(LEAST, days):
        now = slice(day * _DAY, (day + 1) * _DAY)
        place = np.arange(max(0, day - BAND) * _DAY, day * _DAY)
        begin = begins[:, day * _DAY, None] // _DAY
        past = np.where(place // _DAY > begin, means[:, place], np.nan)
        seen = np.maximum(day - begin[:, 0], 1)
        few = (np.isfinite(past).sum(1) < _DAY * (LEAST - 1) * _ENOUGH) | (seen < LEAST)
        below, above = quantiles(past, (_TAIL, 1 - _TAIL))
        below, above = np.minimum(np.nan_to_num(below), 0)[:, None], np.maximum(np.nan_to_num(above), 0)[:, None]
        width = np.maximum(above - below, _NARROWEST) * np.maximum(1, _FULL / seen)[:, None]
        up[:, now] = np.where(few[:, None], np.nan, (means[:, now] - above) / width)
        down[:, now] = np.where(few[:, None], np.nan, (below - means[:, now]) / width)
        low[:, now] = expected[:, now] + (below - MARGIN * width) * scale[:, now]
        high[:, now] = expected[:, now] + (above + MARGIN * width) * scale[:, now]
    return Scores(up, down, expected, np.maximum(low, 0), high)


def _expected(costs: Floats, begins: Places) -> tuple[Floats, Floats]:
    """Return what each hour is expected to cost, and what an hour with cost typically does."""
    series, hours = costs.shape
    days = hours // _DAY
    padded = np.concatenate([costs, np.full((series, 1), np.nan)], 1)
    around = np.where(np.isfinite(costs), mean_of_last(padded, 3, least=1)[:, 1:], np.nan)
    by_day = around.reshape(series, days, _DAY)
    each = median(np.where(costs != 0, np.abs(costs), np.nan).reshape(series, days, _DAY))
    until_midnight = mean_of_last(costs, 2, least=1).reshape(series, days, _DAY)[:, :, _DAY - 1]
    expected, typical = np.full((series, days, _DAY), np.nan), np.full((series, days, _DAY), np.nan)
    for day in range(1, days):
        first = max(0, day - LEVEL)
        is_known = (np.arange(first, day) >= begins[:, day * _DAY, None] // _DAY)[:, :, None]
        past = np.where(is_known, by_day[:, first:day], np.nan)
        past[:, -1, _DAY - 1] = np.where(is_known[:, -1, 0], until_midnight[:, day - 1], np.nan)
        expected[:, day] = median(past.swapaxes(1, 2))
        typical[:, day] = median(np.where(is_known[:, :, 0], each[:, first:day], np.nan))[:, None]
    return expected.reshape(series, hours), typical.reshape(series, hours)
