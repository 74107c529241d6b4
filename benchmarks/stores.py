"""Stores to measure, and the way into them that a recorder takes."""

import atexit
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path

from sqlalchemy import event

from benchmarks.common import timed
from benchmarks.servers import Server, running
from tc_core.model.ports import Batch, EventSink, SpoolMark
from tc_core.record.call import EVENT_BYTES, OpenCall
from tc_core.record.enrich import DEFAULT_STEPS
from tc_core.record.entries import EntryWriter
from tc_core.record.spool import Spool
from tc_core.record.writer import Writer
from tc_core.store.sql import InMemoryStorage, PostgreSQLStorage, SQLiteStorage, SqlStore

KINDS = ("sqlite", "memory", "postgresql")

MOST_QUEUED = 20_000
"""Fewer than what makes the queue fall back to the spool."""


@contextmanager
def opened(kind: str, folder: Path, name: str = "ours") -> Iterator[SqlStore]:
    """Open a new store."""
    if kind == "postgresql":
        with _server().database() as url, PostgreSQLStorage(url) as served:
            yield served
        return
    store = InMemoryStorage() if kind == "memory" else SQLiteStorage(folder / f"{name}.db")
    try:
        yield store
    finally:
        store.close()


@cache
def _server() -> Server:
    """Return a server that lives as long as this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running())


def flush_each_commit(store: SqlStore) -> bool:
    """Have SQLite flush every commit to the disk (synchronous FULL); False for a store that is not in a file."""
    if store.path is None:
        return False
    store.close()
    event.listen(store._database.engine, "connect", _set_full)
    return True


def _set_full(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")


class Recording:
    """A recorder's writer with its spool, filled by hand: what is timed is what its thread does."""

    def __init__(self, sink: EventSink, folder: Path | None) -> None:
        self._entries = EntryWriter()
        self.writer = Writer(sink, DEFAULT_STEPS, spool=None if folder is None else Spool(folder))

    def queue(self, calls: Iterable[OpenCall]) -> None:
        """Spool and queue ended calls, as their end hooks do."""
        with self.writer.lock:
            for call in calls:
                spool = self.writer.spool
                if spool is not None:
                    call.spooled = spool.append(self._entries.end(call), list, is_end=True)
                call.held_bytes = EVENT_BYTES
                self.writer.put(call)

    def drain(self) -> None:
        """Write all that is queued."""
        if not self.writer.drain(600):
            raise RuntimeError("the store did not take what is queued")

    def close(self) -> None:
        """Write what is left and delete the spool."""
        self.writer.rest(60)


class Capturing:
    """A sink that keeps the batches, so that they can be written to a store by themselves."""

    def __init__(self) -> None:
        self.taken: list[tuple[Batch, SpoolMark | None]] = []

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        self.taken.append((batch, mark))

    def position(self, file: str) -> int:
        return 0

    def settle(self, file: str) -> None:
        pass

    def forget(self, file: str) -> None:
        pass

    def close(self) -> None:
        pass


def fill(store: SqlStore, calls: Iterator[OpenCall], count: int, folder: Path | None) -> Iterator[float]:
    """Bring so many calls into a store as a recorder does; yield for each part how many seconds the writer worked."""
    recording = Recording(store.sink, folder)
    for start in range(0, count, MOST_QUEUED):
        recording.queue(islice(calls, min(MOST_QUEUED, count - start)))
        yield timed(recording.drain, collect=False).wall_s
    recording.close()
