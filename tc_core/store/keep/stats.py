"""How large a store is, and what takes the room."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from tc_core.store.engine.database import Database
from tc_core.store.read.filters import EVENT
from tc_core.store.schema.days import US_PER_DAY
from tc_core.store.schema.tables import ArchiveFile, Dimension, Removal, RollupHour, RollupLabel, StoreTable, table

MOST_LABELS = 10

_DAY_ZERO = date(1970, 1, 1)
_HOUR, _LABEL, _DIMENSION = table(RollupHour), table(RollupLabel), table(Dimension)
_FILES, _REMOVAL = table(ArchiveFile), table(Removal)


@dataclass(frozen=True, slots=True)
class TableSize:
    """How many rows a table has, and the bytes of it and its indexes; None where the database does not tell."""

    name: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How large a store is. Days are of UTC; labels are the ones with the most values in the roll-ups."""

    events: int
    bytes: int
    tables: list[TableSize]
    first_day: date | None
    last_day: date | None
    details_from: date | None
    """The day of the oldest event that is still here."""
    labels: dict[str, int]
    removed_events: int
    removed_days: int
    archive_files: int
    archived_events: int
    schema: str

    @property
    def bytes_per_event(self) -> float | None:
        """All bytes by all events, roll-ups included; None without events."""
        return self.bytes / self.events if self.events else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = asdict(self) | {"bytes_per_event": self.bytes_per_event}
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in plain.items()}


def measure(connection: Connection, database: Database, schema: str) -> StoreStats:
    """Look at every table."""
    sizes = database.table_bytes(connection)
    rows = {
        name: connection.execute(select(func.count()).select_from(each)).scalar_one()
        for name, each in StoreTable.metadata.tables.items()
    }
    oldest, newest = connection.execute(select(func.min(EVENT.c.at), func.max(EVENT.c.at))).one()
    first, last = connection.execute(select(func.min(_HOUR.c.hour), func.max(_HOUR.c.hour))).one()
    starts = [each for each in (_day(oldest), _day(first, 24)) if each is not None]
    ends = [each for each in (_day(newest), _day(last, 24)) if each is not None]
    removed = connection.execute(select(func.count(), func.coalesce(func.sum(_REMOVAL.c.events), 0))).one()
    archived = select(func.count(), func.coalesce(func.sum(_FILES.c.events), 0)).where(_FILES.c.whole == 1)
    files = connection.execute(archived).one()
    return StoreStats(
        events=rows["event"],
        bytes=database.size(connection),
        tables=sorted(
            (TableSize(name, count, sizes.get(name)) for name, count in rows.items()),
            key=lambda each: (-(each.bytes or 0), -each.rows, each.name),
        ),
        first_day=min(starts, default=None),
        last_day=max(ends, default=None),
        details_from=_day(oldest),
        labels=_labels(connection),
        removed_events=int(removed[1]),
        removed_days=removed[0],
        archive_files=files[0],
        archived_events=int(files[1]),
        schema=schema,
    )


def _labels(connection: Connection) -> dict[str, int]:
    values = func.count(_LABEL.c.value.distinct()).label("values")
    counted = (
        select(_DIMENSION.c.value, values)
        .join(_LABEL, _LABEL.c.label == _DIMENSION.c.id)
        .group_by(_DIMENSION.c.value)
        .order_by(values.desc(), _DIMENSION.c.value)
        .limit(MOST_LABELS)
    )
    return {label: count for label, count in connection.execute(counted)}  # noqa: C416  # rows are not pairs


def _day(time: int | None, units: int = US_PER_DAY) -> date | None:
    return None if time is None else _DAY_ZERO + timedelta(days=time // units)
