"""How many outcomes a test will need, before it begins: the confidence sequence's own walk, followed many times."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tc_core.selection.sequences import LEAST, Sums, interval

WALKS = 4_000
STEPS = 600
MOST_TIMES = 16.0
"""A walk is followed to so many times what a fixed test with 80 % power would take."""
_SEED = 20_260
_FIXED = (1.959964 + 0.841621) ** 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What a test needs to see a difference: outcomes in both arms together.

    By `median` half of all tests have seen it, by `outcomes` 80 in 100. `a_day` is how many units there were a day of
    late, and `days` what 80 in 100 take at that rate; None where nothing is recorded.
    """

    baseline: float
    effect: float
    median: int
    outcomes: int
    a_day: float | None = None

    @property
    def days(self) -> float | None:
        """Days until 80 in 100 tests have seen it."""
        return None if not self.a_day else self.outcomes / self.a_day

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "days": self.days}


def plan(
    baseline: float,
    effect: float,
    *,
    split: float = 0.5,
    sd: float | None = None,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    a_day: float | None = None,
) -> Plan:
    """Return how many outcomes it takes to see that b's mean differs by `effect` from a's, which is `baseline`.

    `sd` is the standard deviation of outcomes; without it they are 0 and 1. Raises ValueError for what cannot be.
    """
    _check(baseline, effect, sd, bounds)
    var_a, var_b = (p * (1 - p) if sd is None else sd * sd for p in (baseline, baseline + effect))
    share = np.array([1 - split, split])
    fixed = _FIXED * (var_a / share[0] + var_b / share[1]) / effect**2
    least = LEAST / min(share)
    n = np.geomspace(least, max(MOST_TIMES * fixed, 4 * least), STEPS)
    prior = 0.0 if bounds is None else ((bounds[1] - bounds[0]) / 2) ** 2
    n_a, n_b = n * share[0], n * share[1]
    means = (baseline, baseline + effect)
    q_a, q_b = n_a * (var_a + means[0] ** 2), n_b * (var_b + means[1] ** 2)
    radius = interval(Sums(n_a + 1e-9, n_b + 1e-9, n_a * means[0], n_b * means[1], q_a, q_b), prior)[1]
    quantiles = _crossings(effect, var_a / n_a + var_b / n_b, radius, n)
    return Plan(baseline, effect, *quantiles, a_day=a_day)


def _crossings(
    effect: float, error2: "np.ndarray[Any, Any]", radius: "np.ndarray[Any, Any]", n: "np.ndarray[Any, Any]"
) -> tuple[int, int]:
    """Return after how many outcomes 50 and 80 in 100 walks have left the interval around no difference."""
    known = 1 / error2
    steps = np.sqrt(np.diff(known, prepend=0.0))
    walks = np.cumsum(np.random.default_rng(_SEED).standard_normal((WALKS, len(n))) * steps, axis=1) / known
    is_out = np.abs(walks + effect) > radius
    when = np.where(is_out.any(axis=1), n[is_out.argmax(axis=1)], np.inf)
    return _whole(float(np.quantile(when, 0.5, method="higher"))), _whole(
        float(np.quantile(when, 0.8, method="higher"))
    )


def _whole(outcomes: float) -> int:
    if not math.isfinite(outcomes):
        raise ValueError("so small a difference beside so much noise takes more outcomes than can be told")
    return math.ceil(outcomes)


def _check(baseline: float, effect: float, sd: float | None, bounds: tuple[float, float] | None) -> None:
    for name, value in (("baseline", baseline), ("effect", effect), ("sd", sd)):
        if value is not None and (isinstance(value, bool) or not math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
    if effect == 0:
        raise ValueError("effect must be a difference that matters, such as 0.05, not 0")
    if sd is not None and sd <= 0:
        raise ValueError(f"sd, the standard deviation of outcomes, must be positive, not {sd}")
    if sd is None and bounds != (0.0, 1.0):
        raise ValueError("outcomes that are not 0 to 1 need sd, their standard deviation")
    if bounds is not None and not all(bounds[0] <= each <= bounds[1] for each in (baseline, baseline + effect)):
        said = f"baseline {baseline:g} and with the effect {baseline + effect:g}"
        raise ValueError(f"{said} must lie between {bounds[0]:g} and {bounds[1]:g}, where outcomes do")
    if sd is None and not all(0 < each < 1 for each in (baseline, baseline + effect)):
        raise ValueError(
            f"a baseline of {baseline:g} and {baseline + effect:g} with the effect leave nothing to chance"
        )
