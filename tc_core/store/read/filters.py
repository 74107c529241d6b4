"""From filters, as users write them, to conditions on rows."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, false, func, or_, select

from tc_core.model import ids
from tc_core.model.event import to_us
from tc_core.model.ports import Filters, FilterValue
from tc_core.model.scope import label_text
from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.schema.days import US_PER_HOUR
from tc_core.store.schema.tables import INTERNED, Event, LabelSet, Orphan, table

TIME_GROUPS = ("hour", "day", "month")
LABEL_PREFIX = "labels."

EVENT = table(Event)
PARENT = EVENT.alias("parent_event")
ROOT = EVENT.alias("root_event")
ORPHAN = table(Orphan)
"""The joins that every question for whole events has."""

ID_COLUMNS: dict[str, ColumnElement[Any]] = {
    "event_id": EVENT.c.id,
    "parent_id": func.coalesce(PARENT.c.id, ORPHAN.c.parent_id),
    "root_id": ROOT.c.id,
}
_LABEL_SET = table(LabelSet)


def with_ids(tables: FromClause, names: Iterable[str]) -> FromClause:
    """Return the tables of a question for rows of events, with the joins that filters or groups of these names need."""
    if not {"parent_id", "root_id"} & set(names):
        return tables
    return (
        tables.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent)
        .outerjoin(ORPHAN, ORPHAN.c.event == EVENT.c.key)
        .outerjoin(ROOT, ROOT.c.key == EVENT.c.root)
    )


def is_label(name: str) -> bool:
    """Tell whether a filter or group of this name speaks of a label."""
    return name not in INTERNED and name not in TIME_GROUPS and name not in ID_COLUMNS


def label_name(name: str) -> str:
    """Return a label's own name, as it is stored."""
    return label_text(name.removeprefix(LABEL_PREFIX))


def as_list(value: FilterValue) -> list[str | None]:
    """Return the values that a filter allows."""
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return [None if each is None else label_text(each) for each in (value if several else [value])]  # type: ignore[union-attr]


class Conditions:
    """Makes conditions on `event` rows from filters."""

    def __init__(self, connection: Connection, database: Database, interned: InternedTexts) -> None:
        self._connection = connection
        self._database = database
        self._interned = interned

    def of(self, filters: Filters, start_us: int | None, end_us: int | None) -> list[ColumnElement[bool]]:
        """Return the conditions that hold for the wanted events."""
        conditions = [self._condition(name, as_list(value)) for name, value in filters.items()]
        if start_us is not None:
            conditions.append(EVENT.c.at >= start_us)
        if end_us is not None:
            conditions.append(EVENT.c.at < end_us)
        return conditions

    def interned(self, column: ColumnElement[Any], kind: str, wanted: Sequence[str | None]) -> ColumnElement[bool]:
        """Return the condition that an interned column has one of the values."""
        known = self._interned.find(self._connection, kind, [value for value in wanted if value is not None])
        return _one_of(column, known, or_none=None in wanted)

    def _condition(self, name: str, wanted: list[str | None]) -> ColumnElement[bool]:
        if name in TIME_GROUPS:
            return in_spans(EVENT.c.at, name, wanted)
        if name in ID_COLUMNS:
            known = [ids.from_text(value) for value in wanted if value is not None]
            return _one_of(ID_COLUMNS[name], known, or_none=None in wanted)
        if name in INTERNED:
            return self.interned(EVENT.c[name], name, wanted)
        return self._label(label_name(name), wanted)

    def _label(self, label: str, wanted: list[str | None]) -> ColumnElement[bool]:
        value = self._database.label_value(_LABEL_SET.c.body, label)
        known = [each for each in wanted if each is not None]
        having = EVENT.c.labels.in_(select(_LABEL_SET.c.id).where(value.in_(known)))
        if None not in wanted:
            return having
        lacking = EVENT.c.labels.in_(select(_LABEL_SET.c.id).where(value.is_(None)))
        return or_(having, lacking, EVENT.c.labels.is_(None))


def in_spans(
    column: ColumnElement[int], unit: str, wanted: Sequence[str | None], *, per: int = 1
) -> ColumnElement[bool]:
    """Return the condition that a time lies in one of the hours, days or months (UTC); `per` is its unit in us."""
    spans = spans_of(unit, wanted)
    return or_(false(), *((column >= start // per) & (column < end // per) for start, end in spans))


def spans_of(unit: str, wanted: Sequence[str | None]) -> list[tuple[int, int]]:
    """Return the microseconds of some hours, days or months (UTC), half-open; ValueError for other text."""
    return [_span(unit, value) for value in wanted if value is not None]


def _span(unit: str, value: str) -> tuple[int, int]:
    """Return the microseconds of `2024-01-31T13:00`, `2024-01-31` or `2024-01`; ValueError for other text."""
    try:
        start = datetime.fromisoformat(f"{value}-01" if unit == "month" else value)
    except ValueError as error:
        raise ValueError(f"cannot read {value!r} as {unit}: use 2024-01, 2024-01-31 or 2024-01-31T13:00") from error
    start = start.replace(tzinfo=UTC) if start.tzinfo is None else start
    if unit == "month":
        end = (start + timedelta(days=31)).replace(day=1)
    else:
        end = start + (timedelta(days=1) if unit == "day" else timedelta(hours=1))
    return to_us(start), to_us(end)


def _one_of(column: ColumnElement[Any], known: Sequence[object], *, or_none: bool) -> ColumnElement[bool]:
    found = column.in_(known) if known else false()
    return or_(found, column.is_(None)) if or_none else found


def hours(at_us: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of the hour that a time lies in."""
    return at_us // US_PER_HOUR
