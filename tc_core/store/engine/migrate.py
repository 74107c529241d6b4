"""Schema versions: a new store is made at today's, an older one is migrated when it is opened.

A program that has a store open while a newer one migrates it stops using it: its questions raise, and what it records
stays in the spool, for a newer one to take over.
"""

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tenacity
from sqlalchemy import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

from tc_core.errors import StorageError
from tc_core.store.engine.database import Database
from tc_core.store.schema.tables import SEED, StoreTable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0008"
"""The newest version, which this code reads and writes."""

VERSION_TABLE = "token_calculator_version"
MIGRATION_SECONDS = 600.0
"""How long a migration by another process is waited for."""

log = logging.getLogger("tc_core")

_SCRIPTS = Path(__file__).parent / "migrations"


def prepare(database: Database) -> None:
    """Bring a database to today's schema.

    Raises StorageError, before anything is changed, for a database that is not ours, that a newer version
    made, or that would need a change and can only be read.
    """
    database.on_begin = lambda _: None
    _bring_up(database)
    database.on_begin = partial(_check, database)


def _bring_up(database: Database) -> None:
    tables = database.tables()
    if VERSION_TABLE not in tables and database.is_foreign(tables):
        raise StorageError(f"{database} is not a Token Calculator store: choose another place")
    version = _version(database) if VERSION_TABLE in tables else None
    database.schema_before = version
    if version == HEAD:
        return
    if version is not None and version not in _known_versions():
        raise StorageError(f"{database} was made by a newer version (schema {version}): upgrade the package")
    if database.read_only:
        raise StorageError(f"{database} has no up-to-date schema and can only be read")
    database.prepare()
    for attempt in _PATIENTLY:
        with attempt, database.writing(alone=True) as connection:
            if version is None:
                _create(connection, database)
            else:
                _upgrade(connection, database)


def _check(database: Database, connection: Connection) -> None:
    """Raise StorageError when the schema is no longer the one that this code knows."""
    version = _version_on(connection)
    if version == HEAD:
        return
    said = f"{database} has another schema now ({version} instead of {HEAD}): restart this program with its package"
    if database not in _warned:
        _warned.add(database)
        log.warning("token-calculator: %s; until then what it records waits in the spool", said)
    raise StorageError(said, is_passing=True)


_warned: "weakref.WeakSet[Database]" = weakref.WeakSet()


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, StorageError) and error.is_passing and "lock" in str(error.__cause__)


_PATIENTLY = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_is_locked),
    wait=tenacity.wait_fixed(0.1),
    stop=tenacity.stop_after_delay(MIGRATION_SECONDS),
    reraise=True,
)


def _version(database: Database) -> str | None:
    with database.reading() as connection:
        return _version_on(connection)


def _version_on(connection: Connection) -> str | None:
    version: str | None = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return version


def _create(connection: Connection, database: Database) -> None:
    if connection.dialect.has_table(connection, VERSION_TABLE):
        return  # another process was faster
    for table in StoreTable.metadata.sorted_tables:  # `create_all` would tell listeners of the host's on `Table`
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            connection.execute(CreateIndex(index))
    database.insert(connection, "dimension", ("id", "kind", "value"), SEED)
    database.mark_as_new(connection)
    connection.exec_driver_sql(database.events_view)
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
        f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')")


def _upgrade(connection: Connection, database: Database) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    connection.exec_driver_sql("DROP VIEW IF EXISTS events")  # alembic renames tables, which a view on them forbids
    with _proxies_kept():
        command.upgrade(config, "head")
    connection.exec_driver_sql(database.events_view)


@contextmanager
def _proxies_kept() -> Iterator[None]:
    """Leave alembic's module-level objects as they are: a host's own migration may be what opens the store."""
    from alembic import context, op

    before = [(vars(module), dict(vars(module))) for module in (context, op)]
    try:
        yield
    finally:
        for names, values in before:
            names.update(values)


def _known_versions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
