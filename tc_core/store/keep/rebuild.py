"""Roll-ups of a day, worked out anew from its rows: by the same code that keeps them, so that all of them are meant."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, delete, select

from tc_core.model.event import from_us
from tc_core.model.totals import MEASURES
from tc_core.store.engine.database import Database, chunks
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.engine.wide_labels import wide_labels
from tc_core.store.read.filters import EVENT
from tc_core.store.read.row_measures import row_measures
from tc_core.store.schema.days import US_PER_DAY, US_PER_HOUR
from tc_core.store.schema.tables import CUBE, LabelSet, RollupHour, StoreTable, table
from tc_core.store.write.rolled_labels import PairKeys, RolledLabels
from tc_core.store.write.rollups import RollupChanges

Cells = dict[tuple[int, ...], tuple[int, ...]]
"""Sums by their key."""

_LABEL_SET = table(LabelSet)
_HOUR = table(RollupHour)
_NO_LABELS: Mapping[str, str] = {}
_UNKNOWN = -1  # the key of a text that is not interned, which no roll-up can have


def days(connection: Connection) -> list[int]:
    """Return all days (UTC, counted from 1970) that have an event or a sum."""
    of_rows = connection.execute(select(EVENT.c.at // US_PER_DAY).distinct()).scalars()
    of_sums = connection.execute(select(_HOUR.c.hour // 24).distinct()).scalars()
    return sorted({*of_rows, *of_sums})


def is_right(connection: Connection, interned: InternedTexts, day: int) -> bool:
    """Tell whether the roll-ups of a day are what its rows add up to."""
    changes = _summed(connection, day)
    wide = wide_labels(connection, interned)
    pairs = {pair for pair in changes.pairs() if pair[0] not in wide}
    keys = {
        (label, value): (
            _key(connection, interned, "label", label),
            _key(connection, interned, "label_value", value),
        )
        for label, value in pairs
    }
    return all(_stored(connection, name, each, day) == each.cells for name, each in _tables(connection, changes, keys))


def rebuild(connection: Connection, database: Database, interned: InternedTexts, day: int) -> None:
    """Make the roll-ups of a day anew, inside a write transaction that is alone."""
    changes = _summed(connection, day)
    keys = RolledLabels(database, interned).of(connection, changes.pairs()).keys
    for name, each in _tables(connection, changes, keys):
        connection.execute(delete(StoreTable.metadata.tables[name]).where(_of_day(name, each.key, day)))
        rows = [(*key, *sums) for key, sums in each.cells.items()]
        database.insert(connection, name, (*each.key, *MEASURES), rows)


def day_name(day: int) -> str:
    """Write a day that is counted from 1970."""
    return f"{from_us(day * US_PER_DAY):%Y-%m-%d}"


def _summed(connection: Connection, day: int) -> RollupChanges:
    """Return what the rows of a day add to the roll-ups."""
    hour = (EVENT.c.at // US_PER_HOUR).label("hour")
    groups = [hour, *(EVENT.c[name] for name in CUBE), EVENT.c.labels]
    question = select(*groups, *row_measures(all_types=True)).group_by(*groups)
    rows = connection.execute(question.where(EVENT.c.at >= day * US_PER_DAY, EVENT.c.at < (day + 1) * US_PER_DAY)).all()
    labels = _label_sets(connection, {row.labels for row in rows} - {None})
    changes = RollupChanges()
    for row in rows:
        sums = tuple(int(getattr(row, name)) for name in MEASURES)
        cube = tuple(getattr(row, name) for name in CUBE)
        changes.add(row.hour * US_PER_HOUR, cube, labels.get(row.labels, _NO_LABELS), sums)
    return changes


def _label_sets(connection: Connection, keys: Iterable[int]) -> dict[int | None, dict[str, str]]:
    found: dict[int | None, dict[str, str]] = {}
    for some in chunks(list(keys)):
        for key, body in connection.execute(
            select(_LABEL_SET.c.id, _LABEL_SET.c.body).where(_LABEL_SET.c.id.in_(some))
        ):
            found[key] = json.loads(body)
    return found


class _Captured:
    """The rows of one roll-up, and the names of its key."""

    def __init__(self, key: Sequence[str], rows: Iterable[tuple[int, ...]]) -> None:
        self.key = tuple(key)
        self.cells: Cells = {tuple(row[: len(key)]): tuple(row[len(key) :]) for row in rows}


class _Capture:
    """Stands where the database does, and takes down what would be added to which table."""

    def __init__(self) -> None:
        self.tables: dict[str, _Captured] = {}

    def add_up(self, _connection: Connection, name: str, key: Sequence[str], _sums: Sequence[str], rows: Any) -> None:
        self.tables[name] = _Captured(key, rows)


def _key(connection: Connection, interned: InternedTexts, kind: str, value: str) -> int:
    known = interned.find(connection, kind, [value])
    return known[0] if known else _UNKNOWN


def _tables(connection: Connection, changes: RollupChanges, keys: PairKeys) -> Iterable[tuple[str, _Captured]]:
    capture = _Capture()
    changes.write(connection, cast("Database", capture), keys)
    return capture.tables.items()


def _stored(connection: Connection, name: str, like: _Captured, day: int) -> Cells:
    """Return the cells of a day that a roll-up has; those that are zero throughout do not count."""
    columns = StoreTable.metadata.tables[name].c
    question = select(*(columns[each] for each in (*like.key, *MEASURES))).where(_of_day(name, like.key, day))
    found = _Captured(like.key, (tuple(map(int, row)) for row in connection.execute(question))).cells
    return {key: sums for key, sums in found.items() if any(sums)}


def _of_day(name: str, key: Sequence[str], day: int) -> ColumnElement[bool]:
    columns = StoreTable.metadata.tables[name].c
    return columns.hour.between(day * 24, day * 24 + 23) if "hour" in key else columns.day == day
