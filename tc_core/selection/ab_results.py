"""What an A/B test says: of each arm how it came out and what it cost, of both whether they differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tc_core.model import money
from tc_core.model.totals import Totals
from tc_core.selection import ab_words
from tc_core.selection.ab_definition import Method, State
from tc_core.selection.sequences import ALPHA, LEAST, RATIO_ALPHA, bets, interval, ratio_evidence, running

Outcomes = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class ABArm:
    """One arm: `mean` is that of its outcomes, costs are US dollars, `latency_ms` is the mean of a call.

    `assigned` are units, of which `outcomes` have one. `cost` is what the calls of all of them cost, also of those
    without an outcome yet, `cost_per_completed` what that is for each outcome of 1: None where outcomes are no shares,
    where nothing is completed, or where no call has a price.
    """

    model: str
    assigned: int
    outcomes: int
    mean: float | None
    calls: int = 0
    errors: int = 0
    unpriced_calls: int = 0
    cost: float | None = None
    cost_nanos: int | None = None
    cost_per_unit: float | None = None
    cost_per_completed: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ABTestResults:
    """How a test stands; `verdict` says it in words.

    `difference` is the mean of b less that of a, and with 96 % certainty the truth lies between `low` and `high`, which
    only come nearer to each other: None until there are 30 outcomes in each arm. `significant` says whether it is known
    that the arms differ: it is as if one had looked after every outcome, `known_after` is after how many that was, and
    once known it stays known. `winner` is the model with the higher outcomes, None where that is not known. With
    `is_lopsided` the arms do not have the units or outcomes that the split would give, so nothing is known.
    """

    name: str
    unit: str
    split: float
    state: State
    a: ABArm
    b: ABArm
    difference: float | None
    low: float | None
    high: float | None
    significant: bool
    known_after: int | None
    winner: str | None
    is_lopsided: bool
    method: Method
    started_at: datetime
    ends_at: datetime
    stopped_at: datetime | None
    kept_model: str | None
    verdict: str = ""

    @property
    def outcomes(self) -> int:
        """Outcomes in both arms."""
        return self.a.outcomes + self.b.outcomes

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        times = {name: _text(getattr(self, name)) for name in ("started_at", "ends_at", "stopped_at")}
        return {**asdict(self), **times}


@dataclass(frozen=True, slots=True)
class Difference:
    """What outcomes say of two arms; `known` is the place of the outcome by which it was known, and its direction."""

    difference: float | None
    low: float | None
    high: float | None
    known: tuple[int, bool] | None


def compare(
    arms: NDArray[np.int64], values: NDArray[np.floating[Any]], bounds: tuple[float, float] | None, method: Method
) -> Difference:
    """Return what outcomes say, in the order in which they came; `arms` are 0 for a and 1 for b."""
    if not len(arms):
        return Difference(None, None, None, None)
    shifted = values - (values[0] if bounds is None else bounds[0])  # squares of large numbers lose what differs
    prior = 0.0 if bounds is None else ((bounds[1] - bounds[0]) / 2) ** 2
    difference, radius = interval(running(arms, shifted), prior)
    if math.isinf(radius[-1]):
        return Difference(None, None, None, None)
    low, high = float((difference - radius).max()), float((difference + radius).min())  # all of them hold at once
    if method == "pairs" and bounds is not None:
        known = _known_by_bets(arms, values, *bounds)
    else:
        is_known = np.abs(difference) > radius
        at = int(is_known.argmax())
        known = (at + 1, bool(difference[at] > 0)) if is_known[at] else None
    return Difference(float(difference[-1]), low, high, known)


def _known_by_bets(
    arms: NDArray[np.int64], values: NDArray[np.floating[Any]], low: float, high: float
) -> tuple[int, bool] | None:
    up, down, after = bets(arms, values, low, high)
    is_known = (np.logaddexp(up, down) - math.log(2) >= -math.log(ALPHA)) & (np.arange(1, len(up) + 1) >= LEAST)
    at = int(is_known.argmax())
    return (int(after[at]), bool(up[at] > down[at])) if is_known[at] else None


def arm(model: str, assigned: int, values: Sequence[float], totals: Totals | None, *, are_shares: bool) -> ABArm:
    """Return how one arm came out, and what the store has of its calls."""
    sums = totals or Totals()
    nanos = sums.known_cost_nanos if sums.calls else None
    cost = None if nanos is None else money.to_dollars(nanos)
    completed = sum(values) if are_shares else 0
    answered = sums.calls - sums.errors
    return ABArm(
        model=model,
        assigned=assigned,
        outcomes=len(values),
        mean=math.fsum(values) / len(values) if values else None,
        calls=sums.calls,
        errors=sums.errors,
        unpriced_calls=sums.unpriced,
        cost=cost,
        cost_nanos=nanos,
        cost_per_unit=cost / assigned if cost is not None and assigned else None,
        cost_per_completed=cost / completed if cost is not None and completed else None,
        latency_ms=sums.latency_us / answered / 1000 if answered > 0 and sums.latency_us else None,
    )


def results(
    facts: Mapping[str, Any],
    arms: tuple[ABArm, ABArm],
    found: Outcomes,
    bounds: tuple[float, float] | None,
    method: Method,
) -> ABTestResults:
    """Return the results of a test; `facts` are those fields that need no outcome."""
    a, b = arms
    which, values = np.array([arm for arm, _ in found], dtype=np.int64), np.array([value for _, value in found])
    said = compare(which, values, bounds, method)
    is_lopsided = any(
        ratio_evidence(*counts, facts["split"]) > 1 / RATIO_ALPHA
        for counts in ((a.assigned, b.assigned), (a.outcomes, b.outcomes))
    )
    known = None if is_lopsided else said.known
    made = ABTestResults(
        **facts,
        a=a,
        b=b,
        difference=said.difference,
        low=said.low,
        high=said.high,
        significant=known is not None,
        known_after=None if known is None else known[0],
        winner=None if known is None else (b if known[1] else a).model,
        is_lopsided=is_lopsided,
        method=method,
    )
    return replace(made, verdict=ab_words.verdict(made, are_shares=bounds == (0.0, 1.0)))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
