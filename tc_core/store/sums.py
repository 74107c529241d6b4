"""Sums over events: whole hours from a roll-up where one has the names, everything else from rows.

Both ways give the same figures to the last digit; `model.totals` is the definition they share.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
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
from tc_core.store.dialect import Database
from tc_core.store.filters import (
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
from tc_core.store.interning import Dimensions
from tc_core.store.rollups import CUBE, US_PER_DAY, US_PER_HOUR
from tc_core.store.tables import CALLS, INTERNED, OPEN, SEED_KEYS, LabelSet, Removal, RollupHour, RollupLabel, table

_LABEL_SET = table(LabelSet).alias("group_label_set")
_HOUR = table(RollupHour)
_LABEL = table(RollupLabel)
_REMOVAL = table(Removal)
_ERROR = SEED_KEYS["status", "error"]
_PROVIDER = SEED_KEYS["usage_source", "provider"]

_IS_CALL = EVENT.c.event_type.in_(CALLS)
_HAS_USAGE = EVENT.c.input_tokens.is_not(None) | EVENT.c.output_tokens.is_not(None)
IS_UNPRICED = _IS_CALL & EVENT.c.cost_nanos.is_(None) & (_HAS_USAGE | (EVENT.c.status != _ERROR))
_ROW_MEASURES: dict[str, ColumnElement[Any]] = {
    "calls": case((_IS_CALL, 1), else_=0),
    "priced": case((_IS_CALL & EVENT.c.cost_nanos.is_not(None), 1), else_=0),
    "unpriced": case((IS_UNPRICED, 1), else_=0),
    "estimated": case((_IS_CALL & (EVENT.c.usage_source != _PROVIDER), 1), else_=0),
    "errors": case((EVENT.c.status == _ERROR, 1), else_=0),
    "audio_tokens": func.coalesce(EVENT.c.audio_input_tokens, 0) + func.coalesce(EVENT.c.audio_output_tokens, 0),
}

_AS_IT_IS: Mapping[int, str | None] = {}

Span = tuple[int | None, int | None]
"""Microseconds, half-open; None is unbounded."""


def row_measures(*, all_types: bool) -> Sequence[ColumnElement[int]]:
    """Return the sums over rows of `event`, named like the fields of `Totals`."""
    columns = []
    for name in MEASURES:
        measure = _ROW_MEASURES.get(name, EVENT.c.get(name))
        if name in CALLS_ONLY and not all_types:
            measure = case((_IS_CALL, measure), else_=0)
        measure = case((EVENT.c.status == OPEN, 0), else_=measure)
        columns.append(func.coalesce(func.sum(measure), 0).label(name))
    return columns


class Summing:
    """One question for sums, answered from one connection."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        dimensions: Dimensions,
        group_by: Sequence[str],
        filters: Filters,
    ) -> None:
        self._connection = connection
        self._database = database
        self._dimensions = dimensions
        self._conditions = Conditions(connection, database, dimensions)
        self._group_by = tuple(group_by)
        self._filters = filters
        self._names = {*group_by, *filters} - set(TIME_GROUPS)
        self._all_types = "event_type" in self._names
        self._groups: dict[GroupKey, Totals] = {}
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
        add_hours = self._rollup()
        if add_hours is None:
            self._add_rows((start_us, end_us))
        else:
            hours, edges = _whole_hours(start_us, end_us)
            add_hours(hours)
            for edge in edges:
                self._add_rows(edge)
        found = {key: total for key, total in self._groups.items() if total != Totals()}
        return found if self._group_by else {(): found.get((), Totals())}

    def _rollup(self) -> Callable[[Span], None] | None:
        """Return what adds whole hours, or None when no roll-up has the names of the question."""
        if self._names <= set(CUBE):
            return self._add_cube
        (name, *others) = self._names
        asks_for_none = name in self._filters and None in as_list(self._filters[name])
        return None if others or asks_for_none or not is_label(name) else self._add_label

    def _add_cube(self, hours: Span) -> None:
        groups = [self._cube_group(name) for name in self._group_by]
        self._add(self._cube_question(groups, hours))

    def _cube_group(self, name: str) -> ColumnElement[Any]:
        return _unit(_HOUR.c.hour, name) if name in TIME_GROUPS else func.nullif(_HOUR.c[name], 0)

    def _cube_question(self, groups: Sequence[ColumnElement[Any]], hours: Span) -> Select[Any]:
        conditions = self._on_hours(_HOUR.c.hour, hours)
        for name in CUBE:
            if name in self._filters:
                column, wanted = func.nullif(_HOUR.c[name], 0), as_list(self._filters[name])
                conditions.append(self._conditions.interned(column, name, wanted))
        is_call = _HOUR.c.event_type.in_(CALLS)
        sums = [
            case((is_call, _HOUR.c[name]), else_=0) if name in CALLS_ONLY and not self._all_types else _HOUR.c[name]
            for name in MEASURES
        ]
        return _grouped(groups, [func.coalesce(func.sum(column), 0) for column in sums]).where(*conditions)

    def _add_label(self, hours: Span) -> None:
        """Add a label's groups; what the whole has beyond them is the group of events without the label."""
        (name,) = self._names
        label = self._dimensions.find(self._connection, "label", [label_name(name)])
        conditions = [_LABEL.c.label.in_(label), *self._on_hours(_LABEL.c.hour, hours)]
        if name in self._filters:
            wanted = as_list(self._filters[name])
            conditions.append(self._conditions.interned(_LABEL.c.value, "label_value", wanted))
        groups = [_unit(_LABEL.c.hour, each) if each in TIME_GROUPS else _LABEL.c.value for each in self._group_by]
        sums = [func.coalesce(func.sum(_LABEL.c[each]), 0) for each in MEASURES]
        question = _grouped(groups, sums).where(*conditions)
        self._add(question)
        if name in self._group_by and name not in self._filters:
            none = cast(null(), Integer)  # PostgreSQL groups by no bare constant
            without = [none if each == name else self._cube_group(each) for each in self._group_by]
            self._add(self._cube_question(without, hours))
            self._add(question, sign=-1, instead={self._group_by.index(name): None})

    # Rows

    def _add_rows(self, span: Span) -> None:
        self._row_spans.append(span)
        source: FromClause = EVENT
        if {"parent_id", "root_id"} & self._names:
            source = source.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent)
            source = source.outerjoin(ORPHAN, ORPHAN.c.event == EVENT.c.key)
            source = source.outerjoin(ROOT, ROOT.c.key == EVENT.c.root)
        if any(is_label(name) for name in self._group_by):
            source = source.outerjoin(_LABEL_SET, _LABEL_SET.c.id == EVENT.c.labels)
        groups = [self._row_group(name) for name in self._group_by]
        conditions = self._conditions.of(self._filters, *span)
        question = _grouped(groups, row_measures(all_types=self._all_types))
        self._add(question.select_from(source).where(*conditions))

    def _row_group(self, name: str) -> ColumnElement[Any]:
        if name in TIME_GROUPS:
            return _unit(EVENT.c.at // US_PER_HOUR, name)
        if name in INTERNED:
            return EVENT.c[name]
        if name in ID_COLUMNS:
            return ID_COLUMNS[name]
        return self._database.label_value(_LABEL_SET.c.body, label_name(name))

    # Both

    def _on_hours(self, column: ColumnElement[int], hours: Span) -> list[ColumnElement[bool]]:
        first, last = hours
        conditions = [
            in_spans(column, unit, as_list(self._filters[unit]), per=US_PER_HOUR)
            for unit in TIME_GROUPS
            if unit in self._filters
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

    def _add(self, question: Select[Any], *, sign: int = 1, instead: Mapping[int, str | None] = _AS_IT_IS) -> None:
        found = self._connection.execute(question).all()
        width = len(self._group_by)
        columns = [self._texts(name, [row[place] for row in found]) for place, name in enumerate(self._group_by)]
        for number, row in enumerate(found):
            key = tuple(instead.get(place, texts[number]) for place, texts in enumerate(columns))
            total = self._groups.setdefault(key, Totals())
            total.add(sign * int(value) for value in row[width:])  # PostgreSQL sums to Decimal

    def _texts(self, name: str, values: list[Any]) -> list[str | None]:
        """Return a group's values as users write them."""
        if name in TIME_GROUPS:
            return [_unit_text(name, value) for value in values]
        if name in ID_COLUMNS:
            return [None if value is None else ids.to_text(value) for value in values]
        if name in INTERNED or any(isinstance(value, int) for value in values):
            texts = self._dimensions.values(self._connection, {value for value in values if value is not None})
            return [None if value is None else texts[value] for value in values]
        return values


def _grouped(groups: Sequence[ColumnElement[Any]], sums: Sequence[ColumnElement[Any]]) -> Select[Any]:
    named = [group.label(f"group{place}") for place, group in enumerate(groups)]
    return select(*named, *sums).group_by(*named)


def _whole_hours(start_us: int | None, end_us: int | None) -> tuple[Span, list[Span]]:
    """Split a span into the hours (by number) that lie in it whole, and its edges (in us)."""
    first = None if start_us is None else -(-start_us // US_PER_HOUR)
    last = None if end_us is None else end_us // US_PER_HOUR
    if first is not None and last is not None and first >= last:
        return (0, 0), [(start_us, end_us)]
    edges: list[Span] = []
    if start_us is not None and first is not None and start_us < first * US_PER_HOUR:
        edges.append((start_us, first * US_PER_HOUR))
    if end_us is not None and last is not None and last * US_PER_HOUR < end_us:
        edges.append((last * US_PER_HOUR, end_us))
    return (first, last), edges


def _unit(hour: ColumnElement[int], unit: str) -> ColumnElement[int]:
    """Return the number of the hour or of the day; months are put together from days."""
    return hour if unit == "hour" else hour // 24


def _unit_text(unit: str, number: int) -> str:
    moment = from_us(number * US_PER_HOUR * (1 if unit == "hour" else 24))
    return moment.strftime({"hour": "%Y-%m-%dT%H:00+00:00", "day": "%Y-%m-%d", "month": "%Y-%m"}[unit])
