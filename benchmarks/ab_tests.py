"""Whether A/B tests hold what they say: false alarms while one looks at each outcome, how soon they know, the power.

Outcomes are drawn by seeds that nothing was chosen with. Each test is looked at after every outcome; beside it stands a
z test at 5 % that is looked at as often. A fixed test has one look, at a size that was fixed before.

python -m benchmarks.ab_tests [--tests N] [--json]
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Figure, show
from tc_core import SQLiteStorage, create_ab_test
from tc_core.selection.ab_definition import Method
from tc_core.selection.ab_results import compare
from tc_core.selection.power import plan
from tc_core.selection.sequences import LEAST, RATIO_ALPHA, ratio_evidence

SEED = 31_415
NULL_OUTCOMES = 1_000
SPLITS = (0.5, 0.25, 0.1)
SHARES = (0.0, 1.0)
MOST_FALSE = 0.03

Numbers = NDArray[np.floating[Any]]
Draw = Callable[[np.random.Generator, int], Numbers]

NULLS: Mapping[str, tuple[Draw, tuple[float, float] | None]] = {
    "0/1 at .5": (lambda rng, n: (rng.random(n) < 0.5) * 1.0, SHARES),
    "0/1 at .8": (lambda rng, n: (rng.random(n) < 0.8) * 1.0, SHARES),
    "0/1 at .97": (lambda rng, n: (rng.random(n) < 0.97) * 1.0, SHARES),
    "scores in 5 steps": (lambda rng, n: np.round(rng.beta(0.84, 0.36, n) * 4) / 4, SHARES),
    "lognormal, no bounds": (lambda rng, n: np.exp(rng.normal(0, 1, n)), None),
}
EFFECTS = ((0.9, 0.8, 0.5, 480), (0.7, 0.65, 0.5, 3_200), (0.9, 0.8, 0.1, None))
"""Rates of a and b, the share of b, and by how many outcomes half of all tests are to know it."""


def nulls(tests: int) -> list[dict[str, Any]]:
    """Measure how often a difference is said to be known where there is none."""
    rows: list[dict[str, Any]] = []
    for name, (draw, bounds) in NULLS.items():
        for split in SPLITS:
            rng = np.random.default_rng([SEED, len(rows)])
            found = dict.fromkeys(("mixture", "pairs", "z"), 0)
            for _ in range(tests):
                arms, values = (rng.random(NULL_OUTCOMES) < split).astype(np.int64), draw(rng, NULL_OUTCOMES)
                found["mixture"] += compare(arms, values, bounds, "mixture").known is not None
                found["pairs"] += bounds is not None and compare(arms, values, bounds, "pairs").known is not None
                found["z"] += _z_test_ever(arms, values)
            shares = {key: value / tests for key, value in found.items()}
            if bounds is None:
                del shares["pairs"]
            rows.append({"what": "null", "outcomes": name, "split": _split(split), "tests": tests, **shares})
    return rows


def effects(tests: int) -> list[dict[str, Any]]:
    """Measure after how many outcomes a difference is known, and whether the estimate before said so."""
    rows: list[dict[str, Any]] = []
    for number, (rate_a, rate_b, split, aim) in enumerate(EFFECTS):
        said = plan(rate_a, rate_b - rate_a, split=split)
        size = 4 * said.outcomes
        when: dict[Method, list[float]] = {"mixture": [], "pairs": []}
        rng = np.random.default_rng([SEED, 100, number])
        for _ in range(tests):
            arms = (rng.random(size) < split).astype(np.int64)
            values = (rng.random(size) < np.where(arms, rate_b, rate_a)) * 1.0
            for method, found in when.items():
                known = compare(arms, values, SHARES, method).known
                found.append(math.inf if known is None else known[0])
        rows += [
            {
                "what": "effect",
                "outcomes": f"{rate_a:g} against {rate_b:g}",
                "split": _split(split),
                "tests": tests,
                "method": method,
                "median": float(np.median(found)),
                "by_80": float(np.quantile(found, 0.8)),
                "said_median": said.median,
                "said_80": said.outcomes,
                "known_by_said_80": float(np.mean(np.array(found) <= said.outcomes)),
                "fixed_80": _fixed(rate_a, rate_b, split),
                "aim": aim if method == "mixture" else None,
            }
            for method, found in when.items()
        ]
    return rows


def splits(tests: int) -> list[dict[str, Any]]:
    """Measure how often arms are called lopsided that are as set, and after how many units where some are lost."""
    rows: list[dict[str, Any]] = []
    for split, lost in ((0.5, 0.0), (0.1, 0.0), (0.5, 0.1), (0.5, 0.2)):
        rng = np.random.default_rng([SEED, 200, round(100 * split), round(100 * lost)])
        share = split * (1 - lost) / (split * (1 - lost) + 1 - split)
        when = []
        for _ in range(tests):
            b = np.cumsum(rng.random(5_000) < share)
            looks = range(20, 5_001, 20)
            alarms = (n for n in looks if ratio_evidence(n - int(b[n - 1]), int(b[n - 1]), split) > 1 / RATIO_ALPHA)
            when.append(next(alarms, math.inf))
        row = {"what": "lopsided", "split": _split(split), "lost_of_b": lost, "tests": tests}
        rows.append({**row, "said": float(np.mean(np.isfinite(when))), "median": _finite(float(np.median(when)))})
    return rows


def speeds(outcomes: int = 10_000) -> list[dict[str, Any]]:
    """Measure what assigning, an outcome and a look take, in a SQLite store."""
    with tempfile.TemporaryDirectory() as folder, SQLiteStorage(Path(folder) / "speed.db") as store:
        test = create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14, name="speed")
        rows = [
            {"what": "speed", "of": name, "us": _each_us(outcomes, work)}
            for name, work in (
                ("assign a new unit", test.assign),
                ("assign it again", test.assign),
                ("an outcome", lambda number: test.record_outcome(number, number % 3 > 0)),
            )
        ]
        rows.append(
            {"what": "speed", "of": f"results of {outcomes:,} outcomes", "us": _each_us(5, lambda _: test.results())}
        )
    return rows


def _each_us(times: int, work: Callable[[int], object]) -> float:
    began = time.perf_counter()
    for number in range(times):
        work(number)
    return (time.perf_counter() - began) / times * 1e6


def _z_test_ever(arms: NDArray[np.int64], values: Numbers) -> bool:
    n_b, n = np.cumsum(arms), np.arange(1, len(arms) + 1)
    n_a = n - n_b
    a, b = np.maximum(n_a, 1), np.maximum(n_b, 1)
    s_a, s_b = np.cumsum(values * (1 - arms)), np.cumsum(values * arms)
    q_a, q_b = np.cumsum(values**2 * (1 - arms)), np.cumsum(values**2 * arms)
    error = np.sqrt(np.maximum(q_a / a - (s_a / a) ** 2, 0) / a + np.maximum(q_b / b - (s_b / b) ** 2, 0) / b)
    is_said = (n_a >= LEAST) & (n_b >= LEAST)
    return bool((is_said & (np.abs(s_b / b - s_a / a) > 1.96 * error)).any())


def _fixed(rate_a: float, rate_b: float, split: float) -> int:
    """Return the size of a test with one look, 5 % and 80 % power."""
    variance = rate_a * (1 - rate_a) / (1 - split) + rate_b * (1 - rate_b) / split
    return math.ceil((1.959964 + 0.841621) ** 2 * variance / (rate_b - rate_a) ** 2)


def _split(split: float) -> str:
    return f"{round(100 * (1 - split))}:{round(100 * split)}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table of all figures."""
    rows = result["rows"]
    worst = max((row for row in rows if row["what"] == "null"), key=lambda row: row["mixture"])
    name = (
        f"an A/B test of nothing that says it knows, looked at after every outcome, worst of all ({worst['outcomes']})"
    )
    found = [Figure(name, f"{MOST_FALSE}", f"{worst['mixture']:.3f}", _ratio(worst["z"], worst["mixture"]))]
    found += [
        Figure(
            f"outcomes until {row['outcomes']} is known, half of tests", f"{row['aim']:,}", f"{row['median']:,.0f}",
            None, row["fixed_80"] / row["median"],
        )
        for row in rows
        if row["what"] == "effect" and row["aim"]
    ]  # fmt: skip
    return found


def _ratio(of: float, to: float) -> float | None:
    return of / to if to else None


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=1_000, help="how many tests of each kind")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = [*nulls(options.tests), *effects(max(1, options.tests // 2)), *splits(options.tests)]
    result = {"benchmark": "ab_tests", "tests": options.tests, "rows": [*rows, *speeds(10 * min(options.tests, 1_000))]}
    if options.json:
        print(json.dumps(result, indent=2))
        return result
    for what in ("null", "effect", "lopsided", "speed"):
        show(result, [row for row in result["rows"] if row["what"] == what], as_json=False)
        print()
    return result


if __name__ == "__main__":
    main()
