"""What may be said of two arms after each outcome, however often one looks.

The difference of means: the normal-mixture confidence sequence (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021;
its asymptotic form: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024, arXiv 2103.06476). Its error is never below that
of both arms pooled, since a small arm without a failure yet would look certain. Exact at every size, but slower for
small differences: bets on pairs of outcomes (aGRAPA; Waudby-Smith, Ramdas 2024). All works on arrays.
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.floating[Any]]

ALPHA = 0.04
"""In at most so large a share of tests without a difference one is ever said to be known."""
LEAST = 30
"""Under so many outcomes in each arm nothing is said."""
NARROWEST = 400
"""At so many outcomes an arm the interval is as narrow as it can be made."""
RATIO_ALPHA = 0.001

RHO2 = (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))) / NARROWEST


@dataclass(frozen=True, slots=True)
class Sums:
    """Of both arms: how many outcomes, their sum, and that of their squares; numbers, or arrays over time."""

    n_a: Numbers
    n_b: Numbers
    s_a: Numbers
    s_b: Numbers
    q_a: Numbers
    q_b: Numbers


def running(arms: NDArray[np.int64], values: Numbers) -> Sums:
    """Return the sums after each outcome; `arms` are 0 for a and 1 for b."""
    b = arms.astype(float)
    a = 1 - b
    squares = values * values
    return Sums(*(np.cumsum(each) for each in (a, b, values * a, values * b, squares * a, squares * b)))


def interval(sums: Sums, prior: float) -> tuple[Numbers, Numbers]:
    """Return mean b - mean a, and how far on both sides the truth may lie: infinitely far before `LEAST` outcomes.

    `prior` is added to each sum of squares: the square of half the range of outcomes, or 0 where they have none.
    """
    n_a, n_b = np.maximum(sums.n_a, 1), np.maximum(sums.n_b, 1)
    both = n_a + n_b
    v_a, v_b = _variance(n_a, sums.s_a, sums.q_a, prior), _variance(n_b, sums.s_b, sums.q_b, prior)
    v = _variance(both, sums.s_a + sums.s_b, sums.q_a + sums.q_b, prior)
    error2 = np.maximum(v_a / n_a + v_b / n_b, v / n_a + v / n_b)
    found = np.sqrt(error2) * width(2 * n_a * n_b / both)
    is_said = (sums.n_a >= LEAST) & (sums.n_b >= LEAST)
    return sums.s_b / n_b - sums.s_a / n_a, np.where(is_said, found, np.inf)


def width(n: Numbers) -> Numbers:
    """Return how many standard errors the interval is wide to each side, at so many outcomes an arm."""
    t = n * RHO2
    found: Numbers = np.sqrt((t + 1) / t * np.log((t + 1) / ALPHA**2))
    return found


def _variance(n: Numbers, s: Numbers, q: Numbers, prior: float) -> Numbers:
    found: Numbers = (np.maximum(q - s * s / n, 0) + prior) / n
    return found


def bets(
    arms: NDArray[np.int64], values: Numbers, low: float, high: float
) -> tuple[Numbers, Numbers, NDArray[np.int64]]:
    """Return the logarithms of what bets that b is higher, and that it is lower, have made, after each pair.

    The first outcome of a is paired with the first of b, and so on; the third array says after how many outcomes each
    pair was whole. Decide where half of each together has made 1 / ALPHA.
    """
    at_a, at_b = np.flatnonzero(arms == 0), np.flatnonzero(arms == 1)
    pairs = min(len(at_a), len(at_b))
    at_a, at_b = at_a[:pairs], at_b[:pairs]
    z = ((values[at_b] - values[at_a]) / (high - low) + 1) / 2
    i = np.arange(1, pairs + 1)
    mean = (0.5 + np.cumsum(z)) / (i + 1)
    variance = (0.25 + np.cumsum((z - mean) ** 2)) / (i + 1)
    before, spread = (
        np.r_[0.5, mean[:-1]][:pairs],
        np.r_[0.25, variance[:-1]][:pairs],
    )  # a bet knows only what came before
    bet = (before - 0.5) / (spread + (before - 0.5) ** 2)
    up, down = np.clip(bet, 0, 1), np.clip(-bet, 0, 1)
    higher, lower = np.cumsum(np.log1p(up * (z - 0.5))), np.cumsum(np.log1p(-down * (z - 0.5)))
    return higher, lower, np.maximum(at_a, at_b) + 1


def ratio_evidence(n_a: int, n_b: int, split: float) -> float:
    """Return how many times likelier so many in each arm are by another split than by the one that was set.

    It is a mixture over all splits, so that it passes 1 / RATIO_ALPHA in at most that share of tests, however often
    one looks.
    """
    log_other = math.lgamma(n_a + 1) + math.lgamma(n_b + 1) - math.lgamma(n_a + n_b + 2)
    log_set = n_a * math.log1p(-split) + n_b * math.log(split)
    return math.exp(min(700.0, log_other - log_set))
