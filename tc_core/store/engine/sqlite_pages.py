"""The pages of a SQLite file: which table they belong to, and whether they can be read."""

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError


def damage(connection: Connection) -> list[tuple[str, str]]:
    """Check table by table, so that it is known which one a page belongs to."""
    found = []
    for name in _table_names(connection):
        try:
            said = connection.exec_driver_sql(f"PRAGMA integrity_check('{name}')").scalars().all()
        except SQLAlchemyError as error:
            said = [str(getattr(error, "orig", None) or error)]
        # SQLite 3.40 takes the columns of tables WITHOUT ROWID for each other when it looks for NULL.
        said = [each for each in said if each != "ok" and not each.startswith("NULL value in ")]
        if said:
            found.append((name, " ".join(" ".join(said[:3]).split())))
    return found


def table_bytes(connection: Connection) -> dict[str, int]:
    """Ask SQLite's own table of pages, which not every build has."""
    try:
        pages = connection.exec_driver_sql("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").all()
    except SQLAlchemyError:
        return {}
    of_pages = {name: size for name, size in pages}  # noqa: C416  # rows are not pairs
    owners = connection.exec_driver_sql("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'").all()
    indexes = {name: owner for name, owner in owners}  # noqa: C416
    sizes: dict[str, int] = {}
    for name, size in of_pages.items():
        owner = indexes.get(name, name)
        sizes[owner] = sizes.get(owner, 0) + size
    return sizes


def _table_names(connection: Connection) -> list[str]:
    found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for name in found.scalars() if not name.startswith("sqlite_")]
