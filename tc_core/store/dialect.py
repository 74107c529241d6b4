"""SQLite: everything that is said in its own words.

WAL mode, so that readers never wait for the writer; `synchronous` NORMAL, so that a commit needs no
flush to the disk. The spool makes up for what NORMAL could lose in a power cut (see `settle`).
"""

import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import tenacity
from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from tc_core.errors import StorageError
from tc_core.store.gate import gate

LOCK_SECONDS = 5.0
"""How long a lock of another process is waited for."""

_WRITING = "tc_writing"


class SQLite:
    """A SQLite database: a file, or memory when `path` is None.

    Transactions are begun by hand, because the driver's own rules begin them too late to be safe.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.on_fork: Callable[[], object] = lambda: None
        """Called in a forked child before the first use there, when memory is empty again."""
        self.on_replaced: Callable[[], object] = lambda: None
        """Called when the file has been deleted or replaced by another one."""
        self._file: tuple[int, int] | None = None
        self._mark: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self.engine = self._create_engine()
        # One connection serves all threads of a memory database, so they take turns.
        self._turn: Any = threading.RLock() if self.path is None else nullcontext()

    def __str__(self) -> str:
        return "memory" if self.path is None else str(self.path)

    # Transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection inside one consistent read transaction; raise StorageError when that fails."""
        self._notice_fork()
        self._notice_replacement()
        with gate.passed(), self._turn, self._explained("read"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection inside one write transaction, committed at the end of the block."""
        if self.read_only:
            raise StorageError(f"{self} can only be read: the file or its folder is not writable")
        self._notice_fork()
        self._notice_replacement()
        with gate.passed(), self._turn, self._explained("write"), self.engine.connect() as connection:
            connection.execution_options(**{_WRITING: True})
            with _patiently(connection.begin):
                yield connection

    def settle(self, statement: str, *parameters: object) -> None:
        """Run a statement in a commit that is flushed to the disk, and with it every commit before."""
        if self.path is None:
            return
        self._notice_fork()
        with gate.passed(), self._explained("write"):
            raw = self.engine.raw_connection()
            try:
                raw.driver_connection.execute("PRAGMA synchronous=FULL")  # type: ignore[union-attr]
                _patiently(lambda: raw.driver_connection.execute(statement, parameters))  # type: ignore[union-attr]
            finally:
                raw.driver_connection.execute("PRAGMA synchronous=NORMAL")  # type: ignore[union-attr]
                raw.close()

    def close(self) -> None:
        """Give back all connections; the next use opens new ones. Memory stays, since it lives in its connection."""
        if self.path is not None:
            self.discard()

    def discard(self) -> None:
        """Close all connections for good."""
        if os.getpid() == self._process:
            with self._turn:
                self.engine.dispose()

    def _notice_fork(self) -> None:
        """In a forked child: never use, nor close, a connection that the parent has."""
        if os.getpid() == self._process:
            return
        _inherited.append(self.engine)
        self._begin()
        if self.path is None:
            self.on_fork()

    def _notice_replacement(self) -> None:
        """When somebody has deleted the file or put another in its place: go on with what is there now."""
        if self.path is None:
            return
        try:
            found = os.stat(self.path)  # noqa: PTH116  # half the time, and it is done for each transaction
            now = (found.st_dev, found.st_ino)
        except OSError:
            now = None
        if now == self._file:
            return
        before, self._file = self._file, now
        if before is not None:
            self.discard()
            self.on_replaced()

    def _notice_another(self, connection: sqlite3.Connection) -> None:
        """On a new connection: a file that was made anew while all were closed may look like the old one."""
        (mark,) = connection.execute("PRAGMA user_version").fetchone()
        before, self._mark = self._mark, mark
        if before not in (None, 0, mark):
            self.on_replaced()

    def mark_as_new(self, connection: Connection) -> None:
        """Give a new database a number by which it is told from others at the same path."""
        self._mark = random.SystemRandom().randrange(1, 1 << 31)
        connection.exec_driver_sql(f"PRAGMA user_version = {self._mark}")

    # What its SQL says differently

    placeholder = "?"

    def allocate_keys(self, connection: Connection, count: int) -> range:
        """Return `count` keys that no event has; the write transaction keeps others out until it ends."""
        last = connection.exec_driver_sql('SELECT max("key") FROM event').scalar() or 0
        return range(last + 1, last + 1 + count)

    def label_value(self, body: ColumnElement[str], key: str) -> ColumnElement[str | None]:
        """Return the value of a label in a JSON object, whatever characters its name has."""
        each = func.json_each(body).table_valued("key", "value")
        return select(each.c.value).where(each.c.key == key).scalar_subquery()

    def digits(self, id_: ColumnElement[bytes]) -> ColumnElement[str]:
        """Return an id's bytes as lower-case hexadecimal digits."""
        return func.lower(func.hex(id_))

    @property
    def events_view(self) -> str:
        """The view `events`: the table that the seed documents describe, and `cost_nanos`."""
        return _EVENTS_VIEW

    # Opening

    def tables(self) -> set[str]:
        """Return the names of the tables without changing the file in any way.

        Raises StorageError for a file that is not a SQLite database.
        """
        if self.path is None or not self.path.exists() or self.path.stat().st_size == 0:
            return set()
        try:
            with closing(sqlite3.connect(self._uri(self.path, "ro"), uri=True, timeout=LOCK_SECONDS)) as connection:
                rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        except sqlite3.DatabaseError as error:
            raise StorageError(f"cannot open {self}: {error}") from error
        return {name for (name,) in rows}

    def prepare(self) -> None:
        """Make the file, private to the user, in WAL mode and with pages that suit it."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot create {self}: {error.strerror}") from error
        try:
            with closing(sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA page_size=8192")
                _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"))
        except sqlite3.DatabaseError as error:
            raise StorageError(f"cannot open {self}: {error}") from error

    def _uri(self, path: Path, mode: str) -> str:
        """Return how to open the file; SQLite can ask one in WAL mode beside which it may write nothing only so."""
        log = path.with_name(f"{path.name}-wal")
        is_settled = self.read_only and not (log.exists() and log.stat().st_size)
        return f"{path.absolute().as_uri()}?{'immutable=1' if is_settled else f'mode={mode}'}"

    def _create_engine(self) -> Engine:
        if self.path is None:
            engine = create_engine(
                "sqlite://",
                poolclass=StaticPool,
                connect_args={"check_same_thread": False},
                hide_parameters=True,
            )
        else:
            uri = self._uri(self.path, "ro" if self.read_only else "rw")
            engine = create_engine(
                "sqlite://",
                creator=lambda: sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, check_same_thread=False),
                poolclass=QueuePool,
                hide_parameters=True,
            )
        event.listen(engine, "connect", _on_connect)
        if self.path is not None:
            event.listen(engine, "connect", lambda connection, _record: self._notice_another(connection))
        event.listen(engine, "begin", _on_begin)
        return engine

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            is_passing = isinstance(cause, sqlite3.OperationalError)
            raise StorageError(f"cannot {verb} {self}: {cause}", is_passing=is_passing) from error


_inherited: list[object] = []  # engines of a parent process, kept so that nothing closes their connections


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-16384")


def _on_begin(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITING):
        # SQLite's own way to wait for a lock sleeps ever longer; trying every millisecond is twice as fast.
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(LOCK_SECONDS * 1000)}")
        connection.exec_driver_sql("BEGIN")


def _is_busy(error: BaseException) -> bool:
    driver_error = error.orig if isinstance(error, OperationalError) else error
    return isinstance(driver_error, sqlite3.OperationalError) and "locked" in str(driver_error)


_patiently = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_is_busy),
    wait=tenacity.wait_random(0.0005, 0.002),
    stop=tenacity.stop_after_delay(LOCK_SECONDS),
    reraise=True,
)


def insert_into(table: str, columns: Sequence[str], placeholder: str) -> str:
    """Return `INSERT INTO table (columns) VALUES (?, ...)`; the names are ours, never a user's."""
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join([placeholder] * len(columns))})"


T = TypeVar("T")


def chunks(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces that fit into one IN (...)."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _uuid_text(column: str) -> str:
    digits = f"lower(hex({column}))"
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    text = " || '-' || ".join(f"substr({digits}, {start}, {length})" for start, length in parts)
    return f"CASE WHEN {column} IS NOT NULL THEN {text} END"


_EVENTS_VIEW = f"""
CREATE VIEW events AS
SELECT coalesce(own.value, {_uuid_text("event.id")}) AS event_id,
       strftime('%Y-%m-%dT%H:%M:%S', event.at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', event.at % 1000000) AS timestamp,
       event_type.value AS event_type,
       model.value AS model,
       event.input_tokens AS input_tokens,
       event.output_tokens AS output_tokens,
       event.cost_nanos / 1e9 AS cost,
       coalesce(above.value, {_uuid_text("coalesce(parent.id, orphan.parent_id)")}) AS parent_id,
       coalesce(label_set.body, '{{}}') AS labels,
       coalesce(metadata_body.body, '{{}}') AS metadata,
       event.cost_nanos AS cost_nanos
FROM event
JOIN dimension AS event_type ON event_type.id = event.event_type
LEFT JOIN dimension AS model ON model.id = event.model
LEFT JOIN label_set ON label_set.id = event.labels
LEFT JOIN metadata_body ON metadata_body.id = event.details
LEFT JOIN external_id AS own ON own.id = event.id
LEFT JOIN event AS parent ON parent."key" = event.parent
LEFT JOIN orphan ON orphan.event = event."key"
LEFT JOIN external_id AS above ON above.id = coalesce(parent.id, orphan.parent_id)
"""
