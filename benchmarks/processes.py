"""How several processes share one store: each with short transactions of its own, or one elected writer for all.

So many processes record as fast as they can, the same number of events in all. *Own*: each writes its batches itself
and tries again where another one is writing, which is what the store does. *Elected*: one writes for all; the others
only spool, and their files are brought into the store by the elected one.

What counts is how many events a second are in the store, how long the longest commit took, and that none is lost.

    python -m benchmarks.processes [--events N] [--processes 1,2,4,8] [--storage sqlite|postgresql] [--json]
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, percentile, show
from benchmarks.servers import running
from benchmarks.stores import Recording
from benchmarks.traffic import Traffic
from tc_core.model.ports import Batch, SpoolMark
from tc_core.record.entries import EntryWriter
from tc_core.record.pending import PendingEvent
from tc_core.record.spool import Spool
from tc_core.store.schema.tables import OPEN
from tc_core.store.sql import SqlStore
from tc_core.store.storages import PostgreSQLStorage, SQLiteStorage

DENSITY = 1_000_000
PART = 2_000
"""How many events a process records before its writer has a turn."""

WARM_UP = 500

_spawning = multiprocessing.get_context("spawn")


class _Timed:
    """A store's sink that notes how long each commit took (ms)."""

    def __init__(self, store: SqlStore) -> None:
        self._sink = store.sink
        self.took: list[float] = []
        self.position, self.make_durable, self.forget = self._sink.position, self._sink.make_durable, self._sink.forget
        self.close = self._sink.close

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        began = time.perf_counter()
        self._sink.write(batch, mark)
        self.took.append((time.perf_counter() - began) * 1000)


def run(events: int, counts: list[int], storage: str, folder: Path) -> dict[str, Any]:
    """Measure both ways with each number of processes."""
    rows = []
    for count in counts:
        for way in (_own, _elected):
            place = folder / f"{count}{way.__name__}"
            place.mkdir()
            with _database(storage, place) as where:
                found = _measure(way, where, place, events, count)
            rows.append({"processes": count, "way": way.__name__.strip("_"), **found})
    return {"benchmark": "processes", "storage": storage, "events": events, "rows": rows}


@contextmanager
def _database(storage: str, folder: Path) -> Iterator[str]:
    """Give the place of an empty store."""
    if storage == "postgresql":
        with running() as server:
            yield server.new_database()
    else:
        yield str(folder / "shared.db")


def _opened(where: str) -> SqlStore:
    return PostgreSQLStorage(where) if "://" in where else SQLiteStorage(where)


def _measure(way: Callable[..., None], where: str, folder: Path, events: int, count: int) -> dict[str, Any]:
    _opened(where).close()
    results, barrier = _spawning.SimpleQueue(), _spawning.Barrier(count)
    arguments = (where, folder / "spool", events // count, barrier, results)
    children = [_spawning.Process(target=way, args=(number, *arguments)) for number in range(count)]
    for child in children:
        child.start()
    ended = [results.get() for _ in children]
    for child in children:
        child.join()
    seconds = max(end for _, end, _ in ended) - min(begin for begin, _, _ in ended)
    took = [each for _, _, commits in ended for each in commits]
    told = events // count * count
    with closing(_opened(where)) as store, store._database.reading() as connection:
        ended_events = f"SELECT count(*) FROM event WHERE status <> {OPEN}"  # parents that never end are open
        stored = connection.exec_driver_sql(ended_events).scalar_one() - WARM_UP * (1 if way is _elected else count)
    return {
        "events_per_s": told / seconds,
        "commit_p50_ms": percentile(took, 0.5),
        "commit_p99_ms": percentile(took, 0.99),
        "commit_max_ms": max(took),
        "lost": told - stored,
    }


def _own(number: int, where: str, spool: Path, events: int, barrier: Barrier, results: Any) -> None:
    """Record, and write it too."""
    with closing(_opened(where)) as store:
        sink, calls = _Timed(store), _calls(number, events)
        recording = _warm(sink, spool, number)
        barrier.wait()
        began = time.time()
        _record(recording, calls)
        results.put((began, time.time(), sink.took))
        recording.close()


def _elected(number: int, where: str, spool: Path, events: int, barrier: Barrier, results: Any) -> None:
    """Record; the first writes for all, as soon as they have spooled."""
    calls = _calls(number, events)
    if number:
        barrier.wait()
        began = time.time()
        entries, files = EntryWriter(), Spool(spool)
        for call in calls:
            files.append(entries.end(call), list, is_end=True)
        for file in files.detach():
            file.close()
        results.put((began, time.time(), []))
        barrier.wait()
        return
    with closing(_opened(where)) as store:
        sink = _Timed(store)
        recording = _warm(sink, spool, number)
        barrier.wait()
        began = time.time()
        _record(recording, calls)
        barrier.wait()
        recording.writer.take_over()
        results.put((began, time.time(), sink.took))
        recording.close()


def _warm(sink: _Timed, spool: Path, number: int) -> Recording:
    """Return a recording that has loaded all that it needs, such as the prices."""
    recording = Recording.into(sink, spool)
    _record(recording, _calls(1000 + number, WARM_UP))
    sink.took.clear()
    return recording


def _calls(number: int, events: int) -> list[PendingEvent]:
    return list(islice(Traffic(DENSITY, seed=number).calls(), events))


def _record(recording: Recording, calls: list[PendingEvent]) -> None:
    for start in range(0, len(calls), PART):
        recording.queue(calls[start : start + PART])
        recording.drain()


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(f"events/s of {row['processes']} processes, {row['way']}", "", f"{row['events_per_s']:,.0f}")
        for row in result["rows"]
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000, help="of all processes together")
    parser.add_argument("--processes", default="1,2,4,8")
    parser.add_argument(
        "--storage", choices=("sqlite", "postgresql"), default="sqlite", help="processes share no memory store"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    counts = [int(count) for count in options.processes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.events, counts, options.storage, Path(folder))
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
