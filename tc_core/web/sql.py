"""Writing and reading what is kept of who has read what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from tc_core.model.event import from_us, to_us
from tc_core.store.schema.tables import table
from tc_core.store.sql import SqlStore
from tc_core.web.tables import ExplorerReadRow

MOST_KEPT = 100_000
"""So many of the latest rows are kept."""

_READS = table(ExplorerReadRow)
_COLUMNS = ("at_us", "who", "what", "asked", "status")


@dataclass(frozen=True, slots=True)
class ExplorerRead:
    """One question of the explorer: `status` is 200 where it was answered, 401, 403, 405, 421 or 429 where refused."""

    at: datetime
    who: str
    what: str
    asked: str
    status: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"at": self.at.isoformat()}


def write(store: SqlStore, reads: Sequence[ExplorerRead], *, most: int = MOST_KEPT) -> None:
    """Keep some reads, and of all the latest `most`. Raises StorageError."""
    rows = [(to_us(each.at), each.who, each.what, each.asked, each.status) for each in reads]

    def do(connection: Connection) -> None:
        store.database.insert(connection, "explorer_read", _COLUMNS, rows)
        last = connection.execute(select(func.max(_READS.c.key))).scalar() or 0
        connection.execute(delete(_READS).where(_READS.c.key <= last - most))

    store.database.transact(do)


def reads(store: SqlStore, start: datetime | None = None, end: datetime | None = None) -> list[ExplorerRead]:
    """Return who has read what in a time, the oldest first."""
    question = select(*(_READS.c[name] for name in _COLUMNS)).order_by(_READS.c.key)
    if start is not None:
        question = question.where(_READS.c.at_us >= to_us(start))
    if end is not None:
        question = question.where(_READS.c.at_us < to_us(end))
    with store.database.reading() as connection:
        rows = connection.execute(question).all()
    return [ExplorerRead(from_us(row.at_us), row.who, row.what, row.asked, row.status) for row in rows]
