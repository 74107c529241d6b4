"""The store in a SQL database, whichever it is."""

import logging
import os
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from tc_core import settings
from tc_core.errors import ConfigurationError, CycleError, LineageError, StorageError
from tc_core.model import ids
from tc_core.model.apart import apart
from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord, TrackingEvent, from_us, to_us
from tc_core.model.gaps import Gaps
from tc_core.model.part import WritePart
from tc_core.model.ports import Batch, CallFacts, EventSink, Filters, GroupKey, Link, Metric, Priced
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.model.recorded import Recorded, TakenIn
from tc_core.model.run import Run
from tc_core.model.totals import Totals
from tc_core.store.base import StorageBackend
from tc_core.store.engine import migrate
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.engine.wide_labels import wide_labels
from tc_core.store.keep import archive, import_check, stats
from tc_core.store.keep.archive import Archived
from tc_core.store.keep.check import Check, Finding
from tc_core.store.keep.retention import Retention
from tc_core.store.keep.stats import StoreStats
from tc_core.store.read import marks, relations
from tc_core.store.read.calls import CallReader
from tc_core.store.read.columns.keeper import ColumnKeeper
from tc_core.store.read.metrics import value_of
from tc_core.store.read.query import Reader
from tc_core.store.read.sums import Summing
from tc_core.store.write.bulk import BulkWriter
from tc_core.store.write.hash_keys import epochs

on_open: list[Callable[["SqlStore"], object]] = []
"""Called with each store that opens."""

before_open: list[Callable[[], object]] = []
"""Called before a store opens: what makes the tables of branches known."""

log = logging.getLogger("tc_core")

PAGE = 1000
"""How many events are read at once where all are read."""

CALLS_PAGE = 20_000
"""How many calls are read at once where no more than their cost is asked for."""

_DAY_ZERO = date(1970, 1, 1)


RUN_SORTS = ("cost", "tokens", "time", "errors")
"""What runs can be ordered by."""


class SqlStore(StorageBackend):
    """A store in a SQL database.

    `before_read` holds callbacks that run before each question, so that a question sees what this process
    has recorded; `before_close` holds those that run before the store closes.
    """

    def __init__(self, database: Database, identity: str) -> None:
        for callback in before_open:
            callback()
        self.identity = identity
        self.before_read: list[Callable[[], object]] = []
        self.before_close: list[Callable[[], object]] = []
        self._database = database
        self._interned = InternedTexts(database)
        self._columns = ColumnKeeper(database, _most_column_bytes)
        self._writer = BulkWriter(database, self._interned)
        database.make_ready = partial(migrate.prepare, database)
        database.on_fork = partial(_begin_empty, database, self._interned, self._columns)
        database.on_replaced = partial(_begin_again, database, self._interned, self._columns)
        weakref.finalize(self, database.discard)
        try:
            database.get_ready()
        except StorageError as error:
            if not (database.may_be_away and error.is_passing):
                raise
            log.warning("%s. What is recorded waits in the spool until it is back.", error)
        for tie in on_open:
            tie(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._database)!r})"

    @property
    def sink(self) -> EventSink:
        """What a recorder writes to."""
        return self._writer

    @property
    def database(self) -> Database:
        """The database, for the tables of branches."""
        return self._database

    @property
    def interned(self) -> InternedTexts:
        """The texts that rows hold keys of."""
        return self._interned

    @contextmanager
    def question(self) -> Iterator[Connection]:
        """Give a connection inside one consistent read transaction, once all that is recorded is in the store."""
        self._ask()
        with self._database.reading() as connection:
            yield connection

    @property
    def path(self) -> Path | None:
        """The database's file, or None."""
        return self._database.path

    @property
    def is_in_memory(self) -> bool:
        """Whether the store is gone with this process."""
        return self._database.is_in_memory

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody can read the store's file without its key."""
        return self._database.is_encrypted

    @property
    def read_only(self) -> bool:
        """Whether the store only answers questions."""
        return self._database.read_only

    def check_writable(self) -> None:
        """Raise StorageError for a store that only answers questions."""
        self._database.check_writable()

    @property
    def schema(self) -> tuple[str | None, str]:
        """The schema that the store had when it was opened, None when it was made then; and the one it has now."""
        return self._database.schema_before, migrate.HEAD

    # Writing

    def save_event(self, event: TrackingEvent) -> None:
        """Save one event; see `StorageBackend`."""
        self.save_events([event])

    @apart
    def save_events(self, events: Iterable[TrackingEvent]) -> None:
        """Save several events in one transaction; see `save_event`."""
        fresh: dict[str, TrackingEvent] = {}
        events = list(events)
        for event in events:
            event.check()
        known = self._recorded(event.event_id for event in events)
        for event in events:
            before = fresh.get(event.event_id) or known.get(event.event_id)
            if before is None or before.status in ("open", "abandoned"):
                fresh[event.event_id] = event
            elif before != event:
                raise ValueError(f"event {event.event_id!r} is already recorded with other facts")
        if fresh:
            self._writer.write(Batch([EventRecord.from_event(event) for event in fresh.values()]))

    @apart
    def save_relationship(self, relationship: ProvenanceRelationship) -> None:
        """Save a relation between two recorded events; see `StorageBackend`."""
        known = self._recorded((relationship.source_id, relationship.target_id))
        for event_id in (relationship.source_id, relationship.target_id):
            if event_id not in known:
                raise LineageError(f"no event {event_id!r} is recorded")
        try:
            self._writer.relate(_link(relationship), relationship.metadata)
        except CycleError:
            said = f"{relationship.relation} from {relationship.source_id!r} to {relationship.target_id!r}"
            raise CycleError(f"{said} would make an event its own ancestor") from None

    @apart
    def take_in(self, records: Sequence[Recorded]) -> TakenIn:
        """Write those events that are not here yet, with their attempts; tell what became of each.

        The same event again changes nothing. One with other facts than are recorded is refused, and so is a new one
        of a day whose details have left the store. Relations are for `relate`.
        """
        self.check_writable()
        with self._reading() as reader:
            taken, batch = import_check.sort_out(reader, reader.removals(), records)
        if batch.records or batch.attempts:
            self._writer.write(batch)
        return taken

    def relate(self, relations: Iterable[ProvenanceRelationship]) -> list[tuple[ProvenanceRelationship, str]]:
        """Write relations between recorded events; return those that cannot be kept, and why."""
        found = list(relations)
        refused = self._writer.relate_all([(_link(relation), relation.metadata) for relation in found])
        return [(found[place], str(error)) for place, error in refused.items()]

    # Reading

    @apart
    def query_events(
        self,
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[TrackingEvent]:
        """Return matching events in order of time; see `StorageBackend`.

        `workflow_start` and `workflow_end` are made of the one event of a run, where a filter asks for these types.
        """
        if filters and marks.are_asked_for(filters):
            found = marks.with_marks(filters, start_time, end_time, self._stored)
            return (found[::-1] if descending else found)[:limit]
        with self._reading() as reader:
            return reader.events(filters or {}, *_span(start_time, end_time), limit=limit, descending=descending)

    def _stored(self, filters: Filters, start_time: datetime | None, end_time: datetime | None) -> list[TrackingEvent]:
        with self._reading() as reader:
            return reader.events(filters, *_span(start_time, end_time))

    def records(
        self,
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> Iterator[Recorded]:
        """Yield matching events in order of time, each with its relations and attempts, however many there are.

        They are read page by page, so that neither memory nor a transaction grows with them.
        """
        after, span = None, _span(start_time, end_time)
        while True:
            with self._reading() as reader:
                page = reader.page(filters or {}, *span, after, PAGE)
                keys = [key for _, key in page]
                linked, attempts = reader.relations_of(keys), reader.attempts_of(keys)
            for (_, key), event in page.items():
                yield Recorded(event, linked.get(key, ()), attempts.get(key, ()))
            if len(page) < PAGE:
                return
            after = next(reversed(page))

    def calls(
        self,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> Iterator[list[CallFacts]]:
        """Yield matching model calls, page by page, with what their cost depends on: a million takes seconds."""
        key, span = 0, _span(start_time, end_time)
        while True:
            with self.question() as connection:
                reader = CallReader(connection, self._database, self._interned, group_by)
                key, page = reader.page(filters or {}, span, key, CALLS_PAGE)
            if not page:
                return
            yield page

    @apart
    def count(
        self,
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> int:
        """Return how many events match."""
        with self._reading() as reader:
            return reader.count(filters or {}, *_span(start_time, end_time))

    @apart
    def removals(self) -> dict[date, int]:
        """Return how many events have left the store, by the day (UTC) on which they happened.

        Sums over whole hours, by the names that roll-ups have, still have them.
        """
        with self._reading() as reader:
            return {_DAY_ZERO + timedelta(days=day): events for day, events in reader.removals().items()}

    @apart
    def get_event(self, event_id: str) -> TrackingEvent | None:
        """Return one event, or None."""
        with self._reading() as reader:
            return reader.by_ids([event_id]).get(event_id)

    @apart
    def aggregate(
        self,
        metric: Metric,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> dict[GroupKey, float | int | None]:
        """Return one sum for each group; see `StorageBackend`."""
        read = value_of(metric)
        group_by = [group_by] if isinstance(group_by, str) else group_by
        return {key: read(total) for key, total in self.totals(group_by, filters, start_time, end_time).items()}

    @apart
    def totals(
        self,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        gaps: Gaps | None = None,
    ) -> dict[GroupKey, Totals]:
        """Return all sums of each group at once; `gaps` is told which days the answer needed and lacks."""
        self._ask()
        with self._database.reading() as connection:
            question = Summing(connection, self._database, self._interned, group_by, filters or {}, self._columns)
            found = question.totals(*_span(start_time, end_time))
            if gaps is not None:
                gaps.days.update((_DAY_ZERO + timedelta(days=day), events) for day, events in question.gaps().items())
            return found

    @apart
    def relationships(
        self, event_id: str | None = None, workflow_id: str | None = None, *, hints: bool = False
    ) -> list[ProvenanceRelationship]:
        """Return the relations that touch an event, or the events of a workflow, or all.

        Those are facts, of a confidence of 0.9 and more; with `hints` less certain ones come too.
        """
        self._ask()
        with self._database.reading() as connection:
            return relations.relationships(connection, event_id, workflow_id, hints=hints)

    @apart
    def tree(self, root_id: str) -> tuple[list[TrackingEvent], list[ProvenanceRelationship]]:
        """Return a root with everything below it in order of time, and the relations from these events."""
        self._ask()
        with self._database.reading() as connection:
            reader = Reader(connection, self._database, self._interned)
            return reader.tree(root_id), relations.within(connection, root_id)

    @apart
    def runs(
        self,
        filters: Filters | None = None,
        *,
        limit: int | None = 20,
        single_calls: bool = False,
        having: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        sort: str | None = None,
    ) -> list[Run]:
        """Return the latest runs, newest first; model calls that stand alone only with `single_calls`.

        `filters` are those of the root, `having` of any event of the run. With `sort` the runs come first that have the
        most of it: `cost`, `tokens`, `time` or `errors`.
        """
        if sort not in (None, *RUN_SORTS):
            raise ValueError(f"runs are sorted by {', '.join(RUN_SORTS)}, not {sort!r}")
        start_us, end_us = _span(start_time, end_time)
        with self._reading() as reader:
            return reader.runs(
                filters or {},
                limit,
                single_calls=single_calls,
                having=having or {},
                start_us=start_us,
                end_us=end_us,
                sort=sort,
            )

    @apart
    def single_calls(
        self, having: Filters | None = None, start_time: datetime | None = None, end_time: datetime | None = None
    ) -> int:
        """Return how many model calls stand alone."""
        with self._reading() as reader:
            return reader.single_calls(having or {}, *_span(start_time, end_time))

    @apart
    def attempts_in(self, root_id: str) -> dict[str, list[Attempt]]:
        """Return the HTTP requests of the calls of a run, by the ids of these."""
        with self._reading() as reader:
            return reader.attempts_in(root_id)

    @apart
    def ids_like(self, fragment: str, *, limit: int = 10) -> list[str]:
        """Return event ids, newest first, that begin or end with `fragment`."""
        with self._reading() as reader:
            return reader.ids_like(fragment, limit)

    @apart
    def attempts(self, event_id: str) -> list[Attempt]:
        """Return the HTTP requests that an event took, where a tracking client has seen them."""
        with self._reading() as reader:
            return reader.attempts(event_id)

    def reprice(
        self,
        price: Callable[[TrackingEvent], Priced | None],
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        unpriced_only: bool = True,
    ) -> Iterator[tuple[TrackingEvent, Priced | None]]:
        """Price calls again whose tokens are known, and yield each with its new price, None where it keeps what it has.

        The difference is booked under the hour of the call itself. Batches are written one by one.
        """
        key, span = 0, _span(start_time, end_time)
        while True:
            with self._reading() as reader:
                key, events = reader.calls_with_usage(key, *span, limit=1000, unpriced_only=unpriced_only)
            if not events:
                return
            priced = [(event, price(event)) for event in events]
            self._writer.reprice({ids.from_text(event.event_id): new for event, new in priced if new is not None})
            yield from priced

    @apart
    def faults(self) -> dict[str, int]:
        """Return how often each error was met and swallowed in a hook."""
        with self._reading() as reader:
            return reader.faults()

    @apart
    def wide_labels(self) -> dict[str, datetime]:
        """Return the labels with too many values for the roll-ups, and since when: questions for them read all rows."""
        self._ask()
        with self._database.reading() as connection:
            found = wide_labels(connection, self._interned)
        return {label: from_us(since) for label, since in found.items()}

    def use_hash_keys(self, in_use: Callable[[], frozenset[str]]) -> None:
        """Have the ids of the keys that `in_use` gives noted with what is written."""
        self._writer.hash_keys.in_use = in_use

    def use_parts(self, parts: Callable[[], Sequence[WritePart]]) -> None:
        """Have what `parts` returns write in each transaction that books sums; asked at each of them."""
        self._writer.parts = parts

    def use_commits(self, on_commit: Callable[[], object]) -> None:
        """Have `on_commit` called after each commit."""
        self._writer.on_commit = on_commit

    @apart
    def hash_keys(self) -> dict[str, datetime]:
        """Return the ids of all keys that ids were made from texts with, and since when, the oldest first."""
        self._ask()
        with self._database.reading() as connection:
            return {key: from_us(since) for key, since in epochs(connection).items()}

    @apart
    def size(self) -> dict[str, int]:
        """Return the number of `events` and the `bytes` on disk (0 for memory)."""
        self._ask()
        with self._database.reading() as connection:
            events = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()
            return {"events": events, "bytes": self._database.size(connection)}

    def retention(self, days: int | None) -> Retention:
        """Return what lets events go that are older than so many whole days (UTC), step by step."""
        return Retention(self._database, days)

    def archive(
        self, folder: str | Path, before: datetime, progress: Callable[[int], object] = lambda _: None
    ) -> Archived:
        """Move events from before a moment into Parquet files, by day, whole runs at a time; return what has gone.

        A run goes once its last event is from before; calls without a price stay with what they hang under, and so do
        runs that are open. Sums stay. `progress` is told how many events have gone. Raises ImportError where pyarrow is
        missing, StorageError for a folder that cannot be used, or that another process is archiving into.
        """
        self.check_writable()
        self._ask()
        place = Path(folder).expanduser().resolve()
        with archive.taking_turns(place):
            work = archive.Archive(self._database, self._interned, place, to_us(before))
            work.recover()
            while work.step():
                progress(work.archived.events)
        texts = self.retention(None)
        while texts.step():
            pass
        return work.archived

    def compact(self) -> None:
        """Give the room of what was deleted back; with SQLite others wait, and the file is written anew."""
        self._ask()
        self._database.compact()

    @apart
    def stats(self) -> StoreStats:
        """Return how large the store is and what takes the room."""
        self._ask()
        with self._database.reading() as connection:
            return stats.measure(connection, self._database, migrate.HEAD)

    def check(
        self,
        *,
        repair: bool = False,
        spool_files: Collection[str] | None = None,
        progress: Callable[[int, int | None], object] = lambda _done, _total: None,
    ) -> list[Finding]:
        """Examine the store; see `store.check`."""
        self._ask()
        if repair:
            self.check_writable()
        work = Check(
            self._database,
            self._interned,
            self._writer,
            repair=repair,
            spool_files=spool_files,
            progress=progress,
        )
        return list(work.findings())

    # Life

    @apart
    def flush(self) -> None:
        """Return once everything recorded in this process is in the store."""
        self._ask()

    @apart
    def close(self) -> None:
        """Flush, and close the database; the store can still be used and opens it again."""
        for callback in list(self.before_close):
            callback()
        self._columns.forget()
        self._database.close()

    def _ask(self) -> None:
        for callback in list(self.before_read):
            callback()

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        self._ask()
        with self._database.reading() as connection:
            yield Reader(connection, self._database, self._interned)

    def _recorded(self, event_ids: Iterable[str]) -> dict[str, TrackingEvent]:
        with self._reading() as reader:
            return reader.by_ids(event_ids)


def _most_column_bytes() -> int:
    """Return how much memory columns may take; none where the settings cannot be read, which other commands say."""
    try:
        return settings.load().storage.columns_mb * 1_000_000
    except ConfigurationError:
        return 0


def _begin_empty(database: Database, interned: InternedTexts, columns: ColumnKeeper) -> None:
    """In a forked child a memory store is empty: what its parent has in memory cannot be shared."""
    interned.clear()
    columns.forget()
    migrate.prepare(database)


def _begin_again(database: Database, interned: InternedTexts, columns: ColumnKeeper) -> None:
    """When there is another file in the old one's place, or none: its keys are others, and it may have to be made."""
    interned.clear()
    columns.forget()
    if database.path is None or database.read_only or os.path.exists(database.path):  # noqa: PTH110  # also where we may not look
        return
    migrate.prepare(database)


def _link(relationship: ProvenanceRelationship) -> Link:
    return Link(
        ids.from_text(relationship.source_id),
        relationship.relation,
        ids.from_text(relationship.target_id),
        relationship.source,
        relationship.confidence,
    )


def _span(start: datetime | None, end: datetime | None) -> tuple[int | None, int | None]:
    return (None if start is None else to_us(start), None if end is None else to_us(end))
