"""What refers to what, said by the columns themselves: `sa_column_kwargs=refers_to("event.key")`.

Checks, retention and archive read it from the tables, so that a branch's own tables need not be named anywhere else.
"""

from typing import Any, NamedTuple

from sqlalchemy import Column

from tc_core.store.schema.tables import LEAVES_BY, REFERS_TO, StoreTable


class Reference(NamedTuple):
    """A column, the key that it must be one of where it is not NULL, and both as people read them."""

    name: str
    column: Column[Any]
    target: Column[Any]


def references(target: str | None = None) -> list[Reference]:
    """Return what refers to a column, written `table.column`, or all that refers to anything."""
    tables = StoreTable.metadata.tables
    found = []
    for table in StoreTable.metadata.sorted_tables:
        for column in table.columns:
            wanted = column.info.get(REFERS_TO)
            if wanted is not None and target in (None, wanted):
                name, _, key = wanted.partition(".")
                found.append(Reference(f"{table.name}.{column.name}", column, tables[name].columns[key]))
    return found


def dated() -> list[Column[Any]]:
    """Return the columns of times by which rows leave the store as events of that time do, one for each such table."""
    tables = StoreTable.metadata.sorted_tables
    return [column for table in tables for column in table.columns if LEAVES_BY in column.info]
