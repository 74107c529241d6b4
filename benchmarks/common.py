"""What the benchmarks share: clocks, how a result is printed, and the machine it was measured on."""

import gc
import importlib.metadata
import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table that `python -m benchmarks` prints."""

    figure: str
    aim: str
    measured: str
    to_baseline: float | None = None
    """How many times better than the baseline of the same run."""
    of_limit: float | None = None
    """Which share of what bare SQLite does with the same rows in the same run."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Took:
    """How long something took: seconds by the clock on the wall, and of all threads' processor time."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object], *, collect: bool = True) -> Took:
    """Run something once, with no rubbish of others about."""
    if collect:
        gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def machine() -> dict[str, object]:
    """Say what this was measured on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: importlib.metadata.version(name) for name in ("sqlalchemy", "sqlmodel")},
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "fdatasync_us": _fdatasync_us(),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Write the smallest and the largest value."""
    return f"{_text(float(min(values)))}..{_text(float(max(values)))}"


def show(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print a result: as JSON, or as a table of its rows."""
    if as_json:
        print(json.dumps({**result, "machine": machine()}, indent=2))
        return
    show_rows(rows)
    print("\n" + ", ".join(f"{name} {value}" for name, value in machine().items()))


def show_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table."""
    columns = list(rows[0])
    texts = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[place]) for line in texts)) for place, column in enumerate(columns)]
    print("  ".join(column.ljust(width) for column, width in zip(columns, widths, strict=True)))
    for line in texts:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 100 else f"{value:,.0f}"
    return "" if value is None else str(value)


def _fdatasync_us(times: int = 20) -> float | None:
    """Return how long the disk takes to take up 4 KB for good (median, us)."""
    if not hasattr(os, "fdatasync"):
        return None
    took = []
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            began = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter_ns() - began) / 1000)
    return round(median(took), 1)
