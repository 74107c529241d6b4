"""How few false alarms there are however many series are looked at (Benjamini and Hochberg, 1995).

The chance that a quiet series lies so far out is taken from how often quiet series did in `benchmarks.anomalies`: it
falls by e with each `tail` widths. Chances of this kind are estimates, so the control is measured there too.
"""

from typing import NamedTuple

import numpy as np

from tc_core.costs.anomalies.windows import Bools
from tc_core.costs.weekdays import Floats


class Tail(NamedTuple):
    """How often a series in which nothing is wrong is out: at the margin, and how fast that falls beyond it."""

    margin: float
    at_margin: float
    tail: float
    accepted: float
    """In so large a share of buckets may one of all series be out by chance."""


def significant(scores: Floats, law: Tail) -> Bools:
    """Tell which scores (series x buckets) are out of the usual, given all that are looked at in the same bucket."""
    known = np.isfinite(scores)
    beyond = np.where(known, scores, -np.inf)
    is_out = beyond > law.margin
    chance = np.where(is_out, law.at_margin * np.exp(-np.where(is_out, beyond - law.margin, 0) / law.tail), 1.0)
    ordered = np.sort(chance, 0)
    looked_at = known.sum(0)
    rank = np.arange(1, len(scores) + 1)[:, None]
    passes = ordered <= law.accepted * rank / np.maximum(looked_at, 1)
    limit = np.where(passes, ordered, -np.inf).max(0, initial=-np.inf)
    return np.asarray(is_out & (chance <= limit))
