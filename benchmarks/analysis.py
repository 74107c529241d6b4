"""How long analyses of a large store take: anomalies of 500 series, a forecast, a what-if over all calls.

python -m benchmarks.analysis [--events N] [--series N] [--json]
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, show, timed
from benchmarks.stores import fill, opened
from benchmarks.traffic import Traffic
from tc_core import CostForecaster, CostTracker, Scenario, SQLiteStorage, TrackingEvent
from tc_core.model.event import from_us
from tc_core.store.sql import SqlStore

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 90


def many_series(count: int) -> Iterator[TrackingEvent]:
    """Yield a call a day of so many agents."""
    chance = random.Random(5)
    for day in range(DAYS):
        for agent in range(count):
            yield TrackingEvent(
                model="gpt-4o",
                input_tokens=1_000,
                output_tokens=100,
                cost_nanos=round(chance.lognormvariate(16, 0.4)),
                timestamp=FIRST + timedelta(days=day, hours=12, seconds=agent),
                agent_id=f"agent-{agent}",
            )


def run(events: int, series: int, folder: Path) -> dict[str, Any]:
    """Fill two stores and ask them."""
    rows: list[dict[str, Any]] = []
    with SQLiteStorage(folder / "series.db") as small:
        small.save_events(many_series(series))
        tracker, end = CostTracker(small), FIRST + timedelta(days=DAYS)

        def detect() -> None:
            tracker.detect_anomalies(direction="both", end_date=end)

        rows.append(_row(f"anomalies, {series:,} agents x {DAYS} days", 1.0, detect))
    with opened("sqlite", folder) as store:
        filled_s = sum(fill(store, Traffic(events).calls(), events, folder / "spool"))
        rows += _of_calls(store)
    return {"benchmark": "analysis", "events": events, "filled_per_s": events / filled_s, "rows": rows}


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    return [Figure(row["what"], f"{row['aim_s']:.0f} s", f"{row['wall_s']:.2f} s") for row in result["rows"]]


def _of_calls(store: SqlStore) -> Iterator[dict[str, Any]]:
    forecaster = CostForecaster(store)
    with store.question() as connection:
        (last_us,) = connection.exec_driver_sql("SELECT max(at) FROM event").one()
    now = from_us(last_us)
    yield _row("a forecast of the next month", 1.0, lambda: forecaster.forecast_monthly(now=now))
    scenarios = {
        "ten times the volume": Scenario(volume=10),
        "another model": Scenario(model_map={"gpt-4o": "gpt-4o-mini"}),
        "all prompts shorter, in batches": Scenario(prompt_tokens=0.8, batch=True),
    }
    for name, scenario in scenarios.items():
        yield _row(f"what-if: {name}", 10.0, lambda scenario=scenario: forecaster.scenario_model(scenario))  # type: ignore[misc]  # a default binds it


def _row(what: str, aim_s: float, work: Callable[[], object]) -> dict[str, Any]:
    took = timed(work)
    return {"what": what, "aim_s": aim_s, "wall_s": took.wall_s, "cpu_s": took.cpu_s}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=500)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.events, options.series, Path(folder))
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
