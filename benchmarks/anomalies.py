"""How many anomalies are found, and how many alarms are false: on real labelled hours and on generated days.

The hours are those of ../shared/data/labelled_anomalies.json, which people have labelled; the constants were chosen on
them. The days are generated, of the kinds and seeds on which the constants were chosen, and of others. An alarm is the
first bucket out of the usual after some without any. `control` has 500 series in which nothing is wrong.

    python -m benchmarks.anomalies [--per-kind N] [--json]
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Figure, show, timed
from benchmarks.daily_costs import KINDS, LAST_KINDS, OTHER_KINDS, Case, Floats, generate, matrix, quiet_series
from tc_core.costs.anomalies import days, hours
from tc_core.costs.anomalies.control import significant
from tc_core.costs.anomalies.detect import METHODS
from tc_core.costs.anomalies.windows import Bools, first_of

LABELLED = Path(__file__).parents[2] / "shared" / "data" / "labelled_anomalies.json"
SETS: Mapping[str, tuple[Mapping[str, Any], tuple[int, ...]]] = {
    "kinds and seeds of the tuning": (KINDS, (11, 12)),
    "other seeds": (KINDS, (2, 3)),
    "other kinds and seeds": (OTHER_KINDS, (5, 6)),
    "kinds measured once": (LAST_KINDS, (7, 8)),
}
_APART = 24
"""Alarms so many hours apart are one false alarm."""


class Labelled(NamedTuple):
    """An hourly series, and from which to which hour people saw something odd."""

    name: str
    costs: Floats
    windows: list[tuple[float, float]]


def load() -> list[Labelled]:
    """Return the labelled series; an hour without a record is NaN."""
    found = []
    for name, each in json.loads(LABELLED.read_text()).items():
        moments = [datetime.fromisoformat(hour) for hour, _ in each["hours"]]
        midnight = moments[0].replace(hour=0, minute=0, second=0, microsecond=0)
        places = [int((moment - midnight).total_seconds() // 3600) for moment in moments]
        costs = np.full(places[-1] + 1, np.nan)
        costs[places] = [value for _, value in each["hours"]]
        windows = [(_hours(begin, midnight), _hours(end, midnight)) for begin, end in each["windows"]]
        found.append(Labelled(name, costs, windows))
    return found


def _hours(moment: str, since: datetime) -> float:
    return (datetime.fromisoformat(moment) - since).total_seconds() / 3600


def episodes(is_out: Bools, quiet: int) -> Bools:
    """Keep the first alarm of each run in which they are at most so many buckets apart."""
    first = np.zeros_like(is_out)
    for row in range(len(is_out)):
        places = np.flatnonzero(is_out[row])
        if len(places):
            first[row, places[np.r_[True, np.diff(places) > quiet]]] = True
    return first


def judge_hours(series: Sequence[Labelled]) -> dict[str, Any]:
    """Count windows with an alarm, and false alarms, over all series and by group."""
    longest = max(len(each.costs) for each in series)
    costs = np.full((len(series), -(-longest // 24) * 24), np.nan)
    for row, each in enumerate(series):
        costs[row, : len(each.costs)] = each.costs
    scores = hours.score_hours(costs, first_of(np.isfinite(costs), hours.MEMORY * 24))
    alarms = episodes(np.fmax(scores.up, scores.down) > hours.MARGIN, hours.QUIET)
    counts: dict[str, Counter[str]] = {}
    for row, each in enumerate(series):
        places = np.flatnonzero(alarms[row, : len(each.costs)])
        inside, found = np.zeros(len(places), bool), 0
        for begin, end in each.windows:
            within = (places + 1 > begin) & (places <= end)
            inside |= within
            found += bool(within.any())
        outside = places[~inside]
        false = int((np.diff(outside, prepend=-np.inf) > _APART).sum()) if len(outside) else 0
        of_group = counts.setdefault(each.name.split("/")[0], Counter())
        of_group.update(found=found, windows=len(each.windows), false=false, hours=int(np.isfinite(each.costs).sum()))
    whole = sum(counts.values(), Counter[str]())
    return {
        "found": whole["found"],
        "windows": whole["windows"],
        "false_per_month": whole["false"] / (whole["hours"] / 720),
        "groups": {
            name: f"{of['found']} of {of['windows']}, {of['false'] / (of['hours'] / 720):.2f}"
            for name, of in counts.items()
        },
    }


def judge_days(cases: Sequence[Case], alarms: Bools) -> dict[str, Any]:
    """Count events with an alarm (a spike's on its day or the next, others within a week), and false alarms."""
    found, events, false, series = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for row, case in enumerate(cases):
        series[case.kind] += 1
        places = np.flatnonzero(alarms[row])
        if case.day is not None:
            within = (places >= case.day) & (places <= case.day + (1 if case.event.startswith("spike") else 6))
            for name in (case.kind, case.event):
                events[name] += 1
                found[name] += bool(within.any())
            places = places[~within]
        false[case.kind] += len(places)
    total = sum(found[kind] for kind in series), sum(events[kind] for kind in series), sum(false.values())
    months = alarms.shape[1] / 30
    recall, precision = total[0] / (total[1] or 1), total[0] / (total[0] + total[2] or 1)
    return {
        "f1": 2 * recall * precision / (recall + precision or 1),
        "recall": recall,
        "precision": precision,
        "false_per_100_and_month": 100 * total[2] / len(cases) / months,
        "recall_by": {name: found[name] / events[name] for name in events},
        "false_by_kind": {kind: 100 * false[kind] / series[kind] / months for kind in series},
    }


def days_of(kinds: Mapping[str, Any], seeds: Sequence[int], per_kind: int) -> dict[str, Any]:
    """Judge generated series of several seeds."""
    cases = [case for seed in seeds for case in generate(kinds, seed, per_kind)]
    scores = score(matrix(cases))
    return judge_days(cases, episodes(scores > days.MARGIN, days.QUIET))


def score(costs: Floats) -> Floats:
    """Return how far each day is out, up or down."""
    scores = days.score_days(costs, first_of(costs > 0, days.MEMORY))
    return np.fmax(scores.up, scores.down)


def control(count: int = 500) -> dict[str, Any]:
    """Count alarms of a month over many series in which nothing is wrong, each judged alone and all together."""
    quiet = quiet_series(KINDS, 21, -(-count // len(KINDS)))[:count]
    scores = score(matrix(quiet))
    months = scores.shape[1] / 30
    alone = episodes(scores > days.MARGIN, days.QUIET)
    together = episodes(significant(scores, METHODS["day"].law), days.QUIET)
    return {"series": len(quiet), "alone": float(alone.sum() / months), "together": float(together.sum() / months)}


def run(per_kind: int) -> dict[str, Any]:
    """Measure all."""
    rows: list[dict[str, Any]] = []
    if LABELLED.exists():
        rows.append({"set": "real hours", **judge_hours(load())})
    for name, (kinds, seeds) in SETS.items():
        rows.append({"set": name, **days_of(kinds, seeds, per_kind)})
    rows.append({"set": "500 series together", **control()})
    costs = np.random.default_rng(1).lognormal(size=(500, 90))
    took = timed(lambda: score(costs))
    rows.append({"set": "500 series x 90 days", "wall_s": took.wall_s, "cpu_s": took.cpu_s})
    return {"benchmark": "anomalies", "rows": rows}


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    found = []
    for row in result["rows"]:
        if "windows" in row:
            said = f"{row['found']} of {row['windows']} at {row['false_per_month']:.2f}"
            found.append(Figure("anomalies found in real hours, false ones per series and month", "35 at 1", said))
        elif "f1" in row:
            said = f"{row['f1']:.2f} at {row['false_per_100_and_month']:.1f}"
            aim = "0.75 at 5"
            found.append(Figure(f"F1 on days ({row['set']}), false per 100 series and month", aim, said))
        elif "wall_s" in row:
            found.append(Figure("anomalies of 500 series x 90 days, judged", "1 s", f"{row['wall_s']:.2f} s"))
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--per-kind", type=int, default=80)
    options = parser.parse_args(arguments)
    result = run(options.per_kind)
    if options.json:
        show(result, result["rows"], as_json=True)
        return result
    for row in result["rows"]:
        print("\n".join(_lines(row)))
    return result


def _lines(row: Mapping[str, Any]) -> list[str]:
    plain = _said({name: value for name, value in row.items() if name != "set" and not isinstance(value, dict)})
    parts = [f"    {name}: {_said(values)}" for name, values in row.items() if isinstance(values, dict)]
    return [f"{row['set']}: {plain}", *parts]


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )


if __name__ == "__main__":
    main()
