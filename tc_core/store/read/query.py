"""Reading events and runs; each `Reader` sees one consistent state."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from tc_core.model import ids, money
from tc_core.model.attempt import Attempt
from tc_core.model.event import FIELDS, TrackingEvent, from_us, stored
from tc_core.model.ports import Filters
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.model.recorded import Recorded
from tc_core.model.run import Run
from tc_core.model.scope import label_text
from tc_core.model.totals import MEASURES, Totals
from tc_core.store.engine.database import Database, chunks
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.read import relations
from tc_core.store.read.filters import EVENT, ORPHAN, PARENT, ROOT, Conditions
from tc_core.store.read.sums import row_measures
from tc_core.store.schema.days import US_PER_HOUR, date_of
from tc_core.store.schema.tables import (
    CALLS,
    INTERNED,
    AttemptRow,
    ExternalId,
    Fault,
    LabelSet,
    MetadataBody,
    Removal,
    table,
)

_OWN_ID = table(ExternalId).alias("own_external_id")
_PARENT_ID = table(ExternalId).alias("parent_external_id")
_ROOT_ID = table(ExternalId).alias("root_external_id")
_LABEL_SET = table(LabelSet)
_METADATA = table(MetadataBody)
_FAULT = table(Fault)
_ATTEMPT = table(AttemptRow)
_REMOVAL = table(Removal)

_JOINS = (
    EVENT.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent)
    .outerjoin(ROOT, ROOT.c.key == EVENT.c.root)
    .outerjoin(ORPHAN, ORPHAN.c.event == EVENT.c.key)
    .outerjoin(_OWN_ID, _OWN_ID.c.id == EVENT.c.id)
    .outerjoin(_PARENT_ID, _PARENT_ID.c.id == func.coalesce(PARENT.c.id, ORPHAN.c.parent_id))
    .outerjoin(_ROOT_ID, _ROOT_ID.c.id == ROOT.c.id)
    .outerjoin(_LABEL_SET, _LABEL_SET.c.id == EVENT.c.labels)
    .outerjoin(_METADATA, _METADATA.c.id == EVENT.c.details)
)
_WHOLE = select(
    EVENT,
    func.coalesce(PARENT.c.id, ORPHAN.c.parent_id).label("parent_uuid"),
    ROOT.c.id.label("root_uuid"),
    _OWN_ID.c.value.label("own_text"),
    _PARENT_ID.c.value.label("parent_text"),
    _ROOT_ID.c.value.label("root_text"),
    _LABEL_SET.c.body.label("label_body"),
    _METADATA.c.body.label("metadata_body"),
).select_from(_JOINS)

_NO_FILTERS: Filters = {}

Place = tuple[int, int]
"""Where an event stands in order of time: its time (us), and the key of its row."""


class Reader:
    """Answers questions for events from one connection."""

    def __init__(self, connection: Connection, database: Database, interned: InternedTexts) -> None:
        self._connection = connection
        self._database = database
        self._interned = interned
        self._conditions = Conditions(connection, database, interned)

    def events(
        self,
        filters: Filters,
        start_us: int | None,
        end_us: int | None,
        *,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[TrackingEvent]:
        """Return matching events in order of time."""
        question = _WHOLE.where(*self._conditions.of(filters, start_us, end_us)).limit(limit)
        if not descending:
            return self._events(self._connection.execute(question.order_by(EVENT.c.at, EVENT.c.key)).all())
        found: Sequence[Row[Any]] = ()
        for since_us in self._windows(start_us, end_us, limit):
            recent = question if since_us is None else question.where(EVENT.c.at >= since_us)
            found = self._connection.execute(recent.order_by(EVENT.c.at.desc(), EVENT.c.key.desc())).all()
            if len(found) == limit:
                break
        return self._events(found)

    def _windows(self, start_us: int | None, end_us: int | None, limit: int | None) -> list[int | None]:
        """Return from when on the latest events are looked for: ever earlier, where no index has them in order."""
        if self._database.has_events_in_order or limit is None or start_us is not None:
            return [None]
        latest = select(func.max(EVENT.c.at)).where(EVENT.c.parent.is_(None))  # which the index of runs knows
        if end_us is not None:
            latest = latest.where(EVENT.c.at < end_us)
        newest = self._connection.execute(latest).scalar()
        return [None] if newest is None else [newest - US_PER_HOUR, newest - 24 * US_PER_HOUR, None]

    def by_ids(self, event_ids: Iterable[str]) -> dict[str, TrackingEvent]:
        """Return those events that are recorded."""
        wanted = {ids.from_text(event_id): event_id for event_id in event_ids}
        found: dict[str, TrackingEvent] = {}
        for some in chunks(list(wanted)):
            matching = self._connection.execute(_WHOLE.where(EVENT.c.id.in_(some))).all()
            for row, event in zip(matching, self._events(matching), strict=True):
                found[wanted[row.id]] = event
        return found

    def page(
        self, filters: Filters, start_us: int | None, end_us: int | None, after: Place | None, limit: int
    ) -> dict[Place, TrackingEvent]:
        """Return the next matching events in order of time, behind a place, by where each stands."""
        conditions = self._conditions.of(filters, start_us, end_us)
        if after is not None:
            at, key = after
            conditions += [EVENT.c.at >= at, or_(EVENT.c.at > at, EVENT.c.key > key)]
        question = _WHOLE.where(*conditions).order_by(EVENT.c.at, EVENT.c.key).limit(limit)
        found = self._connection.execute(question).all()
        return {(row.at, row.key): event for row, event in zip(found, self._events(found), strict=True)}

    def leaving(self, keys: Sequence[int]) -> list[Recorded]:
        """Return events with all that would go with them, in order of time: relations from them, and to them."""
        found: list[tuple[Place, TrackingEvent]] = []
        for some in chunks(keys):
            rows_ = self._connection.execute(_WHOLE.where(EVENT.c.key.in_(some))).all()
            found += [((row.at, row.key), event) for row, event in zip(rows_, self._events(rows_), strict=True)]
        linked, attempts = relations.leaving(self._connection, keys), self.attempts_of(keys)
        return [
            Recorded(event, linked.get(key, []), attempts.get(key, []))
            for (_, key), event in sorted(found, key=itemgetter(0))
        ]

    def count(self, filters: Filters, start_us: int | None, end_us: int | None) -> int:
        """Return how many events match."""
        question = select(func.count()).select_from(EVENT).where(*self._conditions.of(filters, start_us, end_us))
        return self._connection.execute(question).scalar_one()

    def tree(self, root_id: str) -> list[TrackingEvent]:
        """Return a root and everything below it, in order of time."""
        root = select(EVENT.c.key).where(EVENT.c.id == ids.from_text(root_id)).scalar_subquery()
        question = _WHOLE.where(EVENT.c.root == root).order_by(EVENT.c.at, EVENT.c.key)
        return self._events(self._connection.execute(question).all())

    def calls_with_usage(
        self, after_key: int, start_us: int | None, end_us: int | None, limit: int, *, unpriced_only: bool
    ) -> tuple[int, list[TrackingEvent]]:
        """Return some model calls whose tokens or charges are known, by their rows, and the key of the last one."""
        conditions = self._conditions.of({}, start_us, end_us)
        has_usage = or_(EVENT.c.input_tokens.is_not(None), EVENT.c.charges.is_not(None))
        conditions += [EVENT.c.key > after_key, EVENT.c.event_type.in_(CALLS), has_usage]
        if unpriced_only:
            conditions.append(EVENT.c.cost_nanos.is_(None))
        found = self._connection.execute(_WHOLE.where(*conditions).order_by(EVENT.c.key).limit(limit)).all()
        return (found[-1].key if found else after_key), self._events(found)

    def attempts(self, event_id: str) -> list[Attempt]:
        """Return the HTTP requests of an event, in their order."""
        event = select(EVENT.c.key).where(EVENT.c.id == ids.from_text(event_id)).scalar_subquery()
        columns = (_ATTEMPT.c[name] for name in Attempt._fields)
        question = select(*columns).where(_ATTEMPT.c.event == event).order_by(_ATTEMPT.c.number)
        return [Attempt(*row) for row in self._connection.execute(question)]

    def attempts_of(self, keys: Sequence[int]) -> dict[int, list[Attempt]]:
        """Return the HTTP requests of several events, by the keys of their rows."""
        found: dict[int, list[Attempt]] = {}
        columns = (_ATTEMPT.c[name] for name in ("event", *Attempt._fields))
        question = select(*columns).order_by(_ATTEMPT.c.event, _ATTEMPT.c.number)
        for some in chunks(keys):
            for key, *attempt in self._connection.execute(question.where(_ATTEMPT.c.event.in_(some))):
                found.setdefault(key, []).append(Attempt(*attempt))
        return found

    def relations_of(self, keys: Sequence[int]) -> dict[int, list[ProvenanceRelationship]]:
        """Return the relations from several events to older ones, by the keys of their rows."""
        return relations.of_sources(self._connection, keys)

    def removals(self) -> dict[int, int]:
        """Return how many events of each day (UTC, counted from 1970) have left the store."""
        removed = select(_REMOVAL.c.day, _REMOVAL.c.events).order_by(_REMOVAL.c.day)
        return {day: events for day, events in self._connection.execute(removed)}  # noqa: C416  # rows are not pairs

    def ids_like(self, fragment: str, limit: int) -> list[str]:
        """Return ids, the newest first, whose digits start or end with those of `fragment`."""
        digits = fragment.replace("-", "").lower()
        written = self._database.digits(EVENT.c.id)
        question = select(EVENT.c.id).where(or_(written.startswith(digits), written.endswith(digits)))
        found = self._connection.execute(question.order_by(EVENT.c.at.desc()).limit(limit)).scalars()
        return [ids.to_text(id_) for id_ in found]

    def runs(
        self,
        filters: Filters,
        limit: int | None,
        *,
        single_calls: bool,
        having: Filters = _NO_FILTERS,
        start_us: int | None = None,
        end_us: int | None = None,
        sort: str | None = None,
    ) -> list[Run]:
        """Return the latest roots, or those first by a sum over their trees; bare model calls only when asked for."""
        chosen = select(EVENT.c.key).where(*self._roots(filters, having, start_us, end_us))
        if not single_calls:
            chosen = chosen.where(EVENT.c.event_type.not_in(CALLS))
        if sort is None or sort == "time":
            column = EVENT.c.at if sort is None else func.coalesce(EVENT.c.latency_us, -1)
            latest = chosen.order_by(column.desc(), EVENT.c.at.desc(), EVENT.c.key.desc()).limit(limit)
        else:
            sums = {name: column for name, column in zip(MEASURES, row_measures(all_types=False), strict=True)}  # noqa: C416
            tokens = sums["input_tokens"].element + sums["output_tokens"].element
            by = {"cost": sums["cost_nanos"], "tokens": tokens, "errors": sums["errors"]}[sort]
            of_roots = select(EVENT.c.root).where(EVENT.c.root.in_(chosen)).group_by(EVENT.c.root)
            latest = of_roots.order_by(by.desc(), EVENT.c.root.desc()).limit(limit)
        keys = list(self._connection.execute(latest).scalars())
        found = {row.key: row for some in chunks(keys) for row in self._rows(some)}
        totals = {row.root: row for some in chunks(keys) for row in self._sums(some)}
        rows = [found[key] for key in keys]
        return [
            Run(event, Totals(*(int(getattr(totals[row.key], name)) for name in MEASURES)), totals[row.key].events)
            for row, event in zip(rows, self._events(rows), strict=True)
        ]

    def single_calls(self, having: Filters, start_us: int | None, end_us: int | None) -> int:
        """Return how many model calls stand alone."""
        conditions = [*self._roots({}, having, start_us, end_us), EVENT.c.event_type.in_(CALLS)]
        return self._connection.execute(select(func.count()).select_from(EVENT).where(*conditions)).scalar_one()

    def _roots(
        self, filters: Filters, having: Filters, start_us: int | None, end_us: int | None
    ) -> list[ColumnElement[bool]]:
        """Return the conditions that a root matches, and some event of its run."""
        conditions = [EVENT.c.parent.is_(None), *self._conditions.of(filters, start_us, end_us)]
        if having:
            within = select(EVENT.c.root).where(*self._conditions.of(having, start_us, None))
            conditions.append(EVENT.c.key.in_(within))
        return conditions

    def _rows(self, keys: Sequence[int]) -> Sequence[Row[Any]]:
        return self._connection.execute(_WHOLE.where(EVENT.c.key.in_(keys))).all()

    def _sums(self, roots: Sequence[int]) -> Sequence[Row[Any]]:
        sums = select(EVENT.c.root, func.count().label("events"), *row_measures(all_types=False))
        return self._connection.execute(sums.where(EVENT.c.root.in_(roots)).group_by(EVENT.c.root)).all()

    def attempts_in(self, root_id: str) -> dict[str, list[Attempt]]:
        """Return the HTTP requests of the calls of a run, by the ids of these."""
        root = select(EVENT.c.key).where(EVENT.c.id == ids.from_text(root_id)).scalar_subquery()
        columns = (_ATTEMPT.c[name] for name in Attempt._fields)
        question = select(EVENT.c.id, _OWN_ID.c.value, *columns).select_from(
            EVENT.join(_ATTEMPT, _ATTEMPT.c.event == EVENT.c.key).outerjoin(_OWN_ID, _OWN_ID.c.id == EVENT.c.id)
        )
        found: dict[str, list[Attempt]] = {}
        for id_, text, *attempt in self._connection.execute(
            question.where(EVENT.c.root == root).order_by(_ATTEMPT.c.number)
        ):
            found.setdefault(text or ids.to_text(id_), []).append(Attempt(*attempt))
        return found

    def faults(self) -> dict[str, int]:
        """Return how often each swallowed error was met, the most frequent first."""
        counted = select(_FAULT.c.fault, _FAULT.c.count).order_by(_FAULT.c.count.desc())
        return {fault: count for fault, count in self._connection.execute(counted)}  # noqa: C416  # rows are not pairs

    def _events(self, found: Sequence[Row[Any]]) -> list[TrackingEvent]:
        """Make events of rows, column by column: what many rows share is made once."""
        if not found:
            return []
        row = dict(zip(_NAMES, zip(*found, strict=True), strict=True))
        texts = self._interned.values(self._connection, {*chain(*(row[name] for name in INTERNED))} - {None})
        uuids = {id_: id_ and ids.to_text(id_) for id_ in {*row["id"], *row["parent_uuid"], *row["root_uuid"]}}
        labels = {body: _labels(body) for body in {*row["label_body"]}}
        made: dict[str, Iterable[Any]] = row | {
            **{name: map(texts.get, row[name]) for name in INTERNED},
            "event_id": _either(row["own_text"], map(uuids.get, row["id"])),
            "parent_id": _either(row["parent_text"], map(uuids.get, row["parent_uuid"])),
            "root_id": _either(row["root_text"], map(uuids.get, row["root_uuid"])),
            "timestamp": map(from_us, row["at"]),
            "labels": (labels[body].copy() for body in row["label_body"]),
            "metadata": (json.loads(body) if body else {} for body in row["metadata_body"]),
            "latency_ms": (None if us is None else us / 1000 for us in row["latency_us"]),
            "cost": (None if nanos is None else money.to_dollars(nanos) for nanos in row["cost_nanos"]),
            "price_date": map(date_of, row["price_day"]),
            "charges": (json.loads(body) if body else {} for body in row["charges"]),
        }
        return list(map(stored, zip(*(made[name] for name in FIELDS), strict=True)))


_NAMES: tuple[str, ...] = tuple(_WHOLE.selected_columns.keys())


def _labels(body: str | None) -> dict[str, str]:
    return {label_text(name): label_text(value) for name, value in json.loads(body).items()} if body else {}


def _either(texts: Iterable[str | None], others: Iterable[str | None]) -> Iterable[str | None]:
    return (text or other for text, other in zip(texts, others, strict=True))
