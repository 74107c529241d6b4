"""How far forecasts are off, and how often the truth lies in their interval: rolling, on real and generated days.

The real days are the counts of ../shared/data/daily_series.json, which only wander. Each forecast knows nothing but the
days before it. `to_naive` is the mean error against taking the last 28 days again, `to_line` against a straight line
through the last 90 days; of several series they are geometric means. Totals are of 28 days, of short series of 14.

    python -m benchmarks.forecast [--per-kind N] [--method NAME] [--json]
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Figure, show
from benchmarks.daily_costs import KINDS, Floats, Kind, quiet_series
from tc_core.costs.forecasts import methods

REAL = Path(__file__).parents[2] / "shared" / "data" / "daily_series.json"
LONG, LONGEST = 150, 1000
"""Series of so many days are asked for 28 days, and at fewer of their days."""

FORECAST_KINDS: Mapping[str, Kind] = {
    "trend": lambda days: (1 + days.chance.uniform(0.005, 0.02) * days.number) * days.noise(0.25),
    "growth": lambda days: np.exp(np.log(1.1) / 7 * days.number) * days.noise(0.25),
    "decline": lambda days: np.exp(-days.chance.uniform(0.08, 0.15) / 7 * days.number) * days.noise(0.25),
    "weekly": lambda days: days.weekend * days.noise(0.2),
    "flat": lambda days: days.noise(0.4),
    "bursty": KINDS["bursts"],
    "launch": lambda days: days.noise(0.25) * days.weekend * _steps(days),
    "sparse": KINDS["sparse"],
    "drift": lambda days: np.exp(np.cumsum(days.chance.normal(0, 0.05, days.count))) * days.noise(0.15),
    "month end": lambda days: days.noise(0.2) * np.where(days.number % 30 >= 28, 4, 1),
}
CHANGING = ("trend", "growth", "decline")
"""Kinds with a trend; what a launch does is in no history."""

HISTORY, HORIZON = 168, 28


class Row(NamedTuple):
    """One forecast: its error, those of the last 28 days again and of a line, and whether the truth lay within."""

    error: float
    naive: float
    line: float
    is_covered: bool


def rolling(costs: Floats, days: int, first: int, step: int, method: str) -> list[Row]:
    """Forecast from one day after the other."""
    found = []
    for origin in range(first, len(costs) - days + 1, step):
        known, came = costs[:origin], float(costs[origin : origin + days].sum())
        _, said = methods.choose(known, days, method=method)
        naive = float(known[-28:].mean()) * days
        found.append(
            Row(
                abs(said.total - came),
                abs(naive - came),
                abs(_line(known, days) - came),
                said.low <= came <= said.high,
            )
        )
    return found


def summary(name: str, series: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """Return the figures of some series."""
    means = np.array([np.mean([row[:3] for row in rows], axis=0) for rows in series if rows]) + 1e-12
    ratios = np.exp(np.log(means[:, :1] / means[:, 1:]).mean(0))
    covered = [row.is_covered for rows in series for row in rows]
    return {
        "kind": name,
        "forecasts": len(covered),
        "to_naive": float(ratios[0]),
        "to_line": float(ratios[1]),
        "coverage": float(np.mean(covered)),
    }


def load() -> dict[str, Floats]:
    """Return the real series; a day that is missing is like its weekday before."""
    found = {}
    for name, rows in json.loads(REAL.read_text()).items():
        numbers = [date.fromisoformat(day[:10]).toordinal() for day, _ in rows]
        values = np.full(numbers[-1] - numbers[0] + 1, np.nan)
        values[np.array(numbers) - numbers[0]] = [value for _, value in rows]
        for place in np.flatnonzero(np.isnan(values)):
            values[place] = values[place - 7] if place >= 7 else 0.0
        found[name] = values
    return found


def real(method: str, most: int | None = None) -> list[dict[str, Any]]:
    """Measure on the real series, each and together."""
    rows = {}
    for name, values in list(load().items())[:most]:
        is_long = len(values) >= LONG
        step = 35 if len(values) >= LONGEST else 7
        rows[name] = rolling(values, 28 if is_long else 14, 56 if is_long else 28, step, method)
    each = [summary(f"real: {name}", [found]) for name, found in rows.items() if found]
    return [summary("real", list(rows.values())), *each]


def generated(method: str, per_kind: int, seed: int) -> list[dict[str, Any]]:
    """Measure on generated kinds; of a changing one the first forecast comes after six weeks."""
    by_kind: dict[str, list[list[Row]]] = {}
    for case in quiet_series(FORECAST_KINDS, seed, per_kind, days=HISTORY):
        by_kind.setdefault(case.kind, []).append(rolling(case.costs, HORIZON, 42, 14, method))
    three = [
        rolling(case.costs[:31], HORIZON, 3, 1, method)
        for case in quiet_series({"three days": FORECAST_KINDS["flat"]}, seed, per_kind * 4, days=31)
    ]
    every = [rows for kind in by_kind.values() for rows in kind]
    return [
        summary("generated", [*every, *three]),
        summary("generated: with a trend", [rows for kind in CHANGING for rows in by_kind[kind]]),
        *(summary(f"generated: {kind}", rows) for kind, rows in by_kind.items()),
        summary("generated: three days", three),
    ]


def run(method: str, per_kind: int, seed: int = 44) -> dict[str, Any]:
    """Measure all."""
    rows = real(method) if REAL.exists() else []
    rows += generated(method, per_kind, seed)
    history = quiet_series(FORECAST_KINDS, 1, 1, days=365)[0].costs
    began = time.perf_counter()
    methods.choose(history, 28, method=method)
    return {"benchmark": "forecast", "method": method, "rows": rows, "one_s": time.perf_counter() - began}


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    by_kind = {row["kind"]: row for row in result["rows"]}
    wanted = (
        ("real", "to_naive", "1.02", "counts that wander: error against the last 28 days again"),
        ("real", "coverage", "0.7 to 0.9", "counts that wander: coverage of the 80 % interval"),
        ("generated: growth", "to_naive", "0.7", "growth: error against the last 28 days again"),
        ("generated: decline", "to_naive", "0.7", "decline: error against the last 28 days again"),
        ("generated", "to_line", "0.5", "generated: error against a straight line"),
        ("generated", "coverage", "0.7 to 0.9", "generated: coverage of the 80 % interval"),
    )
    found = [
        Figure(f"forecast, {said}", aim, f"{by_kind[kind][name]:.2f}")
        for kind, name, aim, said in wanted
        if kind in by_kind
    ]
    return [*found, Figure("a forecast", "1 s", f"{result['one_s'] * 1000:.0f} ms")]


def _line(history: Floats, days: int) -> float:
    recent = history[-90:]
    if len(recent) < 2:
        return float(recent.sum()) * days
    slope, level = np.polyfit(np.arange(len(recent)), recent, 1)
    return float((level + slope * (len(recent) + np.arange(days))).sum())


def _steps(days: Any) -> Floats:
    factors = np.ones(days.count)
    for day in days.chance.choice(np.arange(30, days.count - 10), 2, replace=False):
        factors[day:] *= days.chance.uniform(1.3, 2.5)
    return factors


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--per-kind", type=int, default=25)
    parser.add_argument("--method", default="auto", choices=methods.METHODS)
    options = parser.parse_args(arguments)
    result = run(options.method, options.per_kind)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
