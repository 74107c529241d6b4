"""What the store says to SQLite in words that other databases do not have."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, func, select

from tc_core.store.engine.database import Database, Rows, adding, insert_into, view
from tc_core.store.schema.tables import MOST_COUNTED


class SQLiteStatements(Database):
    """The statements of a SQLite database, however it is opened."""

    placeholder = "?"

    def allocate_keys(self, connection: Connection, table: str, key: str, count: int) -> range:
        """Return `count` keys that no row has; the write transaction keeps others out until it ends."""
        # Keys that an older version made from texts, which may be any number of 64 bits, are not counted on from.
        question = f'SELECT max("{key}") FROM {table} WHERE "{key}" BETWEEN 0 AND {MOST_COUNTED}'
        last = connection.exec_driver_sql(question).scalar() or 0
        return range(last + 1, last + 1 + count)

    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows that are new; columns that none of them fills are left out, since each one costs time."""
        if not rows:
            return
        unfilled = (None,) * len(rows)
        filled = {
            column: values
            for column, values in zip(columns, zip(*rows, strict=True), strict=True)
            if values != unfilled
        }
        self._insert(connection, insert_into(table, list(filled), "?"), zip(*filled.values(), strict=True))

    def insert_missing(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert those rows whose key is not there yet."""
        self._insert(connection, f"{insert_into(table, columns, '?')} ON CONFLICT DO NOTHING", rows)

    def add_up(self, connection: Connection, table: str, key: Sequence[str], sums: Sequence[str], rows: Rows) -> None:
        """Add to the sums of rows; a row that is not there yet is made."""
        insert = insert_into(table, (*key, *sums), "?")
        self._insert(connection, f"{insert} {adding(table, key, sums)}", rows)

    def _insert(self, connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement for each row, by the driver itself: SQLAlchemy would want them all at once."""
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # what the engine was made with
        driver.executemany(statement, rows).close()

    def listed(self, values: Sequence[int]) -> Select[tuple[int]]:
        """Return a question for some whole numbers."""
        return select(func.json_each(orjson.dumps(values).decode()).table_valued("value").c.value)

    def label_value(self, body: ColumnElement[str], key: str) -> ColumnElement[str | None]:
        """Return the value of a label in a JSON object, whatever characters its name has."""
        each = func.json_each(body).table_valued("key", "value")
        return select(each.c.value).where(each.c.key == key).scalar_subquery()

    def digits(self, id_: ColumnElement[bytes]) -> ColumnElement[str]:
        """Return an id's bytes as lower-case hexadecimal digits."""
        return func.lower(func.hex(id_))

    @property
    def events_view(self) -> str:
        """The view `events`."""
        return view(
            _uuid_text,
            "strftime('%Y-%m-%dT%H:%M:%S', event.at / 1000000, 'unixepoch') || "
            "printf('.%06d+00:00', event.at % 1000000)",
            "json_patch({body}, json_object({dimensions}))",
        )


def _uuid_text(column: str) -> str:
    digits = f"lower(hex({column}))"
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    text = " || '-' || ".join(f"substr({digits}, {start}, {length})" for start, length in parts)
    return f"CASE WHEN {column} IS NOT NULL THEN {text} END"
