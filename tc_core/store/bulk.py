"""Writing: one transaction a batch, with interning, revisions, relations, roll-ups and the spool mark in it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity
from sqlalchemy import Connection, Row, delete, select, update

from tc_core.errors import CycleError, LineageError
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.ports import Batch, Link, Priced, SpoolMark
from tc_core.model.scope import label_text
from tc_core.model.totals import measures
from tc_core.store import rows
from tc_core.store.dialect import ConflictError, Database, chunks, insert_into
from tc_core.store.interning import Dimensions, Term
from tc_core.store.rollups import RollupChanges
from tc_core.store.tables import (
    SEED_KEYS,
    Event,
    LabelSet,
    Orphan,
    RelationRow,
    body_key,
    canonical_json,
    table,
)

_EVENT = table(Event)
_COLUMNS = ", ".join(f'"{column}"' for column in rows.COLUMNS)
_LABEL_SET = table(LabelSet)
_ORPHAN = table(Orphan)
_RELATION = table(RelationRow)


class BulkWriter:
    """Writes batches; the store's side of the port `EventSink`."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._database = database
        self._dimensions = dimensions

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        """Write a batch and move the spool mark, all or nothing; raise StorageError when that fails."""

        def write(work: _Transaction) -> None:
            work.write_records(batch.records)
            for link in batch.links:
                work.write_link(link)
            work.write_attempts(batch.attempts)
            work.write_faults(batch.faults)
            if mark is not None:
                work.move_mark(mark)
            work.write_sums()

        work = self._transact(write)
        if self._database.writers_overlap and work.may_lack_parents:
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
        self._transact(lambda work: work.adopt_under(parents), alone=True)

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
        for attempt in _CONFLICTS:
            with attempt, self._database.writing(alone=alone) as connection:
                work = _Transaction(connection, self._database, self._dimensions)
                do(work)
        self._dimensions.keep(work.keys)
        return work

    def position(self, file: str) -> int:
        """Return how far a spool file has been written, in bytes."""
        with self._database.reading() as connection:
            found = connection.exec_driver_sql(
                f"SELECT position FROM spool WHERE file = {self._database.placeholder}", (file,)
            )
            return found.scalar() or 0

    def settle(self, file: str) -> None:
        """Return once everything marked of a spool file survives a loss of power."""
        self._database.settle(file)

    def forget(self, file: str) -> None:
        """Drop the mark of a deleted spool file."""
        with self._database.writing() as connection:
            connection.exec_driver_sql(f"DELETE FROM spool WHERE file = {self._database.placeholder}", (file,))

    def close(self) -> None:
        """Give back what is held open; the next batch opens it again."""
        self._database.close()


_CONFLICTS = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type(ConflictError),
    wait=tenacity.wait_random(0, 0.02),
    stop=tenacity.stop_after_attempt(10),
    reraise=True,
)


@dataclass(slots=True)
class _Place:
    """Where an event stands: its row, its root's row, and how deep it lies."""

    key: int
    root: int
    depth: int


class _Transaction:
    """The work of one write transaction."""

    def __init__(self, connection: Connection, database: Database, dimensions: Dimensions) -> None:
        self.keys: dict[Term, int] = {}
        self.may_lack_parents = False
        """Whether events are known that wait for a parent, which may be on its way in another transaction."""
        self._connection = connection
        self._database = database
        self._dimensions = dimensions
        self._places: dict[EventId, _Place] = {}
        self._changes = RollupChanges()

    # Records

    def write_records(self, records: Sequence[EventRecord]) -> None:
        latest = _most_final(records)
        if not latest:
            return
        self.keys = self._dimensions.keys(self._connection, rows.terms(latest.values()))
        scopes = rows.ScopeColumns(self.keys)
        existing = self._existing(latest)
        new = {id_: record for id_, record in latest.items() if id_ not in existing}
        self._place(new)
        self._insert(new, scopes)
        for id_, row in existing.items():
            self._revise(row, latest[id_], scopes)
        self._write_texts(latest.values(), scopes.label_sets)
        self.adopt_under(new)

    def write_sums(self) -> None:
        """Write the roll-ups: last, since other writers wait for the rows that it changes."""
        label_keys = self._dimensions.keys(self._connection, self._changes.terms())
        self._changes.write(self._connection, self._database, label_keys)
        self.keys = {**self.keys, **label_keys}

    def _existing(self, wanted: Iterable[EventId]) -> dict[EventId, Row[Any]]:
        """Return the rows of those events that have one; plain SQL, since nearly always there are none."""
        found = {}
        mark = self._database.placeholder
        for some in chunks(list(wanted)):
            marks = ", ".join([mark] * len(some))
            question = f"SELECT {_COLUMNS} FROM event WHERE id IN ({marks}){self._database.row_lock}"
            for row in self._connection.exec_driver_sql(question, tuple(some)):
                found[row.id] = row
                self._places[row.id] = _Place(row.key, row.root, row.depth)
        return found

    def _place(self, new: Mapping[EventId, EventRecord]) -> None:
        """Give each new event a key, a root and a depth; parents come before their children."""
        self._find_places({r.parent_id for r in new.values() if r.parent_id is not None} - new.keys())
        keys = iter(self._database.allocate_keys(self._connection, len(new)))
        for record in new.values():
            for each in _from_the_top(record, new, self._places):
                key = next(keys)
                above = self._places.get(each.parent_id) if each.parent_id is not None else None
                self._places[each.id] = _Place(key, above.root, above.depth + 1) if above else _Place(key, key, 0)

    def _find_places(self, wanted: Iterable[EventId]) -> None:
        columns = (_EVENT.c.id, _EVENT.c.key, _EVENT.c.root, _EVENT.c.depth)
        for some in chunks([id_ for id_ in wanted if id_ not in self._places]):
            for row in self._connection.execute(select(*columns).where(_EVENT.c.id.in_(some))):
                self._places[row.id] = _Place(row.key, row.root, row.depth)

    def _insert(self, new: Mapping[EventId, EventRecord], scopes: rows.ScopeColumns) -> None:
        inserted, orphans = [], []
        for id_, record in new.items():
            place, parent = self._places[id_], None
            if record.parent_id is not None:
                if place.depth:
                    parent = self._places[record.parent_id].key
                else:
                    orphans.append((place.key, record.parent_id))
            values = rows.values(record, self.keys, scopes)
            self._changes.add(record.at_us, rows.cube(values), record.scope.labels, _measures(record))
            inserted.append((place.key, id_, record.at_us, parent, place.root, place.depth, *values))
        self._database.insert(self._connection, "event", rows.COLUMNS, inserted)
        self._database.insert(self._connection, "orphan", ("event", "parent_id"), orphans)

    def _revise(self, row: Row[Any], record: EventRecord, scopes: rows.ScopeColumns) -> None:
        """Write what a more final record knows, and book the difference under the event's own hour."""
        if record.rank <= rows.rank_of(row):
            return
        before = tuple(row)[len(rows.IDENTITY) :]
        after = rows.merged(before, rows.values(record, self.keys, scopes))
        labels = self._labels(row.labels)
        self._changes.add(row.at, rows.cube(before), labels, rows.measures_of(before), sign=-1)
        self._changes.add(row.at, rows.cube(after), record.scope.labels or labels, rows.measures_of(after))
        mark = self._database.placeholder
        columns = ", ".join(f"{name} = {mark}" for name in rows.REVISED)
        self._connection.exec_driver_sql(f'UPDATE event SET {columns} WHERE "key" = {mark}', (*after, row.key))

    def reprice(self, prices: Mapping[EventId, Priced]) -> None:
        sources = {("price_source", price.source) for price in prices.values()}
        self.keys = self._dimensions.keys(self._connection, sources)
        changed, mark = [], self._database.placeholder
        for id_, row in self._existing(prices).items():
            price, before = prices[id_], tuple(row)[len(rows.IDENTITY) :]
            after = rows.with_price(before, price, self.keys)
            labels = self._labels(row.labels)
            self._changes.add(row.at, rows.cube(before), labels, rows.measures_of(before), sign=-1)
            self._changes.add(row.at, rows.cube(after), labels, rows.measures_of(after))
            changed.append((*rows.price_columns(price, self.keys), row.key))
        columns = ", ".join(f"{name} = {mark}" for name in rows.PRICE)
        if changed:
            self._connection.exec_driver_sql(f'UPDATE event SET {columns} WHERE "key" = {mark}', changed)
        self.write_sums()

    def _labels(self, key: int | None) -> dict[str, str]:
        if key is None:
            return {}
        body = self._connection.execute(select(_LABEL_SET.c.body).where(_LABEL_SET.c.id == key)).scalar_one()
        labels: dict[str, str] = json.loads(body)
        return labels

    def _write_texts(self, records: Iterable[EventRecord], label_sets: Mapping[int, str]) -> None:
        """Write the bodies and the external ids that the rows refer to."""
        details, external = set(), set()
        for record in records:
            if record.metadata:
                details.add(canonical_json(record.metadata))
            if record.external_id is not None:
                external.add((record.id, label_text(record.external_id)))
            if record.parent_id is not None and record.parent_external_id is not None:
                external.add((record.parent_id, label_text(record.parent_external_id)))
        self._insert_missing("label_set", ("id", "body"), label_sets.items())
        self._insert_missing("metadata_body", ("id", "body"), [(body_key(body), body) for body in details])
        self._insert_missing("external_id", ("id", "value"), external)

    def adopt(self, records: Sequence[EventRecord]) -> None:
        """Bring events and parents together that came at the same time in two transactions."""
        self.adopt_under({record.id for record in records})
        self.adopt_under({record.parent_id for record in records if record.parent_id is not None})

    def adopt_under(self, parents: Iterable[EventId]) -> None:
        """Hang events under a parent that has come only now, and their trees with them."""
        if self._connection.execute(select(_ORPHAN.c.event).limit(1)).first() is None:
            return
        self.may_lack_parents = True
        for some in chunks(list(parents)):
            for orphan in self._connection.execute(select(_ORPHAN).where(_ORPHAN.c.parent_id.in_(some))).all():
                parent = self._connection.execute(
                    select(_EVENT.c.key, _EVENT.c.root, _EVENT.c.depth).where(_EVENT.c.id == orphan.parent_id)
                ).one_or_none()
                if parent is None or parent.root == orphan.event:
                    continue  # its own descendant: that parent stays unrecorded
                tree = update(_EVENT).where(_EVENT.c.root == orphan.event)
                self._connection.execute(tree.values(root=parent.root, depth=_EVENT.c.depth + parent.depth + 1))
                self._connection.execute(update(_EVENT).where(_EVENT.c.key == orphan.event).values(parent=parent.key))
                self._connection.execute(delete(_ORPHAN).where(_ORPHAN.c.event == orphan.event))

    # Relations

    def write_link(self, link: Link) -> None:
        """Write a relation that was observed; one that cannot be kept is counted, not raised."""
        try:
            self.relate(link, {})
        except LineageError as error:
            self.write_faults({f"relation {link.relation}: {type(error).__name__}": 1})

    def relate(self, link: Link, metadata: Mapping[str, Any]) -> None:
        self._find_places((link.source, link.target))
        for id_ in (link.source, link.target):
            if id_ not in self._places:
                raise LineageError(f"no event {ids.to_text(id_)} is recorded")
        source, target = self._places[link.source].key, self._places[link.target].key
        if source == target or self._leads_to(target, source):
            raise CycleError(f"{link.relation} from {ids.to_text(link.source)} would close a cycle")
        body = canonical_json(metadata) if metadata else None
        details = None if body is None else body_key(body)
        relation, origin = SEED_KEYS["relation", link.relation], SEED_KEYS["relation_source", link.origin]
        if body is not None:
            self._insert_missing("metadata_body", ("id", "body"), [(details, body)])
        columns = ("source", "relation", "target", "origin", "confidence", "details")
        row = (source, relation, target, origin, link.confidence, details)
        self._database.insert_missing(self._connection, "relation", columns, [row])

    def _leads_to(self, start: int, goal: int) -> bool:
        """Tell whether relations lead from one event to another."""
        seen, frontier = {start}, [start]
        while frontier:
            found = {
                target
                for some in chunks(frontier)
                for (target,) in self._connection.execute(
                    select(_RELATION.c.target).where(_RELATION.c.source.in_(some))
                )
            }
            if goal in found:
                return True
            frontier = list(found - seen)
            seen |= found
        return False

    # The rest of a batch

    def write_attempts(self, attempts: Sequence[tuple[EventId, Attempt]]) -> None:
        self._find_places({id_ for id_, _ in attempts})
        found = [(self._places[id_].key, *attempt) for id_, attempt in attempts if id_ in self._places]
        self._database.insert_missing(self._connection, "attempt", ("event", *Attempt._fields), found)

    def write_faults(self, faults: Mapping[str, int]) -> None:
        self._database.add_up(self._connection, "fault", ("fault",), ("count",), list(faults.items()))

    def move_mark(self, mark: SpoolMark) -> None:
        insert = insert_into("spool", ("file", "position"), self._database.placeholder)
        moved = "ON CONFLICT (file) DO UPDATE SET position = excluded.position"
        self._connection.exec_driver_sql(f"{insert} {moved}", (mark.file, mark.position))

    def _insert_missing(self, table: str, columns: Sequence[str], values: Iterable[tuple[Any, ...]]) -> None:
        """Insert texts that are not there yet; in order, so that no two writers wait for each other."""
        self._database.insert_missing(self._connection, table, columns, sorted(values))


def _most_final(records: Sequence[EventRecord]) -> dict[EventId, EventRecord]:
    """Keep the most final record of each event, the first among equals."""
    latest: dict[EventId, EventRecord] = {}
    for record in records:
        known = latest.get(record.id)
        if known is None or record.rank > known.rank:
            latest[record.id] = record
    return latest


def _from_the_top(
    record: EventRecord, new: Mapping[EventId, EventRecord], placed: Mapping[EventId, _Place]
) -> Iterator[EventRecord]:
    """Yield the unplaced ancestors among the new records, the highest first, then the record itself."""
    line: list[EventRecord] = []
    each: EventRecord | None = record
    while each is not None and each.id not in placed and each not in line:
        line.append(each)
        each = new.get(each.parent_id) if each.parent_id is not None else None
    yield from reversed(line)


def _measures(record: EventRecord) -> tuple[int, ...]:
    return measures(
        record.event_type,
        record.status,
        record.usage,
        record.usage_source,
        record.cost_nanos,
        record.latency_us,
    )
