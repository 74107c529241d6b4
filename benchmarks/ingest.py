"""How many events a second the writer brings into the store.

Measured in interleaved blocks of one process: the writer's whole work (queue, enrich steps, store with roll-ups,
relations and the spool mark) with SQLite's synchronous NORMAL and FULL, and the store alone; beside them an ORM with a
commit for each event, the table of the seed document, and the limit, which is the same rows put into the same table by
bare sqlite3 or COPY. `cpu_us` is the processor time of one event, `self_ratio` the limit measured twice.

With `--parts` the writer is measured with budgets, alert rules and the ledger on as well as off: see `ingest_parts`.

    python -m benchmarks.ingest [--parts] [--events N] [--blocks N] [--storage sqlite|postgresql|memory] [--json]
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import ingest_parts
from benchmarks.baselines import BareCopy, BareTable, naive_engine, save_by_orm, save_by_seed, seed_database
from benchmarks.common import Figure, Took, median, show, spread, timed
from benchmarks.stores import KINDS, MOST_QUEUED, Capturing, Recording, flush_each_commit, kind_of, opened, url_of
from benchmarks.traffic import Traffic
from tc_core.record.pending import PendingEvent
from tc_core.store.sql import SqlStore

SLOW_EVENTS = 300
"""How many events of a block the slow ways get."""
AIMS = {"sqlite": 40_000, "postgresql": 30_000, "memory": 40_000}
DENSITY = 1_000_000
"""The days are as full as in a store of a million events."""


Takes = dict[str, tuple[Took, int]]
"""What each way took for how many events."""


def run(events: int, blocks: int, storage: str, folder: Path) -> dict[str, Any]:
    """Measure so many events in blocks, of which the first warms up; the slow ways get a part of each block."""
    size = max(1, min(MOST_QUEUED, events // (blocks + 1)))
    takes: dict[str, list[tuple[Took, int]]] = {}
    with ExitStack() as stack:
        writing = _Writing(storage, folder, stack)
        others = [way(writing.store, folder, stack) for way in (_Alone, _Slow, _Limit)]
        for block in range(blocks + 1):
            for way in (writing, *others):
                for name, take in way.block(size).items():
                    if block:
                        takes.setdefault(name, []).append(take)
    rates = {name: [count / took.wall_s for took, count in each] for name, each in takes.items()}
    rows = [_row(name, takes[name], rates) for name in rates]
    return {"benchmark": "ingest", "storage": storage, "events": size * (blocks + 1), "rows": rows}


def _row(name: str, takes: list[tuple[Took, int]], rates: dict[str, list[float]]) -> dict[str, Any]:
    def ratio(other: str) -> float | None:
        if other not in rates:
            return None
        return median([ours / theirs for ours, theirs in zip(rates[name], rates[other], strict=True)])

    return {
        "way": name,
        "events_per_s": median(rates[name]),
        "min..max": spread(rates[name]),
        "cpu_us": median([took.cpu_s / count * 1e6 for took, count in takes]),
        "to_orm": ratio("ORM"),
        "to_seed": ratio("seed table"),
        "of_limit": ratio("limit"),
    }


class _Writing:
    """The writer with its spool, and once more with every commit flushed to the disk."""

    def __init__(self, storage: str, folder: Path, stack: ExitStack) -> None:
        self._ways: list[tuple[str, Recording, Iterator[PendingEvent]]] = []
        for name, file in (("writer", "ours"), ("writer, FULL", "full")):
            if file == "full" and storage != "sqlite":
                continue
            store = stack.enter_context(opened(storage, folder, file))
            if file == "full":
                flush_each_commit(store)
            else:
                self.store = store
            recording = Recording.into(store.sink, folder / f"{file}.spool")
            stack.callback(recording.close)
            self._ways.append((name, recording, Traffic(DENSITY).calls()))

    def block(self, size: int) -> Takes:
        takes = {}
        for name, recording, calls in self._ways:
            recording.queue(islice(calls, size))
            takes[name] = timed(recording.drain), size
        return takes


class _Alone:
    """The two halves of the writer's work: completing the records, and the store."""

    def __init__(self, ours: SqlStore, folder: Path, stack: ExitStack) -> None:
        self._store = stack.enter_context(opened(kind_of(ours), folder, "alone"))
        self._calls = Traffic(DENSITY).calls()

    def block(self, size: int) -> Takes:
        captured = Capturing()
        enriching = Recording.into(captured, None)
        enriching.queue(islice(self._calls, size))
        return {
            "enrich alone": (timed(enriching.drain), size),
            "store alone": (timed(partial(self._write, captured)), size),
        }

    def _write(self, captured: Capturing) -> None:
        for batch, mark in captured.taken:
            self._store.sink.write(batch, mark)


class _Slow:
    """What a first version of a tracker does, for each event: an ORM and its commit; the table of the seed document."""

    def __init__(self, ours: SqlStore, folder: Path, stack: ExitStack) -> None:
        self._engine, self._seed = naive_engine(url_of(ours) or folder / "orm.db"), seed_database(folder / "seed.db")
        stack.callback(self._engine.dispose)
        stack.callback(self._seed.close)
        self._calls = Traffic(DENSITY).calls()

    def block(self, size: int) -> Takes:
        events = [call.record.to_event() for call in islice(self._calls, min(size, SLOW_EVENTS))]
        return {
            "ORM": (timed(lambda: save_by_orm(self._engine, events)), len(events)),
            "seed table": (timed(lambda: save_by_seed(self._seed, events)), len(events)),
        }


class _Limit:
    """A bare driver with the rows that the first of our stores got, twice, to see how far one run can be trusted."""

    def __init__(self, ours: SqlStore, folder: Path, stack: ExitStack) -> None:
        self._tables: dict[str, BareTable | BareCopy] = {}
        self._key = 0
        url = url_of(ours)
        for name in ("limit", "limit again"):
            if url is not None:
                self._tables[name] = BareCopy(url, f"bare_{len(self._tables)}")
            elif ours.path is not None:
                self._tables[name] = BareTable(folder / f"{name}.db", ours.path)
        for table in self._tables.values():
            stack.callback(table.close)

    def block(self, size: int) -> Takes:
        takes = {}
        for name, table in self._tables.items():
            rows = table.rows_after(self._key)
            takes[name] = timed(partial(table.insert, rows)), len(rows)
        if takes:
            self._key = rows[-1][0]
        return takes


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    found = {row["way"]: row for row in result["rows"]}
    return [
        Figure(
            f"events/s into {result['storage']}, {name}",
            f"{AIMS[result['storage']]:,}",
            f"{found[name]['events_per_s']:,.0f}",
            found[name]["to_orm"],
            found[name]["of_limit"],
        )
        for name in ("writer", "writer, FULL")
        if name in found
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=160_000, help="of each way that is fast, over all blocks")
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--storage", choices=KINDS, default="sqlite")
    parser.add_argument("--parts", action="store_true", help="with budgets, alerts and ledger on as well as off")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measure = ingest_parts.run if options.parts else run
        result = measure(options.events, options.blocks, options.storage, Path(folder))
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
