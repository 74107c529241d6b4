"""Which events leave the store, and their going: run by run, so that what stays refers to nothing that is gone.

A run leaves once its last event is older than the limit, however old its root is. Of a run that leaves, calls without a
price stay, since they may still get one, and so does all that they hang under. A run with an open event stays whole.
Roll-ups keep what they have.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    case,
    delete,
    func,
    or_,
    select,
    tuple_,
)

from tc_core.model.event import from_us
from tc_core.store.engine.database import Database, chunks
from tc_core.store.read.filters import EVENT
from tc_core.store.read.query import Place
from tc_core.store.read.row_measures import IS_UNPRICED
from tc_core.store.schema.days import US_PER_DAY
from tc_core.store.schema.references import references
from tc_core.store.schema.tables import MOST_COUNTED, OPEN, ExternalId, LabelSet, MetadataBody, Orphan, table

MOST = 1000
"""Events that leave in one transaction: others wait for some hundredths of a second."""

_EXTERNAL = table(ExternalId)
_ORPHAN = table(Orphan)
_LABEL_SET = table(LabelSet)
_METADATA = table(MetadataBody)

_ROOTS = 500
_PASSES = 20  # a run of more than MOST events is looked at so often at most


@dataclass(slots=True)
class Leaving:
    """Events that may leave together, by the keys of their rows: children before what they hang under.

    `last` is where the last run stands that was looked at; None when there was none.
    """

    keys: list[int] = field(default_factory=list)
    last: Place | None = None
    is_cut: bool = False
    """Whether more events of the last run may leave."""

    @property
    def goes_on_from(self) -> Place | None:
        """Where to look next: behind the last run, or once more at it."""
        return (self.last[0], self.last[1] - 1) if self.is_cut and self.last else self.last


def look(connection: Connection, limit_us: int, after: Place | None, most: int) -> Leaving:
    """Return some events that may leave: of the next runs behind a place, in order of time."""
    roots = _next_roots(connection, limit_us, after, most)
    found = Leaving(last=roots[-1] if roots else None)
    for some in chunks([key for _, key in roots]):
        found.keys += _of_trees(connection, limit_us, some)
    slice_ = max(most, -(-len(found.keys) // _PASSES))
    found.is_cut = len(found.keys) > slice_
    found.keys = found.keys[:slice_]
    return found


def remove(connection: Connection, database: Database, keys: Sequence[int]) -> int:
    """Delete events with all that belongs to them, and book how many of each day are gone; return how many."""
    days: dict[int, int] = {}
    for some in chunks(keys):
        gone = connection.execute(select(EVENT.c.id, EVENT.c.at).where(EVENT.c.key.in_(some))).all()
        missed = connection.execute(select(_ORPHAN.c.parent_id).where(_ORPHAN.c.event.in_(some))).scalars().all()
        for row in gone:
            days[row.at // US_PER_DAY] = days.get(row.at // US_PER_DAY, 0) + 1
        for reference in references("event.key"):
            if reference.column.table is not EVENT:
                connection.execute(delete(reference.column.table).where(reference.column.in_(some)))
        connection.execute(delete(EVENT).where(EVENT.c.key.in_(some)))
        _forget_texts_of(connection, [*(row.id for row in gone), *missed])
    if days:
        database.note_edit(connection)
    database.add_up(connection, "removal", ("day",), ("events",), list(days.items()))
    return sum(days.values())


def unused_texts(connection: Connection) -> list[tuple[Table, list[int]]]:
    """Return the label sets and metadata that nothing refers to any more, by their keys."""
    return [(texts, list(connection.execute(_unused(texts, [])).scalars())) for texts in (_LABEL_SET, _METADATA)]


def remove_texts(connection: Connection, texts: Table, keys: Sequence[int]) -> int:
    """Delete those of some label sets or metadata that still nothing refers to; return how many."""
    unused = connection.execute(_unused(texts, [texts.c.id.in_(keys)])).scalars().all()
    for some in chunks(unused):
        connection.execute(delete(texts).where(texts.c.id.in_(some)))
    return len(unused)


def limit_of(days: int, now_us: int) -> int:
    """Return the moment (us) before which events are older than so many whole days (UTC)."""
    return (now_us // US_PER_DAY - days) * US_PER_DAY


def day_name(day: int) -> str:
    """Write a day that is counted from 1970."""
    return f"{from_us(day * US_PER_DAY):%Y-%m-%d}"


def _next_roots(connection: Connection, limit_us: int, after: Place | None, most: int) -> list[Place]:
    """Return the next runs that began before the limit, so many that their events are not too many."""
    conditions: list[ColumnElement[bool]] = [EVENT.c.parent.is_(None), EVENT.c.at < limit_us]
    if after is not None:
        at, key = after
        conditions += [EVENT.c.at >= at, or_(EVENT.c.at > at, EVENT.c.key > key)]
    question = select(EVENT.c.at, EVENT.c.key).where(*conditions).order_by(EVENT.c.at, EVENT.c.key).limit(_ROOTS)
    roots = [(at, key) for at, key in connection.execute(question)]
    counted = select(EVENT.c.root, func.count()).where(EVENT.c.root.in_([key for _, key in roots]))
    sizes = {root: count for root, count in connection.execute(counted.group_by(EVENT.c.root))}  # noqa: C416
    total = 0
    for place, (_, key) in enumerate(roots):
        total += sizes.get(key, 0)
        if total > most and place:
            return roots[:place]
    return roots


def _of_trees(connection: Connection, limit_us: int, roots: Sequence[int]) -> list[int]:
    stays = case((EVENT.c.status == OPEN, 1), (EVENT.c.at >= limit_us, 1), else_=0).label("holds_all")
    columns = (EVENT.c.key, EVENT.c.parent, EVENT.c.root, stays, IS_UNPRICED.label("is_unpriced"))
    question = select(*columns).where(EVENT.c.root.in_(roots)).order_by(EVENT.c.depth.desc(), EVENT.c.key.desc())
    rows = connection.execute(question).all()
    held = {row.root for row in rows if row.holds_all}
    parents = {row.key: row.parent for row in rows}
    kept: set[int] = set()
    for row in rows:
        each = row.key if row.is_unpriced else None
        while each is not None and each not in kept:
            kept.add(each)
            each = parents.get(each)
    return [row.key for row in rows if row.root not in held and row.key not in kept]


def _forget_texts_of(connection: Connection, ids: Iterable[bytes]) -> None:
    """Delete the written forms of ids that neither an event has any more, nor an event waits for as its parent."""
    for some in chunks(list(set(ids))):
        is_used = or_(
            _EXTERNAL.c.id.in_(select(EVENT.c.id).where(EVENT.c.id.in_(some))),
            _EXTERNAL.c.id.in_(select(_ORPHAN.c.parent_id).where(_ORPHAN.c.parent_id.in_(some))),
        )
        connection.execute(delete(_EXTERNAL).where(_EXTERNAL.c.id.in_(some), ~is_used))


def _unused(texts: Table, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    used = [reference.column for reference in references(f"{texts.name}.id")]
    free: list[ColumnElement[bool]] = [texts.c.id.not_in(select(column).where(column.is_not(None))) for column in used]
    if texts is _LABEL_SET:  # the last one stays, so that its key is not given again
        counted = select(func.max(texts.c.id)).where(texts.c.id.between(0, MOST_COUNTED))
        free.append(texts.c.id != func.coalesce(counted.scalar_subquery(), 0))
    return select(texts.c.id).where(*conditions, *free)


def old_rows(connection: Connection, time: Column[Any], limit_us: int, most: int) -> list[tuple[Any, ...]]:
    """Return the primary keys of some rows of a table whose time lies before a limit."""
    keys = _key_of(time.table)
    found = connection.execute(select(*keys).where(time < limit_us).limit(most))
    return [tuple(row) for row in found]


def remove_rows(connection: Connection, table: FromClause, keys: Sequence[tuple[Any, ...]]) -> None:
    """Delete rows by their primary keys."""
    columns = _key_of(table)
    for some in chunks(keys):
        connection.execute(delete(table).where(tuple_(*columns).in_(some)))  # type: ignore[arg-type]  # a table


def _key_of(table: FromClause) -> list[ColumnElement[Any]]:
    return [column for column in table.c if column.primary_key]
