"""How many bytes an event takes on the disk, and where they go.

With all indexes and roll-ups, after SQLite's log has been folded into the file; beside it the naive table with the same
events, all text, and the table of the seed document. PostgreSQL tells the size of a table with its indexes.

    python -m benchmarks.size [--events N] [--storage sqlite|postgresql|memory] [--without-naive] [--json]
"""

import argparse
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.baselines import naive_copy, seed_copy
from benchmarks.common import Figure, show
from benchmarks.stores import KINDS, fill, kind_of, opened
from benchmarks.traffic import Traffic
from tc_core.store.sql import SqlStore


def run(events: int, storage: str, folder: Path, *, with_naive: bool) -> dict[str, Any]:
    """Fill a store and weigh it."""
    with opened(storage, folder) as store:
        seconds = sum(fill(store, Traffic(events).calls(), events, folder / "spool"))
        objects, path = bytes_by_object(store), store.path
    others = {}
    if path is not None:
        others["vacuumed_bytes_per_event"] = _vacuumed(path, folder / "vacuumed.db") / events
    if path is not None and with_naive:
        for name, copy in (("naive", naive_copy), ("seed", seed_copy)):
            copied = folder / f"{name}.db"
            with closing(copy(path, copied)) as connection:
                others[f"{name}_bytes_per_event"] = sum(_dbstat(connection).values()) / events
            copied.unlink()
    rows = [
        {"object": name, "bytes_per_event": size / events} for name, size in objects.items() if size / events > 0.05
    ]
    total = sum(objects.values()) / events
    return {
        "benchmark": "size",
        "storage": storage,
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


def bytes_by_object(store: SqlStore) -> Mapping[str, int]:
    """Return what each table and each index of a store takes, the largest first; with PostgreSQL both together."""
    with store._database.reading() as connection:
        if kind_of(store) != "postgresql":
            return _dbstat(connection.connection.driver_connection)
        sizes = store._database.table_bytes(connection)
        return dict(sorted(sizes.items(), key=itemgetter(1), reverse=True))


def _dbstat(connection: Any) -> Mapping[str, int]:
    return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall())


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
    weighed = [("bytes_per_event", ""), ("vacuumed_bytes_per_event", ", vacuumed")]
    return [
        Figure(
            f"bytes an event, {result['events']:,} events{how}",
            "200",
            f"{result[name]:.0f}",
            None if naive is None else naive / result[name],
        )
        for name, how in weighed
        if name in result
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--storage", choices=KINDS, default="sqlite")
    parser.add_argument("--without-naive", action="store_true", help="it takes 1 GB for a million events")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.events, options.storage, Path(folder), with_naive=not options.without_naive)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
