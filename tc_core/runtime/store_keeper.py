"""StoreKeeper: take what is recorded out of a store and into it, and keep the store in order."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, tzinfo
from pathlib import Path
from typing import Any

from tc_core import settings
from tc_core.errors import ConfigurationError, StorageError
from tc_core.exchange import files
from tc_core.exchange.importing import ImportReport, import_records
from tc_core.model import period
from tc_core.model.ports import Filters
from tc_core.model.recorded import Recorded
from tc_core.runtime.recorders import open_storage, spool_folder
from tc_core.store.base import StorageBackend
from tc_core.store.engine.driver import Key
from tc_core.store.keep import predecessor
from tc_core.store.keep.archive import Archived
from tc_core.store.keep.check import Finding
from tc_core.store.keep.encrypted_copy import encrypt
from tc_core.store.keep.stats import StoreStats
from tc_core.store.sql import SqlStore

Progress = Callable[[int, int | None], object]
"""Told how many events are done, and of how many where that is known."""

PREDECESSOR = "token-calculator"
"""The package whose files `import_events` reads with `file_format` of this name."""


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What a vacuum has done: events and texts that went, and the bytes of the store before and after."""

    events: int
    texts: int
    bytes_before: int
    bytes_after: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class StoreKeeper:
    """Keeps a store: what is in it, and for how long.

    `storage` is a store, a path or a URL; without it the default store is used, which everything shares. Raises
    StorageError for a backend of one's own. `progress` is called now and then with the events done so far, and with
    how many there are in all, or None.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        opened = open_storage(storage)
        if not isinstance(opened, SqlStore):
            raise StorageError(f"{type(opened).__name__} cannot be kept from here: use SQLiteStorage")
        self.storage = opened

    def encrypt(self, target: str | Path, key: Key) -> Path:
        """Make an encrypted copy of a plain SQLite store in a new file, and return its path; see `SQLiteStorage`.

        The old file stays: delete it, and what lies beside it, once nothing records into it any more. Raises
        StorageError for a store of another kind, or a file that exists.
        """
        path = self.storage.path
        if path is None or self.storage.is_encrypted:
            raise StorageError(f"{self.storage} is no plain file that could be encrypted")
        self.storage.flush()
        made = Path(target).expanduser().resolve()
        self.storage.count()  # brings its schema and spool up to date
        encrypt(path, made, key)
        return made

    def export_events(
        self,
        where: str | Path,
        file_format: str | None = None,
        *,
        since: str | date | None = None,
        until: str | date | None = None,
        filters: Filters | None = None,
        tz: str | tzinfo = "UTC",
        progress: Progress | None = None,
    ) -> int:
        """Write events to a file, the oldest first, with their relations and attempts; return how many.

        `file_format` is `jsonl`, `csv` or `parquet`, by default what the file's ending says; `-` is the standard
        output. Dates are as in `CostTracker.get_costs`. Raises ConfigurationError for a place or format that cannot be
        written, ImportError for Parquet where pyarrow is missing.
        """
        span = period.period(since, until, tz=period.zone(tz))
        counted = _Counted(progress, None if progress is None else self.storage.count(filters, span.start, span.end))
        files.write(where, counted.each(self.storage.records(filters, span.start, span.end)), file_format)
        return counted.done

    def import_events(
        self,
        where: str | Path,
        file_format: str | None = None,
        *,
        tz: str | tzinfo = "UTC",
        progress: Progress | None = None,
    ) -> ImportReport:
        """Bring the events of a file into the store; what cannot be taken is told, and the rest goes on.

        `file_format` is as in `export_events`, or `token-calculator` for the SQLite file of that package; a folder
        stands for all Parquet files in it, and `-` for the standard input. Times without an offset are in `tz`. The
        same event again changes nothing. Raises ConfigurationError or StorageError for a file that cannot be read at
        all.
        """
        self.storage.check_writable()
        zone = period.zone(tz)
        read = predecessor.read(where, zone) if file_format == PREDECESSOR else files.read(where, zone, file_format)
        return import_records(read, self.storage, lambda done: progress and progress(done, None))

    def archive(
        self, before: str | date, to: str | Path, *, tz: str | tzinfo = "UTC", progress: Progress | None = None
    ) -> Archived:
        """Move events from before a day into Parquet files in `to`, by day (UTC); return what has gone.

        A run goes once its last event is from before that day. Calls without a price stay in the store with what they
        hang under, and so do runs that are open; sums stay too. Files are like those of `export_events`, in folders
        `day=2026-01-31`. Raises ConfigurationError for a date that cannot be read, ImportError where pyarrow is
        missing, StorageError for a folder that cannot be used.
        """
        start = period.period(before, None, tz=period.zone(tz)).start
        if start is None:
            raise ConfigurationError("say the first day that stays: 2026-01-31, this-month, ...")
        return self.storage.archive(to, start, lambda done: progress and progress(done, None))

    def vacuum(self, retention_days: int | None = None, *, progress: Progress | None = None) -> Vacuumed:
        """Let old details go, delete texts that nothing refers to, and give the room back; return what was done.

        `retention_days` is by default what the settings say; without either no event goes. With SQLite the file is
        written anew, for which there must be room once more, and whoever writes waits meanwhile. Raises
        ConfigurationError for what is no number of days.
        """
        store = self.storage
        store.check_writable()
        if retention_days is None:
            retention_days = settings.load().storage.retention_days
        elif type(retention_days) is not int or not 0 < retention_days <= settings.MOST_DAYS:
            raise ConfigurationError(
                f"retention_days must be a whole number from 1 to {settings.MOST_DAYS:,}, not {retention_days!r}"
            )
        before = store.size()["bytes"]
        retention = store.retention(retention_days)
        while retention.step():
            if progress is not None:
                progress(retention.removed.events, None)
        store.compact()
        removed = retention.removed
        return Vacuumed(removed.events, removed.texts, before, store.size()["bytes"])

    def check(self, *, repair: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Examine the store: its file, what rows refer to, its roll-ups, spool marks and archive files.

        With `repair` roll-ups of days with all their events are made anew from these, events are joined to parents that
        are there, and marks of files that are gone are forgotten.
        """
        folder = spool_folder(self.storage)
        files = None if folder is None else [path.name for path in folder.glob("*")]
        told = progress or (lambda _done, _total: None)
        return self.storage.check(repair=repair, spool_files=files, progress=told)

    def stats(self) -> StoreStats:
        """Return how large the store is and what takes the room."""
        return self.storage.stats()


class _Counted:
    """Counts what goes by, and tells it now and then."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self.done = 0
        self._progress, self._total = progress, total

    def each(self, records: Iterator[Recorded]) -> Iterator[Recorded]:
        for record in records:
            self.done += 1
            if self._progress is not None and not self.done % 1000:
                self._progress(self.done, self._total)
            yield record
