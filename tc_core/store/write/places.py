"""Where events stand: their rows' keys, the roots of their trees, and how deep they lie."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.store.engine.database import Database, chunks
from tc_core.store.schema.tables import Event, Orphan, table

_EVENT = table(Event)
_ORPHAN = table(Orphan)


class Place(NamedTuple):
    """An event's row, its root's row, and how deep it lies."""

    key: int
    root: int
    depth: int


class Places:
    """The places of the events that one transaction speaks of."""

    def __init__(self, connection: Connection, database: Database) -> None:
        self.may_lack_parents = False
        """Whether events are known that wait for a parent, which may be on its way in another transaction."""
        self.new: frozenset[EventId] = frozenset()
        """The events that have no row yet but for that which this transaction writes."""
        self._connection = connection
        self._database = database
        self._places: dict[EventId, Place] = {}

    def __getitem__(self, id_: EventId) -> Place:
        return self._places[id_]

    def __contains__(self, id_: EventId) -> bool:
        return id_ in self._places

    def note(self, row: Row[Any]) -> None:
        """Take up the place of a row that somebody has read."""
        self._places[row.id] = Place(row.key, row.root, row.depth)

    def find(self, wanted: Iterable[EventId]) -> None:
        """Look up the places of events, as far as they are recorded."""
        for some in chunks([id_ for id_ in set(wanted) if id_ not in self._places]):
            is_wanted, parameters = self._database.one_of("id", some)
            question = f'SELECT id, "key", root, depth FROM event WHERE {is_wanted}'
            for id_, *place in self._connection.exec_driver_sql(question, parameters):
                self._places[id_] = Place(*place)

    def assign(self, new: Mapping[EventId, EventRecord]) -> None:
        """Give each new event a key, a root and a depth; parents come before their children."""
        places = self._places
        self.find({record.parent_id for record in new.values() if record.parent_id is not None} - new.keys())
        keys = iter(self._database.allocate_keys(self._connection, "event", "key", len(new)))
        for id_, record in new.items():
            if id_ in places:
                continue
            above = places.get(record.parent_id) if record.parent_id is not None else None
            if above is None and record.parent_id in new:
                for each in _from_the_top(record, new, places):
                    above = None if each.parent_id is None else places.get(each.parent_id)
                    places[each.id] = _place(next(keys), above)
            else:
                places[id_] = _place(next(keys), above)
        self.new = frozenset(new)

    def look_for_orphans(self) -> None:
        """Find out whether any event waits for its parent."""
        self.may_lack_parents = self._connection.exec_driver_sql("SELECT event FROM orphan LIMIT 1").first() is not None

    def adopt(self, parents: Iterable[EventId]) -> None:
        """Hang events under a parent that has come only now, and their trees with them."""
        self.look_for_orphans()
        if not self.may_lack_parents:
            return
        for some in chunks(list(parents)):
            waiting: dict[EventId, list[int]] = {}
            for orphan in self._connection.execute(select(_ORPHAN).where(_ORPHAN.c.parent_id.in_(some))):
                waiting.setdefault(orphan.parent_id, []).append(orphan.event)
            for parent_id, children in waiting.items():
                self._hang(children, parent_id)

    def _hang(self, children: list[int], parent_id: EventId) -> None:
        where = select(_EVENT.c.key, _EVENT.c.root, _EVENT.c.depth).where(_EVENT.c.id == parent_id)
        parent = self._connection.execute(where).one_or_none()
        if parent is None:
            return
        # One that is its own descendant keeps waiting: that parent stays unrecorded.
        for some in chunks([child for child in children if child != parent.root]):
            trees = update(_EVENT).where(_EVENT.c.root.in_(some))
            self._connection.execute(trees.values(root=parent.root, depth=_EVENT.c.depth + parent.depth + 1))
            self._connection.execute(update(_EVENT).where(_EVENT.c.key.in_(some)).values(parent=parent.key))
            self._connection.execute(delete(_ORPHAN).where(_ORPHAN.c.event.in_(some)))


def _place(key: int, above: Place | None) -> Place:
    return Place(key, key, 0) if above is None else Place(key, above.root, above.depth + 1)


def _from_the_top(
    record: EventRecord, new: Mapping[EventId, EventRecord], placed: Mapping[EventId, Place]
) -> Iterator[EventRecord]:
    """Yield the unplaced ancestors among the new records, the highest first, then the record itself."""
    line: list[EventRecord] = []
    each: EventRecord | None = record
    while each is not None and each.id not in placed and each not in line:
        line.append(each)
        each = new.get(each.parent_id) if each.parent_id is not None else None
    yield from reversed(line)
