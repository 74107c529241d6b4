"""SQLite: everything that it says in its own words.

WAL mode, so that readers never wait for the writer; `synchronous` NORMAL, so that a commit needs no
flush to the disk. The spool makes up for what NORMAL could lose in a power cut (see `make_durable`).
"""

import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import tenacity
from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from tc_core.errors import StorageError
from tc_core.model.patience import left
from tc_core.store.engine.database import (
    LOCK_SECONDS,
    ConflictError,
    Database,
    Rows,
    adding,
    give_way,
    insert_into,
    view,
)
from tc_core.store.engine.driver import Driver
from tc_core.store.engine.gate import gate
from tc_core.store.engine.own_engine import StackPool, own_engine
from tc_core.store.schema.tables import MOST_COUNTED

log = logging.getLogger("tc_core")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SETTLING_SECONDS = 1.0


class SQLite(Database):
    """A SQLite database: a file, or memory when `path` is None.

    Transactions are begun by hand, because the driver's own rules begin them too late to be safe.
    """

    placeholder = "?"

    def __init__(self, path: Path | None, *, read_only: bool = False, driver: Driver | None = None) -> None:
        self.path = path
        self.driver = driver or Driver()
        self.is_encrypted = self.driver.is_encrypted
        self.driver_errors = (SQLAlchemyError, self.driver.error)
        self.is_encrypted = self.driver.is_encrypted
        self.read_only = read_only
        self.is_in_memory = path is None
        self._file: tuple[int, int] | None = None
        self._mark: int | None = None
        super().__init__()
        if path is not None:
            gate.closes_before_forks(self)

    def _begin(self) -> None:
        super()._begin()
        self._log: tuple[int, int] | None = None
        self._rescuing = threading.RLock()
        if self.path is None:
            self._turn = threading.RLock()  # one connection serves all threads, so they take turns

    def __str__(self) -> str:
        return "memory" if self.path is None else str(self.path)

    # Transactions

    def _begin_reading(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(left(LOCK_SECONDS) * 1000)}")
        connection.exec_driver_sql("BEGIN")

    def _begin_writing(self, connection: Connection, *, alone: bool) -> None:
        # SQLite's own way to wait for a lock sleeps ever longer; trying every millisecond is twice as fast.
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # what `_create_engine` makes
        try:
            _in_turn(driver.execute, "BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            give_way(self)
            raise
        if self.path is not None and connection.info["log"] not in (None, _identity(self._log_path)):
            raise ConflictError(f"cannot write {self}: somebody removed its log while this waited for its turn")

    def make_durable(self, file: str) -> None:
        """Move a spool file's mark to where it is, in a commit that is flushed to the disk with all before it."""
        if self.is_in_memory:
            return
        self._notice_changes()
        with gate.passed(at_file=True), self._as_writer(), self._explained("write"):
            raw = self.engine.raw_connection()
            try:
                connection: sqlite3.Connection = raw.driver_connection  # type: ignore[assignment]  # what `_create_engine` makes
                connection.execute("PRAGMA synchronous=FULL")
                _patiently(connection.execute, "UPDATE spool SET position = position WHERE file = ?", (file,))
            finally:
                connection.execute("PRAGMA synchronous=NORMAL")
                raw.close()

    def close(self) -> None:
        """Give back all connections; memory stays, since it lives in its connection."""
        if self.path is not None:
            self.discard()

    def close_idle(self) -> None:
        """Before a fork: close what nobody uses."""
        if os.getpid() == self._process:
            self._log = None
            self.engine.dispose()

    def discard(self) -> None:
        """Close all connections for good."""
        self._log = None  # the last one deletes it
        super().discard()

    def _notice_changes(self) -> None:
        if self.path is not None and gate.is_torn:
            raise StorageError(f"cannot use {self} in a process that was forked amid a transaction", is_passing=True)
        super()._notice_changes()
        self._notice_replacement()
        if self._log is not None and self._log != _identity(self._log_path):
            self._rescue_log()

    def _after_fork(self) -> None:
        if self.path is None:
            self.on_fork()

    def _storage_error(self, verb: str, cause: BaseException) -> StorageError:
        said = f"cannot {verb} {self}: {self.driver.why(cause, self.path)}"
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:  # what is recorded can wait until it is mended
            return StorageError(f"{said}; `token-calc db check` says which table", is_passing=True)
        return StorageError(said, is_passing=isinstance(cause, self.driver.module.OperationalError))

    @property
    def _why_read_only(self) -> str:
        return "the file or its folder is not writable"

    def _notice_replacement(self) -> None:
        """When somebody has deleted the file or put another in its place: go on with what is there now."""
        if self.path is None:
            return
        now = _identity(self.path)
        if now == self._file:
            return
        before, self._file = self._file, now
        if before is not None:
            self.discard()
            self.on_replaced()

    def _rescue_log(self) -> None:
        """When the log is gone: move what is in it into the file, while a connection has it open.

        Where none has, nobody removed it: the last one that had it moved that itself, and deleted it.
        """
        with gate.passed(at_file=True), self._rescuing:
            if self._log is None:
                return  # another thread was faster
            taken: list[PoolProxiedConnection] = []
            try:
                if self._take_connection_of(self._log, taken):
                    raw: sqlite3.Connection = taken[-1].driver_connection  # type: ignore[assignment]  # what `_create_engine` makes
                    raw.execute(f"PRAGMA busy_timeout={int(LOCK_SECONDS * 1000)}")
                    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                    log.warning("token-calculator: somebody removed the log of %s; what was in it is in the file", self)
            except self.driver.error as error:  # another process that has it open was faster
                log.debug("token-calculator: the removed log of %s: %s", self, error)
            finally:
                for each in taken:
                    each.close()
            self.discard()

    def _take_connection_of(self, log_: tuple[int, int], taken: list[PoolProxiedConnection]) -> bool:
        """Take connections until the last one has a removed log open; False where none has, an error after a while."""
        pool: StackPool = self.engine.pool  # type: ignore[assignment]  # what `_create_engine` makes
        deadline = time.monotonic() + left(LOCK_SECONDS)
        while pool.is_open("log", log_):
            if pool.checkedin():  # a new connection would begin another log
                taken.append(self.engine.raw_connection())
                if taken[-1].info["log"] == log_:
                    return True
            elif time.monotonic() > deadline:
                raise StorageError(f"cannot use {self}: somebody removed its log", is_passing=True)
            else:
                time.sleep(0.001)
        return False

    def _notice_another(self, connection: sqlite3.Connection) -> None:
        """On a new connection: a file that was made anew while all were closed may look like the old one."""
        (mark,) = connection.execute("PRAGMA user_version").fetchone()
        self._log = self._log or _identity(self._log_path)
        before, self._mark = self._mark, mark
        if before not in (None, 0, mark):
            self.on_replaced()

    def mark_as_new(self, connection: Connection) -> None:
        """Give a new database a number by which it is told from others at the same path."""
        self._mark = random.SystemRandom().randrange(1, 1 << 31)
        connection.exec_driver_sql(f"PRAGMA user_version = {self._mark}")

    @property
    def _log_path(self) -> Path:
        return Path(f"{self.path}-wal")

    # Opening

    def tables(self) -> set[str]:
        """Return the names of the tables without changing the file in any way.

        Raises StorageError for a file that is not a SQLite database.
        """
        if self.path is None or not self.path.exists() or self.path.stat().st_size == 0:
            return set()
        try:
            uri = self._uri(self.path, "ro")
            connect = partial(self.driver.connect, uri, uri=True, timeout=LOCK_SECONDS)
            with gate.passed(at_file=True), closing(connect()) as connection:
                rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        except self.driver.module.DatabaseError as error:
            raise StorageError(f"cannot open {self}: {self.driver.why(error, self.path)}") from error
        return {name for (name,) in rows}

    def is_foreign(self, tables: set[str]) -> bool:
        """A file with any table but none that names a version is not ours."""
        return bool(tables)

    def prepare(self) -> None:
        """Make the file, private to the user, in WAL mode and with pages that suit it."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # closing another handle of a file that is open would give up its locks
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            if not self.path.stat().st_size:  # somebody has made an empty file, which others may read
                with suppress(PermissionError):  # it is another user's
                    self.path.chmod(0o600)
        except OSError as error:
            raise StorageError(f"cannot create {self}: {error.strerror}") from error
        try:
            connect = partial(self.driver.connect, self.path, timeout=LOCK_SECONDS, isolation_level=None)
            with gate.passed(at_file=True), closing(connect()) as connection:
                if not self.driver.is_encrypted:  # whose pages the tools of SQLCipher expect to be as they are
                    connection.execute("PRAGMA page_size=8192")
                _patiently(connection.execute, "PRAGMA journal_mode=WAL")
        except self.driver.module.DatabaseError as error:
            raise StorageError(f"cannot open {self}: {self.driver.why(error, self.path)}") from error

    def _uri(self, path: Path, mode: str) -> str:
        """Return how to open the file; SQLite can ask one in WAL mode beside which it may write nothing only so."""
        is_whole = self.read_only and not (self._log_path.exists() and self._log_path.stat().st_size)
        return f"{path.absolute().as_uri()}?{'immutable=1' if is_whole else f'mode={mode}'}"

    def _create_engine(self) -> Engine:
        if self.path is None:
            return own_engine("sqlite://", StaticPool, _on_connect, connect_args={"check_same_thread": False})
        uri = self._uri(self.path, "ro" if self.read_only else "rw")
        return own_engine(
            "sqlite://",
            StackPool,
            self._on_connect,
            creator=lambda: _once_settled(_connect, self.driver, uri),
            module=self.driver.module,
        )

    def _on_connect(self, connection: Any, record: Any) -> None:
        _on_connect(connection, record)
        self._notice_another(connection)
        record.info["log"] = _identity(self._log_path)

    def size(self, connection: Connection) -> int:
        """Return the bytes of the file and of its log."""
        files = [] if self.path is None else [self.path, self._log_path]
        return sum(file.stat().st_size for file in files if file.exists())

    def damage(self, connection: Connection) -> list[tuple[str, str]]:
        """Check table by table, so that it is known which one a page belongs to."""
        found = []
        for name in self._table_names(connection):
            try:
                said = connection.exec_driver_sql(f"PRAGMA integrity_check('{name}')").scalars().all()
            except SQLAlchemyError as error:
                said = [str(getattr(error, "orig", None) or error)]
            # SQLite 3.40 takes the columns of tables WITHOUT ROWID for each other when it looks for NULL.
            said = [each for each in said if each != "ok" and not each.startswith("NULL value in ")]
            if said:
                found.append((name, " ".join(" ".join(said[:3]).split())))
        return found

    def table_bytes(self, connection: Connection) -> dict[str, int]:
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

    def compact(self) -> None:
        """Write the file anew, which takes as much room once more meanwhile, and fold its log into it."""
        if self.is_in_memory:
            return
        self.check_writable()
        self._notice_changes()
        with gate.passed(at_file=True), self._explained("write"):
            raw = self.engine.raw_connection()
            try:
                connection: sqlite3.Connection = raw.driver_connection  # type: ignore[assignment]  # the same
                for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    _patiently(connection.execute, statement).fetchall()
            finally:
                raw.close()

    def _table_names(self, connection: Connection) -> list[str]:
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [name for name in found.scalars() if not name.startswith("sqlite_")]

    # Its SQL

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
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # what `_create_engine` makes
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name, or None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # half the time, and it is done for each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-16384")


def _connect(driver: Driver, uri: str) -> sqlite3.Connection:
    connection = driver.connect(uri, uri=True, timeout=left(LOCK_SECONDS), check_same_thread=False)
    try:
        connection.execute("PRAGMA schema_version")  # opens the log
    except BaseException:
        connection.close()
        raise
    return connection


def _is_busy(error: BaseException) -> bool:
    driver_error = error.orig if isinstance(error, OperationalError) else error
    return type(driver_error).__name__ == "OperationalError" and "locked" in str(driver_error)  # of either driver


def _is_unsettled(error: BaseException) -> bool:
    """Tell whether the log could not be read, as while several processes replace one that somebody removed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR


_once_settled = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_is_unsettled),
    wait=tenacity.wait_random(0.002, 0.02),
    stop=lambda state: (state.seconds_since_start or 0.0) > _SETTLING_SECONDS or not left(_SETTLING_SECONDS),
    reraise=True,
)
_patiently = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_is_busy),
    wait=tenacity.wait_random(0.0005, 0.002),
    stop=lambda state: (state.seconds_since_start or 0.0) > LOCK_SECONDS or not left(LOCK_SECONDS),
    reraise=True,
)
_in_turn = _patiently.copy(retry=tenacity.retry_if_exception(lambda error: _is_busy(error) and not gate.is_closed))


def _uuid_text(column: str) -> str:
    digits = f"lower(hex({column}))"
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    text = " || '-' || ".join(f"substr({digits}, {start}, {length})" for start, length in parts)
    return f"CASE WHEN {column} IS NOT NULL THEN {text} END"
