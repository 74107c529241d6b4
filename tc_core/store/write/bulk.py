"""Writing: one transaction a batch, with interning, revisions, relations, roll-ups and the spool mark in it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from tc_core.errors import LineageError
from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.part import WritePart
from tc_core.model.ports import Batch, Link, Priced, SpoolMark
from tc_core.model.scope import label_text
from tc_core.model.totals import measures
from tc_core.store.engine.database import Database, chunks, insert_into
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.schema.tables import OPEN, LabelSet, table
from tc_core.store.write import rows
from tc_core.store.write.changes import EventChanges
from tc_core.store.write.hash_keys import HashKeys, Noted
from tc_core.store.write.places import Places
from tc_core.store.write.relations import RelationWriter
from tc_core.store.write.rolled_labels import BatchLabels, RolledLabels
from tc_core.store.write.rollups import RollupChanges
from tc_core.store.write.shared_columns import BatchColumns, SharedColumns

_COLUMNS = ", ".join(f'"{column}"' for column in rows.COLUMNS)
_LABEL_SET = table(LabelSet)


class BulkWriter:
    """Writes batches; the store's side of the port `EventSink`."""

    def __init__(self, database: Database, interned: InternedTexts) -> None:
        self.parts: Callable[[], Sequence[WritePart]] = tuple
        """Returns what else is written wherever sums are booked: `write` of the branches' parts."""
        self.on_commit: Callable[[], object] = lambda: None
        """Called after each commit."""
        self._database = database
        self._interned = interned
        self._columns = SharedColumns(database, interned)
        self._labels = RolledLabels(database, interned)
        self.hash_keys = HashKeys(database, interned)

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        """Write a batch and move the spool mark, all or nothing; raise StorageError when that fails."""

        noted = Noted()

        def write(work: _Transaction) -> None:
            nonlocal noted
            noted = self.hash_keys.note(work.connection)
            work.write_records(batch.records)
            work.write_links(batch.links)
            work.write_attempts(batch.attempts)
            work.write_faults(batch.faults)
            if mark is not None:
                work.move_mark(mark)
            work.write_sums()

        work = self._transact(write)
        self.hash_keys.keep(noted)
        if self._database.writers_overlap and work.places.may_lack_parents:
            self._transact(lambda again: again.adopt(batch.records), alone=True)

    def reprice(self, prices: Mapping[EventId, Priced]) -> None:
        """Set what events cost, and book the difference where they are booked."""
        if prices:
            self._transact(lambda work: work.reprice(prices))

    def relate(self, link: Link, metadata: Mapping[str, Any]) -> None:
        """Write one relation by hand.

        Raises LineageError for an event that is not recorded, CycleError for a relation that would make
        an event its own ancestor.
        """
        self._transact(lambda work: work.relate(link, metadata), alone=True)

    def adopt(self, parents: Sequence[EventId]) -> None:
        """Hang events under parents that are there, although the events still wait for them."""
        self._transact(lambda work: work.places.adopt(parents), alone=True)

    def relate_all(self, links: Sequence[tuple[Link, Mapping[str, Any]]]) -> dict[int, LineageError]:
        """Write several relations; return the errors of those that cannot be kept, by their places."""
        refused: dict[int, LineageError] = {}

        def relate(work: _Transaction) -> None:
            refused.clear()  # of a first attempt, where another transaction was faster
            for place, (link, metadata) in enumerate(links):
                try:
                    work.relate(link, metadata)
                except LineageError as error:
                    refused[place] = error

        self._transact(relate, alone=True)
        return refused

    def _transact(self, do: "Callable[[_Transaction], None]", *, alone: bool = False) -> "_Transaction":
        """Do some work in one transaction, and again where another one was faster."""
        parts = self.parts()

        def work_on(connection: Connection) -> _Transaction:
            work = _Transaction(connection, self._database, self._interned, self._columns, self._labels)
            work.parts = parts
            do(work)
            return work

        work = self._database.transact(work_on, alone=alone)
        work.keep()
        self.on_commit()
        return work

    def position(self, file: str) -> int:
        """Return how far a spool file has been written, in bytes."""
        with self._database.reading() as connection:
            found = connection.exec_driver_sql(
                f"SELECT position FROM spool WHERE file = {self._database.placeholder}", (file,)
            )
            return found.scalar() or 0

    def make_durable(self, file: str) -> None:
        """Return once everything marked of a spool file survives a loss of power."""
        self._database.make_durable(file)

    def forget(self, file: str) -> None:
        """Drop the mark of a deleted spool file."""
        statement = f"DELETE FROM spool WHERE file = {self._database.placeholder}"
        self._database.transact(lambda connection: connection.exec_driver_sql(statement, (file,)))

    def close(self) -> None:
        """Give back what is held open; the next batch opens it again."""
        self._database.close()


class _Transaction:
    """The work of one write transaction."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        interned: InternedTexts,
        columns: SharedColumns,
        labels: RolledLabels,
    ) -> None:
        self.places = Places(connection, database)
        self.connection = connection
        self.database = database
        self.parts: Sequence[WritePart] = ()
        self._database = database
        self._interned = interned
        self._events = EventChanges()
        self._shared_columns = columns
        self._rolled_labels = labels
        self._changes = RollupChanges()
        self._columns: BatchColumns | None = None
        self._labels: BatchLabels | None = None

    def keep(self) -> None:
        """Once it is committed: let the next ones know what has been looked up and made here."""
        if self._columns is not None:
            self._shared_columns.keep(self._columns)
        if self._labels is not None:
            self._rolled_labels.keep(self._labels)

    # Records

    def write_records(self, records: Sequence[EventRecord]) -> None:
        latest = _most_final(records)
        if not latest:
            return
        columns = self._columns = self._shared_columns.of(self.connection, latest.values())
        existing = self._existing(latest)
        new = {id_: record for id_, record in latest.items() if id_ not in existing}
        self.places.assign(new)
        bodies: dict[int, str] = {}
        self._insert(new, columns, bodies)
        revised = [(row, latest[id_]) for id_, row in existing.items() if latest[id_].rank > rows.rank_of(row)]
        self._revise(revised, columns, bodies)
        self._insert_missing("metadata_body", ("id", "body"), bodies.items())
        self._insert_missing("external_id", ("id", "value"), _external_ids(latest.values()))
        if self._database.writers_overlap:
            self.places.look_for_orphans()  # others may be writing below them: they are adopted alone, afterwards
        else:
            self.places.adopt(new)

    def write_sums(self) -> None:
        """Write the roll-ups: last, since other writers wait for the rows that it changes."""
        labels = self._labels = self._rolled_labels.of(self.connection, self._changes.pairs())
        self._changes.write(self.connection, self._database, labels.keys)
        if self.parts:
            changes = self._events.found(self.connection, self._interned, self._columns.keys if self._columns else {})
            for write in self.parts if changes else ():
                write(self, changes)

    def _existing(self, wanted: Iterable[EventId]) -> dict[EventId, Row[Any]]:
        """Return the rows of those events that have one; plain SQL, since nearly always there are none."""
        found = {}
        for some in chunks(list(wanted)):
            is_wanted, parameters = self._database.one_of("id", some)
            question = f"SELECT {_COLUMNS} FROM event WHERE {is_wanted}{self._database.row_lock}"
            for row in self.connection.exec_driver_sql(question, parameters):
                found[row.id] = row
                self.places.note(row)
        return found

    def _insert(self, new: Mapping[EventId, EventRecord], columns: BatchColumns, bodies: dict[int, str]) -> None:
        inserted, orphans = [], []
        places, scopes, label_set, book = self.places, columns.scopes, columns.label_set, self._changes.add
        for id_, record in new.items():
            key, root, depth = places[id_]
            parent, parent_id = None, record.parent_id
            if parent_id is not None:
                if depth:
                    parent = places[parent_id].key
                else:
                    orphans.append((key, parent_id))
            own, scope, at = columns.events[id_], scopes[record.scope], record.at_us
            identity = (key, id_, at, parent, root, depth)
            inserted.append(rows.values(record, own, scope, label_set(scope), bodies, identity))
            added = measures(
                record.event_type,
                record.status,
                record.usage,
                record.usage_source,
                record.cost_nanos,
                record.latency_us,
                record.charges_nanos,
            )
            book(at, own.cube + scope.cube, record.scope.labels, added)
        if self.parts:
            self._events.insert(new.values())
        inserted.sort()  # by key: rows that are appended fill their pages
        self._database.insert(self.connection, "event", rows.COLUMNS, inserted)
        self._database.insert(self.connection, "orphan", ("event", "parent_id"), orphans)

    def _revise(
        self, revised: Sequence[tuple[Row[Any], EventRecord]], columns: BatchColumns, bodies: dict[int, str]
    ) -> None:
        """Write what more final records know, and book the difference under each event's own hour."""
        changed, labels = [], self._label_sets(row for row, _ in revised)
        for row, record in revised:
            before = rows.revisable(row)
            scope = columns.scopes[record.scope]
            known = rows.values(record, columns.events[record.id], scope, columns.label_set(scope), bodies)
            after = rows.merged(before, known)
            self._book(row, before, after, labels[row.labels], record.scope.labels)
            changed.append((*after, row.key))
        self._update(rows.REVISED, changed)
        if any(row.status != OPEN for row, _ in revised):
            self._database.note_edit(self.connection)

    def reprice(self, prices: Mapping[EventId, Priced]) -> None:
        existing = self._existing(prices)
        sources = {("price_source", price.source) for price in prices.values()}
        self._columns = self._shared_columns.of_terms(self.connection, sources)
        keys = self._columns.keys
        changed, labels = [], self._label_sets(existing.values())
        for id_, row in existing.items():
            price, before = prices[id_], rows.revisable(row)
            after = rows.with_price(before, price, keys)
            self._book(row, before, after, labels[row.labels])
            changed.append((*rows.price_columns(price, keys), row.key))
        self._update(rows.PRICE, changed)
        self._database.note_edit(self.connection)
        self.write_sums()

    def _book(
        self,
        row: Row[Any],
        before: rows.Values,
        after: rows.Values,
        labels: Mapping[str, str],
        new_labels: Mapping[str, str] | None = None,
    ) -> None:
        """Take back what a row added to the sums, and add what it adds now."""
        self._changes.add(row.at, rows.cube(before), labels, rows.measures_of(before), sign=-1)
        self._changes.add(row.at, rows.cube(after), new_labels or labels, rows.measures_of(after))
        if self.parts:
            self._events.revise(row, before, after, labels, new_labels or labels)

    def _update(self, columns: Sequence[str], changed: Sequence[rows.Values]) -> None:
        if changed:
            mark = self._database.placeholder
            assigned = ", ".join(f"{name} = {mark}" for name in columns)
            self.connection.exec_driver_sql(f'UPDATE event SET {assigned} WHERE "key" = {mark}', list(changed))

    def _label_sets(self, found: Iterable[Row[Any]]) -> dict[int | None, dict[str, str]]:
        """Return the labels of some rows by the keys of their sets; None has none."""
        sets: dict[int | None, dict[str, str]] = {None: {}}
        wanted = list({row.labels for row in found if row.labels is not None})
        for some in chunks(wanted):
            question = select(_LABEL_SET.c.id, _LABEL_SET.c.body).where(_LABEL_SET.c.id.in_(some))
            sets.update({key: json.loads(body) for key, body in self.connection.execute(question)})
        return sets

    def adopt(self, records: Sequence[EventRecord]) -> None:
        """Bring events and parents together that came at the same time in two transactions."""
        self.places.adopt({record.id for record in records})
        self.places.adopt({record.parent_id for record in records if record.parent_id is not None})

    # Relations

    def write_links(self, links: Sequence[Link]) -> None:
        """Write relations that were observed; those that cannot be kept are counted, not raised."""
        if links:
            self.write_faults(RelationWriter(self.connection, self._database, self.places).write(links))

    def relate(self, link: Link, metadata: Mapping[str, Any]) -> None:
        RelationWriter(self.connection, self._database, self.places).relate(link, metadata)

    # The rest of a batch

    def write_attempts(self, attempts: Sequence[tuple[EventId, Attempt]]) -> None:
        if attempts:
            self.places.find(id_ for id_, _ in attempts)
        found = [(self.places[id_].key, *attempt) for id_, attempt in attempts if id_ in self.places]
        self._database.insert_missing(self.connection, "attempt", ("event", *Attempt._fields), found)

    def write_faults(self, faults: Mapping[str, int]) -> None:
        self._database.add_up(self.connection, "fault", ("fault",), ("count",), list(faults.items()))

    def move_mark(self, mark: SpoolMark) -> None:
        insert = insert_into("spool", ("file", "position"), self._database.placeholder)
        moved = "ON CONFLICT (file) DO UPDATE SET position = excluded.position"
        self.connection.exec_driver_sql(f"{insert} {moved}", (mark.file, mark.position))

    def _insert_missing(self, table: str, columns: Sequence[str], values: Iterable[tuple[Any, ...]]) -> None:
        """Insert texts that are not there yet; in order, so that no two writers wait for each other."""
        self._database.insert_missing(self.connection, table, columns, sorted(values))


def _most_final(records: Sequence[EventRecord]) -> dict[EventId, EventRecord]:
    """Keep the most final record of each event, the first among equals."""
    latest: dict[EventId, EventRecord] = {}
    for record in records:
        known = latest.get(record.id)
        if known is None or record.rank > known.rank:
            latest[record.id] = record
    return latest


def _external_ids(records: Iterable[EventRecord]) -> set[tuple[EventId, str]]:
    """Return the texts of those ids that are not UUIDs, of the events themselves and of their parents."""
    found = set()
    for record in records:
        if record.external_id is not None:
            found.add((record.id, label_text(record.external_id)))
        if record.parent_id is not None and record.parent_external_id is not None:
            found.add((record.parent_id, label_text(record.parent_external_id)))
    return found
