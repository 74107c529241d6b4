"""What outcomes say of two ways: an interval that holds however often it is looked at, and how far to trust it.

The normal-mixture confidence sequence for a difference of means: Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon
2021 (Annals of Statistics); asymptotic version by Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024. Thompson
sampling: Thompson 1933, with uniform priors. It is that of
A/B tests (`selection.sequences`) for counts alone: it is asked where calls are made, in programs that need not load
numpy.
"""

from math import inf, log, sqrt
from random import Random
from typing import NamedTuple

ALPHA = 0.05
"""How often an interval may miss, over all looks together."""
LEAST = 30
"""Below so many outcomes of either way nothing is said."""
TIGHTEST = 250
"""Outcomes of each way at which the interval is at its narrowest."""
KEPT = 0.05
"""So many runs stay as they were when all is proven, so that what gets worse later is seen."""
_DRAWS = 2_000
_RANGE = 0.25  # the variance that a 0/1 outcome can have at most: nothing is certain of few


class Counts(NamedTuple):
    """How often something was tried, and came out well."""

    successes: int = 0
    trials: int = 0

    @property
    def rate(self) -> float | None:
        """The share that came out well, None where nothing was tried."""
        return self.successes / self.trials if self.trials else None


def interval(a: Counts, b: Counts) -> tuple[float, float]:
    """Return between which differences of success (b less a) the truth lies, at any time looked."""
    if min(a.trials, b.trials) < LEAST:
        return -inf, inf
    pooled = _variance(Counts(a.successes + b.successes, a.trials + b.trials))
    apart = _variance(a) / a.trials + _variance(b) / b.trials
    error = max(apart, pooled * (1 / a.trials + 1 / b.trials))
    n = 2 * a.trials * b.trials / (a.trials + b.trials)
    rho = (-2 * log(ALPHA) + log(1 - 2 * log(ALPHA))) / TIGHTEST
    half = sqrt(error * (n * rho + 1) / (n * rho) * log((n * rho + 1) / ALPHA**2))
    middle = b.successes / b.trials - a.successes / a.trials
    return middle - half, middle + half


def is_not_worse(successes_a: int, trials_a: int, successes_b: int, trials_b: int, margin: float) -> bool:
    """Tell whether b is proven not to succeed less often than a by more than `margin`, a share of the trials."""
    return interval(Counts(successes_a, trials_a), Counts(successes_b, trials_b))[0] > -margin


def is_worse(successes_a: int, trials_a: int, successes_b: int, trials_b: int, margin: float) -> bool:
    """Tell whether b is proven to succeed less often than a, and not within `margin` of it."""
    low, high = interval(Counts(successes_a, trials_a), Counts(successes_b, trials_b))
    return high < 0 and low <= -margin


def share(kept: Counts, routed: Counts, *, floor: float, margin: float) -> float:
    """Return the share of runs to route: `floor` until it is proven that nothing is lost, then as Thompson sampling.

    From then on it is the probability, after all outcomes, that routed runs do not succeed less often by more than the
    margin; some are always kept as they were.
    """
    if not is_not_worse(*kept, *routed, margin):
        return floor
    draws = Random(f"{kept} {routed}")  # noqa: S311  # the same counts give the same share in every process
    better = sum(_draw(draws, routed) >= _draw(draws, kept) - margin for _ in range(_DRAWS))
    return max(floor, min(1 - KEPT, better / _DRAWS))


def _draw(draws: Random, counts: Counts) -> float:
    return draws.betavariate(1 + counts.successes, 1 + counts.trials - counts.successes)


def _variance(counts: Counts) -> float:
    """Return the variance of outcomes of 0 and 1, and some for what few have not shown yet."""
    n, s = counts.trials, counts.successes
    return (s - s * s / n + _RANGE) / n
