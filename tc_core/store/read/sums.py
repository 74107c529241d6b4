"""Sums over events: whole days and hours from a roll-up where one has the names, everything else from rows.

Both ways give the same figures to the last digit; `model.totals` is the definition they share.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    Table,
    and_,
    case,
    cast,
    func,
    null,
    or_,
    select,
    true,
)

from tc_core.model import ids
from tc_core.model.event import from_us
from tc_core.model.ports import Filters, GroupKey
from tc_core.model.totals import CALLS_ONLY, MEASURES, Totals
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.engine.wide_labels import wide_labels
from tc_core.store.read.columns.keeper import ColumnKeeper
from tc_core.store.read.columns.question import ColumnQuestion
from tc_core.store.read.filters import (
    EVENT,
    ID_COLUMNS,
    ORPHAN,
    PARENT,
    ROOT,
    TIME_GROUPS,
    Conditions,
    as_list,
    in_spans,
    is_label,
    label_name,
)
from tc_core.store.read.row_measures import adds, measures_of_adding
from tc_core.store.schema.days import US_PER_DAY, US_PER_HOUR
from tc_core.store.schema.tables import (
    CALLS,
    CUBE,
    INTERNED,
    LabelSet,
    Removal,
    RollupDay,
    RollupHour,
    RollupLabel,
    RollupLabelDay,
    table,
)

_LABEL_SET = table(LabelSet).alias("group_label_set")
_REMOVAL = table(Removal)
Span = tuple[int | None, int | None]
"""Half-open; None is unbounded. In microseconds, or in the numbers of hours or days."""


class _Unit(NamedTuple):
    """What the roll-ups have a row for, and the two tables that have it."""

    name: str
    us: int
    cube: Table
    label: Table


_DAY = _Unit("day", US_PER_DAY, table(RollupDay), table(RollupLabelDay))
_HOUR = _Unit("hour", US_PER_HOUR, table(RollupHour), table(RollupLabel))

_NONE = cast(null(), Integer)
"""The group of events that have no such label, where all of them are asked for."""

_AddRolled = Callable[[_Unit, Span], None]


class Summing:
    """One question for sums, answered from one connection."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        interned: InternedTexts,
        group_by: Sequence[str],
        filters: Filters,
        columns: ColumnKeeper | None = None,
    ) -> None:
        self._columns = columns
        self._connection = connection
        self._database = database
        self._interned = interned
        self._conditions = Conditions(connection, database, interned)
        self._group_by = tuple(group_by)
        self._filters = filters
        self._names = {*group_by, *filters} - set(TIME_GROUPS)
        self._all_types = "event_type" in self._names
        self._groups: dict[GroupKey, Sequence[int]] = {}
        self._row_spans: list[Span] = []

    def gaps(self) -> dict[int, int]:
        """Return how many events have left the store of each day (from 1970) whose rows `totals` has read."""
        spans = []
        for start_us, end_us in self._row_spans:
            conditions = self._on_days(_REMOVAL.c.day)
            if start_us is not None:
                conditions.append(_REMOVAL.c.day >= start_us // US_PER_DAY)
            if end_us is not None:
                conditions.append(_REMOVAL.c.day <= (end_us - 1) // US_PER_DAY)
            spans.append(and_(true(), *conditions))
        if not spans:
            return {}
        question = select(_REMOVAL.c.day, _REMOVAL.c.events).where(or_(*spans), _REMOVAL.c.events > 0)
        return {day: events for day, events in self._connection.execute(question)}  # noqa: C416  # rows are not pairs

    def totals(self, start_us: int | None, end_us: int | None) -> dict[GroupKey, Totals]:
        """Return the sums of each group; groups that are zero throughout are left out."""
        add_rolled = self._rollup()
        asks_for_hours = "hour" in {*self._group_by, *self._filters}
        if add_rolled is None:
            self._add_columns_or_rows((start_us, end_us))
        elif asks_for_hours or self._all_types:  # which the days do not tell apart
            self._add_span(add_rolled, (start_us, end_us), _HOUR)
        else:
            self._add_span(add_rolled, (start_us, end_us), _DAY, _HOUR)
        # PostgreSQL sums to Decimal
        found = {key: Totals(*map(int, sums)) for key, sums in self._groups.items() if any(sums)}
        return found if self._group_by else {(): found.get((), Totals())}

    def _add_span(self, add_rolled: _AddRolled, span: Span, unit: _Unit, *finer: _Unit) -> None:
        """Add the whole units of a span (us) from a roll-up, and its edges by finer units, at last from rows."""
        whole, edges = _whole(span, unit.us)
        if whole is not None:
            add_rolled(unit, whole)
        for edge in edges:
            if finer:
                self._add_span(add_rolled, edge, *finer)
            else:
                self._add_rows(edge)

    def _rollup(self) -> _AddRolled | None:
        """Return what adds whole units, or None when no roll-up has the names of the question."""
        if self._names <= set(CUBE):
            return self._add_cube
        (name, *others) = self._names
        asks_for_none = name in self._filters and None in as_list(self._filters[name])
        if others or asks_for_none or not is_label(name):
            return None
        is_wide = label_name(name) in wide_labels(self._connection, self._interned)
        return None if is_wide else self._add_label

    def _add_cube(self, unit: _Unit, span: Span) -> None:
        groups = [self._cube_group(unit, name) for name in self._group_by]
        self._add(self._asked(self._cube_question(unit, groups, span)))

    def _cube_group(self, unit: _Unit, name: str) -> ColumnElement[Any]:
        return _number(unit.cube, unit, name) if name in TIME_GROUPS else func.nullif(unit.cube.c[name], 0)

    def _cube_question(self, unit: _Unit, groups: Sequence[ColumnElement[Any]], span: Span) -> Select[Any]:
        cube, conditions = unit.cube, self._on_units(unit, unit.cube, span)
        for name in CUBE:
            if name in self._filters:
                column, wanted = func.nullif(cube.c[name], 0), as_list(self._filters[name])
                conditions.append(self._conditions.interned(column, name, wanted))
        return _grouped(groups, _cell_sums(cube, all_types=self._all_types)).where(*conditions)

    def _add_label(self, unit: _Unit, span: Span) -> None:
        """Add a label's groups; what the whole has beyond them is the group of events without the label."""
        (name,), cells = self._names, unit.label
        label = self._interned.find(self._connection, "label", [label_name(name)])
        conditions = [cells.c.label.in_(label), *self._on_units(unit, cells, span)]
        if name in self._filters:
            wanted = as_list(self._filters[name])
            conditions.append(self._conditions.interned(cells.c.value, "label_value", wanted))
        groups = [_number(cells, unit, each) if each in TIME_GROUPS else cells.c.value for each in self._group_by]
        found = self._asked(_grouped(groups, _cell_sums(cells, all_types=True)).where(*conditions))
        self._add(found)
        if name in self._group_by and name not in self._filters:
            without = [_NONE if each == name else self._cube_group(unit, each) for each in self._group_by]
            self._add(self._asked(self._cube_question(unit, without, span)))
            self._take_from_none(found, self._group_by.index(name))

    # Rows

    def _add_columns_or_rows(self, span: Span) -> None:
        """Add the sums of rows from the columns that are kept of them, where there are any."""
        found = None
        if self._columns is not None:
            question = ColumnQuestion(self._connection, self._interned, self._group_by, self._filters)
            found = question.answer(self._columns, span)
        if found is None:
            self._add_rows(span)
        else:
            self._row_spans.append(span)
            self._add(self._named(found))

    def _add_rows(self, span: Span) -> None:
        self._row_spans.append(span)
        source: FromClause = EVENT
        if {"parent_id", "root_id"} & self._names:
            source = source.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent)
            source = source.outerjoin(ORPHAN, ORPHAN.c.event == EVENT.c.key)
            source = source.outerjoin(ROOT, ROOT.c.key == EVENT.c.root)
        plain = [name for name in self._group_by if not is_label(name)]
        has_labels = len(plain) < len(self._group_by)
        groups = [*([EVENT.c.labels] if has_labels else []), *(self._row_group(name) for name in plain)]
        conditions = [*self._conditions.of(self._filters, *span), adds(all_types=self._all_types)]
        question = (
            _grouped(groups, measures_of_adding(all_types=self._all_types)).select_from(source).where(*conditions)
        )
        self._add(self._asked(self._by_labels(question, plain) if has_labels else question))

    def _by_labels(self, by_set: Select[Any], plain: Sequence[str]) -> Select[Any]:
        """Put sums by label set together by labels, so that a label is read once from each set, not for each event."""
        sets = by_set.subquery()
        groups = [
            sets.c[f"group{plain.index(name) + 1}"]
            if name in plain
            else self._database.label_value(_LABEL_SET.c.body, label_name(name))
            for name in self._group_by
        ]
        sums = [func.sum(sets.c[name]) for name in MEASURES]
        return _grouped(groups, sums).select_from(sets.outerjoin(_LABEL_SET, _LABEL_SET.c.id == sets.c.group0))

    def _row_group(self, name: str) -> ColumnElement[Any]:
        if name in TIME_GROUPS:
            return EVENT.c.at // (US_PER_HOUR if name == "hour" else US_PER_DAY)
        if name in INTERNED:
            return EVENT.c[name]
        return ID_COLUMNS[name]

    # Both

    def _on_units(self, unit: _Unit, cells: Table, span: Span) -> list[ColumnElement[bool]]:
        column, (first, last) = cells.c[unit.name], span
        conditions = [
            in_spans(column, name, as_list(self._filters[name]), per=unit.us)
            for name in TIME_GROUPS
            if name in self._filters
        ]
        if first is not None:
            conditions.append(column >= first)
        if last is not None:
            conditions.append(column < last)
        return conditions

    def _on_days(self, column: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Return the conditions that a day has hours which the question's filters by time allow."""
        conditions = []
        for unit in TIME_GROUPS:
            if unit in self._filters:
                wanted = as_list(self._filters[unit])
                whole = [None if value is None else value[: len("2026-01-31")] for value in wanted]
                conditions.append(in_spans(column, "day" if unit == "hour" else unit, whole, per=US_PER_DAY))
        return conditions

    def _asked(self, question: Select[Any]) -> list[tuple[GroupKey, Sequence[int]]]:
        """Return the sums of each group."""
        return self._named(self._connection.execute(question).all())

    def _named(self, found: Sequence[Sequence[Any]]) -> list[tuple[GroupKey, Sequence[int]]]:
        """Return rows with the groups' values as users write them."""
        width = len(self._group_by)
        columns = [self._texts(name, [row[place] for row in found]) for place, name in enumerate(self._group_by)]
        keys = zip(*columns, strict=True) if columns else [()] * len(found)
        return [(key, row[width:]) for key, row in zip(keys, found, strict=True)]

    def _add(self, found: Iterable[tuple[GroupKey, Sequence[int]]]) -> None:
        for key, sums in found:
            before = self._groups.get(key)
            self._groups[key] = sums if before is None else tuple(map(operator.add, before, sums))

    def _take_from_none(self, found: Sequence[tuple[GroupKey, Sequence[int]]], place: int) -> None:
        """Take what groups by a label have from the groups without it, which have had the whole."""
        with_label: dict[GroupKey, list[Sequence[int]]] = {}
        for key, sums in found:
            with_label.setdefault((*key[:place], None, *key[place + 1 :]), []).append(sums)
        self._add((key, tuple(-sum(column) for column in zip(*each, strict=True))) for key, each in with_label.items())

    def _texts(self, name: str, values: list[Any]) -> list[str | None]:
        """Return a group's values as users write them."""
        if name in TIME_GROUPS:
            return [_unit_text(name, value) for value in values]
        if name in ID_COLUMNS:
            return [None if value is None else ids.to_text(value) for value in values]
        if name in INTERNED or any(isinstance(value, int) for value in values):
            texts = self._interned.values(self._connection, {value for value in values if value is not None})
            return [None if value is None else texts[value] for value in values]
        return values


def _grouped(groups: Sequence[ColumnElement[Any]], sums: Sequence[ColumnElement[Any]]) -> Select[Any]:
    named = [group.label(f"group{place}") for place, group in enumerate(groups)]
    return select(*named, *sums).group_by(
        *(name for name, group in zip(named, groups, strict=True) if group is not _NONE)
    )


@cache
def _cell_sums(cells: Table, *, all_types: bool) -> Sequence[ColumnElement[int]]:
    """Return the sums over cells of a roll-up; of hours with each type of event, those of calls alone where asked."""
    has_types = "event_type" in cells.c and not all_types
    columns = [
        case((cells.c.event_type.in_(CALLS), cells.c[name]), else_=0)
        if has_types and name in CALLS_ONLY
        else cells.c[name]
        for name in MEASURES
    ]
    return [func.coalesce(func.sum(column), 0) for column in columns]


def _whole(span: Span, unit_us: int) -> tuple[Span | None, list[Span]]:
    """Split a span (us) into the units (by number) that lie in it whole, if any, and its edges (us)."""
    start_us, end_us = span
    first = None if start_us is None else -(-start_us // unit_us)
    last = None if end_us is None else end_us // unit_us
    if first is not None and last is not None and first >= last:
        return None, [span]
    edges: list[Span] = []
    if start_us is not None and first is not None and start_us < first * unit_us:
        edges.append((start_us, first * unit_us))
    if end_us is not None and last is not None and last * unit_us < end_us:
        edges.append((last * unit_us, end_us))
    return (first, last), edges


def _number(cells: Table, unit: _Unit, name: str) -> ColumnElement[int]:
    """Return the number of the hour or of the day of a cell; months are put together from days."""
    column: ColumnElement[int] = cells.c[unit.name]
    return column // 24 if unit is _HOUR and name != "hour" else column


@lru_cache(maxsize=4_096)
def _unit_text(name: str, number: int) -> str:
    moment = from_us(number * (US_PER_HOUR if name == "hour" else US_PER_DAY))
    return moment.strftime({"hour": "%Y-%m-%dT%H:00+00:00", "day": "%Y-%m-%d", "month": "%Y-%m"}[name])
