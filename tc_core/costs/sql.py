"""Questions that sums of the store do not answer: what calls have from above them, and each call's own figures."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, case, func, literal, select

from tc_core.costs.plain_totals import CallFigures
from tc_core.model import ids
from tc_core.model.event import from_us
from tc_core.model.ports import Filters, GroupKey
from tc_core.model.provenance import FACT
from tc_core.model.totals import MEASURES, Totals
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ID_COLUMNS, ORPHAN, PARENT, ROOT, Conditions, label_name
from tc_core.store.read.row_measures import row_measures
from tc_core.store.schema.days import US_PER_DAY, US_PER_HOUR
from tc_core.store.schema.tables import (
    CALLS,
    INTERNED,
    OPEN,
    SEED_KEYS,
    AttemptRow,
    ExternalId,
    LabelSet,
    RelationRow,
    table,
)
from tc_core.store.sql import SqlStore

_LABEL_SET = table(LabelSet).alias("own_label_set")
_RELATION = table(RelationRow)
_ATTEMPT = table(AttemptRow)
_OWN_ID = table(ExternalId).alias("own_external_id")
_RETRY_OF = SEED_KEYS["relation", "retry_of"]
_ERROR = SEED_KEYS["status", "error"]
_OK = SEED_KEYS["status", "ok"]
_TOOL = SEED_KEYS["event_type", "tool"]

_UNITS = {"hour": US_PER_HOUR, "day": US_PER_DAY, "month": US_PER_DAY}

Read = Callable[[Sequence[Any]], str | None]
"""Makes a group's value of what its columns say."""


class _Above(NamedTuple):
    """An event that others hang under."""

    parent: int | None
    event_type: int
    name: str | None


class CallRows:
    """One question for rows, asked on one connection; all names may be told, but times only in UTC."""

    def __init__(self, store: SqlStore, connection: Connection, derived: Sequence[str]) -> None:
        self._store = store
        self._connection = connection
        self._derived = frozenset(derived)
        self._above: dict[int, _Above] = {}
        self._retries = self._read_retries() if "retries" in derived else {}

    def sums(
        self, group_by: Sequence[str], filters: Filters, start_us: int | None, end_us: int | None
    ) -> Iterator[tuple[GroupKey, Totals]]:
        """Yield sums of parts of groups, by their values."""
        all_types = "event_type" in {*group_by, *filters}
        rows, values = self._ask(group_by, filters, start_us, end_us, row_measures(all_types=all_types), is_sum=True)
        width = len(MEASURES)
        for key, row in zip(values, rows, strict=True):
            yield key, Totals(*(int(value) for value in row[:width]))

    def each(
        self, group_by: Sequence[str], filters: Filters, start_us: int | None, end_us: int | None
    ) -> Iterator[tuple[GroupKey, CallFigures]]:
        """Yield the figures of each call that has ended, by its values."""
        figures = (EVENT.c.at, EVENT.c.cost_nanos, EVENT.c.latency_us, EVENT.c.status == _ERROR)
        rows, values = self._ask(group_by, filters, start_us, end_us, figures, is_sum=False)
        for key, row in zip(values, rows, strict=True):
            yield key, CallFigures(row[0], row[1], row[2], bool(row[3]))

    def _ask(
        self,
        group_by: Sequence[str],
        filters: Filters,
        start_us: int | None,
        end_us: int | None,
        measures: Sequence[ColumnElement[Any]],
        *,
        is_sum: bool,
    ) -> tuple[list[Sequence[Any]], list[GroupKey]]:
        """Return rows that begin with the measures, and the values of each; filters by names from above are heeded."""
        mine = {name: _wanted(value) for name, value in filters.items() if name in self._derived}
        others = {name: value for name, value in filters.items() if name not in self._derived}
        names = list(dict.fromkeys((*group_by, *mine)))
        columns = {name: self._columns(name) for name in names}
        flat = [column for each in columns.values() for column in each]
        conditions = Conditions(self._connection, self._store.database, self._store.interned)
        question: Select[Any] = select(*measures, *(each.label(f"g{place}") for place, each in enumerate(flat)))
        question = question.select_from(_source({*names, *others})).where(*conditions.of(others, start_us, end_us))
        if is_sum:
            question = question.group_by(*flat)
        else:
            question = question.where(EVENT.c.event_type.in_(CALLS), EVENT.c.status != OPEN)
        rows: list[Sequence[Any]] = list(self._connection.execute(question).all())
        place = len(measures)
        values: dict[str, list[str | None]] = {}
        for name, each in columns.items():
            values[name] = self._texts(name, [row[place : place + len(each)] for row in rows])
            place += len(each)
        keys: list[GroupKey] = list(zip(*(values[name] for name in group_by), strict=True)) or [()] * len(rows)
        if mine:
            is_meant = [
                all(each[row] in mine[name] for name, each in values.items() if name in mine)
                for row in range(len(rows))
            ]
            rows = [row for row, meant in zip(rows, is_meant, strict=True) if meant]
            keys = [key for key, meant in zip(keys, is_meant, strict=True) if meant]
        return rows, keys

    def _columns(self, name: str) -> list[ColumnElement[Any]]:
        """Return what is read of each row to tell a value."""
        label = self._store.database.label_value(_LABEL_SET.c.body, label_name(name))
        if name in self._derived:
            above: dict[str, list[ColumnElement[Any]]] = {
                "tool": [EVENT.c.parent],
                "name": [EVENT.c.parent, EVENT.c.name],
                "workflow": [func.coalesce(EVENT.c.workflow_id, case((ROOT.c.event_type.not_in(CALLS), ROOT.c.name)))],
                "retries": [EVENT.c.parent, case((EVENT.c.key.in_(_tried_again()), EVENT.c.key))],
            }
            return [label, *above[name]]
        if name in _UNITS:
            return [EVENT.c.at // _UNITS[name]]
        if name in ID_COLUMNS:
            return [ID_COLUMNS[name]]
        return [EVENT.c[name]] if name in INTERNED else [label]

    def _texts(self, name: str, cells: Sequence[Sequence[Any]]) -> list[str | None]:
        """Return a group's values as users write them, each kind of value once."""
        distinct = {tuple(each) for each in cells}
        if name in self._derived - {"workflow"}:
            self._climb(parent for _, parent, *_ in distinct if parent is not None)
        read = self._reader(name, distinct)
        texts = {each: read(each) for each in distinct}
        return [texts[tuple(each)] for each in cells]

    def _reader(self, name: str, cells: Iterable[Sequence[Any]]) -> Read:
        if name in _UNITS:
            return lambda cell: _in_utc(name, cell[0])
        if name in ID_COLUMNS:
            return lambda cell: None if cell[0] is None else ids.to_text(cell[0])
        if name == "tool" and name in self._derived:
            return lambda cell: cell[0] or self._nearest(cell[1], lambda each: each.event_type == _TOOL)
        if name == "retries" and name in self._derived:
            return lambda cell: cell[0] or str(self._tries(cell[1]) + self._retries.get(cell[2] or 0, 0))
        place = 1 if name in self._derived and name == "workflow" else 2 if name in self._derived else 0
        if name not in self._derived and name not in INTERNED:
            return lambda cell: cell[0]
        keys = {cell[place] for cell in cells if cell[place] is not None}
        texts = self._store.interned.values(self._connection, keys)
        if name == "name" and name in self._derived:
            return lambda cell: (
                cell[0] or texts.get(cell[2]) or self._nearest(cell[1], lambda each: each.name is not None)
            )
        if name in self._derived:
            return lambda cell: cell[0] or texts.get(cell[1])
        return lambda cell: texts.get(cell[0])

    # What lies above

    def _climb(self, parents: Iterable[int]) -> None:
        """Read the events above some, up to their roots."""
        missing = {key for key in parents if key not in self._above}
        columns = (EVENT.c.key, EVENT.c.parent, EVENT.c.event_type, EVENT.c.name)
        while missing:
            found: list[Any] = []
            for some in chunks(sorted(missing)):
                found += self._connection.execute(select(*columns).where(EVENT.c.key.in_(some))).all()
            names = self._store.interned.values(self._connection, {row.name for row in found if row.name is not None})
            self._above.update(dict.fromkeys(missing, _Above(None, 0, None)))
            self._above.update({row.key: _Above(row.parent, row.event_type, names.get(row.name)) for row in found})
            missing = {row.parent for row in found if row.parent is not None and row.parent not in self._above}

    def _nearest(self, key: int | None, is_meant: Callable[[_Above], bool]) -> str | None:
        while key is not None:
            above = self._above[key]
            if is_meant(above):
                return above.name
            key = above.parent
        return None

    def _tries(self, key: int | None) -> int:
        """Return how often what lies above was tried before."""
        tries = 0
        while key is not None:
            tries += self._retries.get(key, 0)
            key = self._above[key].parent
        return tries

    def _read_retries(self) -> dict[int, int]:
        """Return how often events had been tried before, of those that had, by the keys of their rows."""
        retry = _RELATION.c.relation == _RETRY_OF
        question = select(_RELATION.c.source, _RELATION.c.target).where(retry, _RELATION.c.confidence >= FACT)
        before = {source: target for source, target in self._connection.execute(question)}  # noqa: C416  # rows
        tries = {key: _length(key, before) for key in before}
        sent = select(_ATTEMPT.c.event, func.count()).group_by(_ATTEMPT.c.event).having(func.count() > 1)
        for key, attempts in self._connection.execute(sent):
            tries[key] = tries.get(key, 0) + attempts - 1
        return tries


def went_well(connection: Connection, start_us: int | None, end_us: int | None) -> Iterator[str]:
    """Yield the ids of the runs with events in a span that ended without an error."""
    within = select(EVENT.c.root)
    if start_us is not None:
        within = within.where(EVENT.c.at >= start_us)
    if end_us is not None:
        within = within.where(EVENT.c.at < end_us)
    question = select(ROOT.c.id).where(ROOT.c.key.in_(within), ROOT.c.status == _OK)
    yield from map(ids.to_text, connection.execute(question).scalars())


def continued(connection: Connection) -> Iterator[str]:
    """Yield the ids of the events that later ones go on from, come from or were asked for by."""
    kinds = [SEED_KEYS["relation", name] for name in ("continuation_of", "derived_from", "triggered_by")]
    targets = select(_RELATION.c.target).where(_RELATION.c.relation.in_(kinds), _RELATION.c.confidence >= FACT)
    question = select(EVENT.c.id, _OWN_ID.c.value).select_from(EVENT.outerjoin(_OWN_ID, _OWN_ID.c.id == EVENT.c.id))
    for id_, text in connection.execute(question.where(EVENT.c.key.in_(targets))):
        yield text or ids.to_text(id_)


def _tried_again() -> Select[Any]:
    again = select(_ATTEMPT.c.event).where(_ATTEMPT.c.number > 1)
    return select(_RELATION.c.source).where(_RELATION.c.relation == literal(_RETRY_OF)).union_all(again)  # type: ignore[return-value]


def _length(key: int, before: Mapping[int, int]) -> int:
    length, seen = 0, set()
    while key in before and key not in seen:
        seen.add(key)
        length, key = length + 1, before[key]
    return length


def _source(names: set[str]) -> FromClause:
    source: FromClause = EVENT
    if {"parent_id", "root_id", "workflow"} & names:
        source = source.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent)
        source = source.outerjoin(ORPHAN, ORPHAN.c.event == EVENT.c.key)
        source = source.outerjoin(ROOT, ROOT.c.key == EVENT.c.root)
    return source.outerjoin(_LABEL_SET, _LABEL_SET.c.id == EVENT.c.labels)


def _in_utc(unit: str, number: int) -> str:
    moment = from_us(number * _UNITS[unit])
    return moment.strftime({"hour": "%Y-%m-%dT%H:00+00:00", "day": "%Y-%m-%d", "month": "%Y-%m"}[unit])


def _wanted(value: Any) -> frozenset[str | None]:
    return frozenset([value] if value is None or isinstance(value, str) else value)
