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
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from tc_core.errors import StorageError
from tc_core.foreign import let_pass
from tc_core.model.patience import left
from tc_core.store.engine import sqlite_pages as pages
from tc_core.store.engine.database import (
    LOCK_SECONDS,
    ConflictError,
    give_way,
)
from tc_core.store.engine.driver import Driver
from tc_core.store.engine.gate import gate
from tc_core.store.engine.own_engine import StackPool, own_engine
from tc_core.store.engine.sqlite_statements import SQLiteStatements
from tc_core.store.engine.sqlite_waiting import in_turn, once_settled, patiently

log = logging.getLogger("tc_core")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LEAST_BYTES = 512
"""A smaller file holds no page of a database; SQLite would take it for an empty one, and write over it."""


class SQLite(SQLiteStatements):
    """A SQLite database: a file, or memory when `path` is None.

    Transactions are begun by hand, because the driver's own rules begin them too late to be safe.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False, driver: Driver | None = None) -> None:
        self.path = path
        self.driver = driver or Driver()
        self.is_encrypted = self.driver.is_encrypted
        self.driver_errors = (SQLAlchemyError, self.driver.error)
        self.read_only = read_only
        self.is_in_memory = path is None
        self._file: tuple[int, int] | None = None
        self._mark: int | None = None
        self._left_as: tuple[int, int] | None = None
        super().__init__()
        if path is not None:
            gate.closes_before_forks(self)

    def _begin(self) -> None:
        super()._begin()
        self._log: tuple[int, int] | None = None
        self._rescuing = threading.RLock()
        self._is_replaced = False
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
            in_turn(driver.execute, "BEGIN IMMEDIATE")
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
                patiently(connection.execute, "UPDATE spool SET position = position WHERE file = ?", (file,))
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
            self._left_as = _state(self.path)

    def discard(self) -> None:
        """Close all connections for good."""
        self._log = None  # the last one deletes it
        super().discard()
        self._left_as = _state(self.path)

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
        """When somebody has deleted the file or put another in its place: go on with what is there now.

        One thread makes it anew where it has to be; the others wait meanwhile, since there is a file before its tables.
        """
        if self.path is None or (not self._is_replaced and _identity(self.path) == self._file):
            return
        with self._readying:
            now = _identity(self.path)
            if now == self._file:
                return
            before, self._file = self._file, now
            if before is not None:
                self._is_replaced = True
                try:
                    self.discard()
                    self.on_replaced()
                finally:
                    self._is_replaced = False

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
        """On a new connection: what was made anew, or written over, while all were closed may look like the old file.

        So does one that others have written; what is known of it is then read once more.
        """
        (mark,) = connection.execute("PRAGMA user_version").fetchone()
        self._log = self._log or _identity(self._log_path)
        before, self._mark = self._mark, mark
        left_as, self._left_as = self._left_as, None
        if before not in (None, 0, mark) or left_as not in (None, _state(self.path)):
            self.on_replaced()

    def mark_as_new(self, connection: Connection) -> None:
        """Give a new database a number by which it is told from others at the same path."""
        self._mark = random.SystemRandom().randrange(1, 1 << 31)
        connection.exec_driver_sql(f"PRAGMA user_version = {self._mark}")

    def note_edit(self, connection: Connection) -> None:
        """Give the file another number: by chance, so that a file that is restored in place has none of those since."""
        connection.exec_driver_sql(f"PRAGMA application_id = {random.SystemRandom().randrange(1, 1 << 31)}")

    def edition(self, connection: Connection) -> object | None:
        """Return that number, the file's own, and what counts changes of the schema."""
        question = "SELECT * FROM pragma_application_id, pragma_user_version, pragma_schema_version"
        return tuple(connection.exec_driver_sql(question).one())

    @property
    def _log_path(self) -> Path:
        return Path(f"{self.path}-wal")

    # Opening

    def tables(self) -> set[str]:
        """Return the names of the tables without changing the file in any way.

        Raises StorageError for a file that is not a SQLite database.
        """
        size = 0 if self.path is None or not self.path.exists() else self.path.stat().st_size
        if self.path is None or not size:
            return set()
        if size < _LEAST_BYTES:
            raise StorageError(f"cannot open {self}: a file of {size} B is no store; name another one")
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
                patiently(connection.execute, "PRAGMA journal_mode=WAL")
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
            creator=lambda: once_settled(_connect, self.driver, uri),
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
        """Return which tables are damaged, and how."""
        return pages.damage(connection)

    def table_bytes(self, connection: Connection) -> dict[str, int]:
        """Return the bytes of each table with its indexes, empty where this SQLite does not know them."""
        return pages.table_bytes(connection)

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
                    patiently(connection.execute, statement).fetchall()
            finally:
                raw.close()


def _state(path: Path | None) -> tuple[int, int] | None:
    """Return what is another thing once a file has been written: when that was, and its size."""
    try:
        state = None if path is None else path.stat()
    except OSError as error:
        let_pass(error)
        return None
    return None if state is None else (state.st_mtime_ns, state.st_size)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name, or None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # half the time, and it is done for each transaction
    except OSError as error:
        let_pass(error)
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
