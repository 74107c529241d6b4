"""Reading the SQLite file of the package `token-calculator`, which is opened without changing it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import tzinfo
from pathlib import Path
from typing import Any

from tc_core.errors import StorageError
from tc_core.exchange.fields import Line, lines
from tc_core.model.event import CALL_TYPES
from tc_core.store.engine.migrate import VERSION_TABLE

PRICE_SOURCE = "token-calculator"
"""Where the costs in such a file come from; `reprice --all` can price them by today's tables."""

_COLUMNS = (
    "event_id",
    "timestamp",
    "event_type",
    "model",
    "input_tokens",
    "output_tokens",
    "cost",
    "parent_id",
    "labels",
    "metadata",
)


def read(path: str | Path, tz: tzinfo) -> Iterator[Line]:
    """Yield the events of a file, numbered by its rows.

    Its times are those of the clock on the wall where it was recorded, without a zone; `tz` says which zone that was.
    Raises StorageError for a file that is none of these.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise StorageError(f"there is no file {file}")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
                raise StorageError(f"{file} is a store of this package: `token-calc export` it, and import that")
            found = {name for _, name, *_ in connection.execute("PRAGMA table_info(events)")}
            if not found.issuperset(_COLUMNS):
                raise StorageError(f"{file} is no file of the package token-calculator: it has no table of its events")
            rows = connection.execute(f"SELECT rowid, {', '.join(_COLUMNS)} FROM events ORDER BY rowid")
            yield from lines(((number, _row(dict(zip(_COLUMNS, row, strict=True)))) for number, *row in rows), tz)
    except sqlite3.Error as error:
        raise StorageError(f"{file} cannot be read: {error}") from error


def _row(row: dict[str, Any]) -> dict[str, Any] | str:
    try:
        labels, metadata = json.loads(row["labels"] or "{}"), json.loads(row["metadata"] or "{}")
    except ValueError as error:
        return f"labels or metadata are not JSON: {error}"
    if row["event_type"] in CALL_TYPES:
        row["price_source"] = None if row["cost"] is None else PRICE_SOURCE
    else:  # it writes zeros where there is nothing to count
        row.update({name: None for name in ("input_tokens", "output_tokens", "cost") if not row[name]})
    row["model"] = row["model"] or None
    return row | {"labels": labels, "metadata": metadata}
