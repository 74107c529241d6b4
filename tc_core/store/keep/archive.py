"""The archive: events go into Parquet files, by day, and then out of the store, so that each is always in one of them.

One step takes some runs. Their files are named in the table `archive_file`, not yet whole, in a transaction of its own;
then written beside their place, flushed and renamed; then one transaction deletes the events and marks them whole.
A process that dies leaves either the events or whole files: what is not marked whole is thrown away by the next one.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, delete, select, update

from tc_core.errors import StorageError
from tc_core.exchange import parquet
from tc_core.model.event import to_us
from tc_core.model.recorded import Recorded
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.keep import deletion
from tc_core.store.read.query import Place, Reader
from tc_core.store.schema.days import US_PER_DAY
from tc_core.store.schema.tables import ArchiveFile, table

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

MOST = 5000
"""Events that go in one step, and so in one transaction."""

_FILES = table(ArchiveFile)
_LOCK = ".token-calc-archive.lock"


@dataclass(slots=True)
class Archived:
    """How many events have gone into which files."""

    events: int = 0
    files: list[str] = field(default_factory=list)


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Hold an archive's folder for a block; raise StorageError when it cannot be made, or another process has it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _held(folder) as is_held:
            if not is_held:
                raise StorageError(f"another process is archiving into {folder}", is_passing=True)
            yield
    except OSError as error:
        raise StorageError(f"cannot archive into {folder}: {error.strerror or error}") from error


class Archive:
    """Moves events from before a moment into a folder, some runs at a time; inside `taking_turns`."""

    def __init__(self, database: Database, interned: InternedTexts, folder: Path, before_us: int) -> None:
        parquet.require()
        self._database = database
        self._interned = interned
        self._folder = folder
        self._before_us = before_us
        self._after: Place | None = None
        self.archived = Archived()

    def recover(self) -> None:
        """Throw away files that an archive which died has left, and that the store still has the events of."""
        with self._database.reading() as connection:
            left = connection.execute(select(_FILES.c.path).where(_FILES.c.whole == 0)).scalars().all()
        for path in map(Path, left):
            folder = path.parent.parent
            if folder == self._folder:
                self._discard([path])
            elif folder.is_dir():  # else it is perhaps that of another machine
                with _held(folder) as is_held:
                    if is_held:
                        self._discard([path])

    def step(self) -> bool:
        """Archive some runs; return whether there may be more."""
        with self._database.reading() as connection:
            found = deletion.look(connection, self._before_us, self._after, MOST)
            records = self._records(connection, found.keys)
        if found.keys:
            files = self._announce(records)
            for path, some in files.items():
                _write(path, some)
            if not self._let_go(found, records, files):
                self._discard(list(files))
                return True  # what has come meanwhile belongs into the files too
            self.archived.events += len(found.keys)
            self.archived.files += map(str, files)
        self._after = found.goes_on_from
        return found.last is not None

    def _announce(self, records: Sequence[Recorded]) -> dict[Path, list[Recorded]]:
        """Name a file for each day (UTC) in a transaction of its own; return what goes into each."""
        by_day: dict[int, list[Recorded]] = {}
        for record in records:
            by_day.setdefault(to_us(record.event.timestamp) // US_PER_DAY, []).append(record)
        files = {
            self._folder / f"{parquet.PARTITION}={deletion.day_name(day)}" / f"{uuid.uuid4().hex}.parquet": (day, some)
            for day, some in sorted(by_day.items())
        }
        rows = [(str(path), day, len(some), 0) for path, (day, some) in files.items()]
        columns = ("path", "day", "events", "whole")
        self._database.transact(lambda connection: self._database.insert(connection, "archive_file", columns, rows))
        return {path: some for path, (_, some) in files.items()}

    def _let_go(self, found: deletion.Leaving, records: Sequence[Recorded], files: dict[Path, list[Recorded]]) -> bool:
        """Delete the events and mark the files whole, unless anything of them has changed since they were read."""

        def let_go(connection: Connection) -> bool:
            now = deletion.look(connection, self._before_us, self._after, MOST)
            if now.keys != found.keys or repr(self._records(connection, now.keys)) != repr(records):
                return False
            deletion.remove(connection, self._database, found.keys)
            for path in files:
                connection.execute(update(_FILES).where(_FILES.c.path == str(path)).values(whole=1))
            return True

        return self._database.transact(let_go, alone=True)

    def _records(self, connection: Connection, keys: Sequence[int]) -> list[Recorded]:
        return Reader(connection, self._database, self._interned).leaving(keys)

    def _discard(self, paths: Sequence[Path]) -> None:
        """Delete files, and forget them only then."""
        for path in paths:
            path.unlink(missing_ok=True)
            _part(path).unlink(missing_ok=True)
        forget = delete(_FILES).where(_FILES.c.path.in_([str(path) for path in paths]))
        self._database.transact(lambda connection: connection.execute(forget))


def _write(path: Path, records: Sequence[Recorded]) -> None:
    """Write a file so that it is there whole and flushed, or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = _part(path)
    with open(part, "wb", opener=_private) as stream:  # only this takes an opener
        parquet.write(stream, records)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    for folder in (path.parent, path.parent.parent):
        _flush(folder)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")  # readers of such folders pass over what begins with a dot


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _flush(folder: Path) -> None:
    """Have the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Lock a folder for a block, where the system has locks; give whether nobody else has it."""
    with open(folder / _LOCK, "a", opener=_private) as lock:
        yield _lock(lock)


def _lock(file: IO[str]) -> bool:
    if fcntl is None:
        return True  # type: ignore[unreachable]  # on Windows it is None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
