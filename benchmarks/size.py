"""How many bytes an event takes on the disk, and where they go.

With all indexes and roll-ups, after SQLite's log has been folded into the file; beside it the naive table with the same
events, all text, and the table of the seed document.

    python -m benchmarks.size [--events N] [--without-naive] [--json]
"""

import argparse
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.baselines import naive_copy, seed_copy
from benchmarks.common import Figure, show
from benchmarks.stores import fill, opened
from benchmarks.traffic import Traffic


def run(events: int, folder: Path, *, with_naive: bool) -> dict[str, Any]:
    """Fill a store and weigh it."""
    with opened("sqlite", folder) as store:
        seconds = sum(fill(store, Traffic(events).calls(), events, folder / "spool"))
        path = store.path
    assert path is not None
    objects = bytes_by_object(path)
    others = {"vacuumed_bytes_per_event": _vacuumed(path, folder / "vacuumed.db") / events}
    if with_naive:
        for name, copy in (("naive", naive_copy), ("seed", seed_copy)):
            copied = folder / f"{name}.db"
            copy(path, copied).close()
            others[f"{name}_bytes_per_event"] = sum(bytes_by_object(copied).values()) / events
            copied.unlink()
    rows = [
        {"object": name, "bytes_per_event": size / events} for name, size in objects.items() if size / events > 0.05
    ]
    total = sum(objects.values()) / events
    return {
        "benchmark": "size",
        "events": events,
        "filled_per_s": events / seconds,
        "bytes_per_event": total,
        **others,
        "rows": [
            *rows,
            {"object": "all", "bytes_per_event": total},
            *({"object": name.split("_")[0], "bytes_per_event": each} for name, each in others.items()),
        ],
    }


def bytes_by_object(path: Path) -> Mapping[str, int]:
    """Return what each table and index of a database takes, the largest first."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall()
    return dict(sizes)


def _vacuumed(path: Path, copied: Path) -> int:
    """Return what a copy takes whose pages are all full, as `token-calc db vacuum` leaves a store."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copied),))
    size = copied.stat().st_size
    copied.unlink()
    return size


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the line for the table of all figures."""
    naive = result.get("naive_bytes_per_event")
    return [
        Figure(
            f"bytes an event, {result['events']:,} events{how}",
            "200",
            f"{result[name]:.0f}",
            None if naive is None else naive / result[name],
        )
        for name, how in (("bytes_per_event", ""), ("vacuumed_bytes_per_event", ", vacuumed"))
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--without-naive", action="store_true", help="it takes 1 GB for a million events")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.events, Path(folder), with_naive=not options.without_naive)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
