"""How the days of a week differ, for many series at once."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DOUBT = 0.075
"""Doubt about factors that no spread shows, as a share of their square: after one week all of them may be chance."""


def weekday_factors(weeks: Floats) -> Floats:
    """Return each weekday's factor of the mean of its week (series x 7), from whole weeks (series x weeks x 7).

    They are the middle of the shares that the days had of their weeks, drawn to one by as much of their differences as
    the spread between weeks explains (James and Stein, 1961). Ones where there are fewer than two weeks.
    """
    series, count, _ = weeks.shape
    if count < 2:
        return np.ones((series, 7))
    share = weeks / (weeks.sum(2, keepdims=True) + 1e-12) * 7
    usual = np.median(share, 1) if count > 2 else share.mean(1)
    usual = usual / np.maximum(usual.mean(1, keepdims=True), 1e-9)
    if count > 2:
        spread = 1.57 * (1.5 * np.median(np.abs(share - usual[:, None]), 1)) ** 2 / count  # of a median
    else:
        spread = ((share - usual[:, None]) ** 2).sum(1) / 2 + 0.02
    chance = spread.mean(1) + _DOUBT * (usual**2).mean(1) / count**2
    differ = ((usual - 1) ** 2).mean(1)
    kept = np.clip(1 - chance / np.maximum(differ, 1e-12), 0, 1)[:, None]
    kept[usual.mean(1) < 0.5] = 0  # most days cost nothing, whichever weekday
    return np.asarray(1 + kept * (usual - 1))
