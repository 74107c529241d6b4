"""Stores to measure, and the way into them that a recorder takes."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path

from sqlalchemy import event

from benchmarks.common import timed
from benchmarks.servers import running
from tc_core.model.ports import Batch, EventSink, SpoolMark
from tc_core.record.enrich import METERING
from tc_core.record.entries import EntryWriter
from tc_core.record.pending import EVENT_BYTES, PendingEvent
from tc_core.record.spool import Spool
from tc_core.record.writer import Writer
from tc_core.store.engine.postgresql import PostgreSQL
from tc_core.store.sql import SqlStore
from tc_core.store.storages import InMemoryStorage, PostgreSQLStorage, SQLiteStorage

KINDS = ("sqlite", "postgresql", "memory")

MOST_QUEUED = 20_000
"""Fewer than what makes the queue fall back to the spool."""


@contextmanager
def opened(kind: str, folder: Path, name: str = "ours") -> Iterator[SqlStore]:
    """Open a new store; for PostgreSQL on a server of its own."""
    with ExitStack() as stack:
        if kind == "postgresql":
            url = stack.enter_context(running()).new_database()
            yield stack.enter_context(closing(PostgreSQLStorage(url)))
        elif kind == "memory":
            yield InMemoryStorage()
        else:
            yield stack.enter_context(closing(SQLiteStorage(folder / f"{name}.db")))


def kind_of(store: SqlStore) -> str:
    """Return which of the kinds a store is."""
    return "memory" if store.is_in_memory else "sqlite" if store.path is not None else "postgresql"


def url_of(store: SqlStore) -> str | None:
    """Return the URL of a store on a server."""
    database = store._database
    return (
        database._url.set(drivername="postgresql").render_as_string(False) if isinstance(database, PostgreSQL) else None
    )


def flush_each_commit(store: SqlStore) -> None:
    """Have SQLite flush every commit to the disk: synchronous FULL."""
    store.close()
    event.listen(store._database.engine, "connect", _set_full)


def _set_full(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")


class Recording:
    """A recorder's writer with its spool, filled by hand: what is timed is what its thread does."""

    def __init__(self, writer: Writer) -> None:
        self._entries = EntryWriter()
        self.writer = writer

    @classmethod
    def into(cls, sink: EventSink, folder: Path | None) -> "Recording":
        """Record with no part but the one that counts and prices."""
        return cls(Writer(sink, [METERING], spool=None if folder is None else Spool(folder)))

    def queue(self, calls: Iterable[PendingEvent]) -> None:
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
        self.writer.stop(60)


class Capturing:
    """A sink that keeps the batches, so that they can be written to a store by themselves."""

    def __init__(self) -> None:
        self.taken: list[tuple[Batch, SpoolMark | None]] = []

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        self.taken.append((batch, mark))

    def position(self, file: str) -> int:
        return 0

    def make_durable(self, file: str) -> None:
        pass

    def forget(self, file: str) -> None:
        pass

    def close(self) -> None:
        pass


def fill(store: SqlStore, calls: Iterator[PendingEvent], count: int, folder: Path | None) -> Iterator[float]:
    """Bring so many calls into a store as a recorder does; yield for each part how many seconds the writer worked."""
    recording = Recording.into(store.sink, folder)
    for start in range(0, count, MOST_QUEUED):
        recording.queue(islice(calls, min(MOST_QUEUED, count - start)))
        yield timed(recording.drain, collect=False).wall_s
    recording.close()
