"""The file that has the books of a SQLite store: tables, triggers, and connections that are kept for the next call."""

import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tc_core.errors import StorageError
from tc_core.model.patience import left
from tc_core.store.engine.database import LOCK_SECONDS
from tc_core.store.engine.driver import Driver
from tc_core.store.engine.gate import gate

T = TypeVar("T")

# A statement that begins with WITH tells Python 3.11 no count, so that INSERT comes first everywhere.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS budget_period(budget INTEGER NOT NULL, period TEXT NOT NULL, start_at INTEGER,
  end_at INTEGER, amount INTEGER NOT NULL, extra INTEGER NOT NULL, extra_until INTEGER NOT NULL, spent INTEGER NOT NULL,
  reserved INTEGER NOT NULL, since_seq INTEGER NOT NULL, PRIMARY KEY (budget, period)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservation(event TEXT NOT NULL, budget INTEGER NOT NULL, period TEXT NOT NULL,
  amount INTEGER NOT NULL, expires INTEGER NOT NULL, state INTEGER NOT NULL, PRIMARY KEY (event, budget)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_reservation_expires ON reservation(expires) WHERE state = 0;
CREATE TABLE IF NOT EXISTS books(id INTEGER PRIMARY KEY CHECK (id = 1), applied INTEGER NOT NULL,
  version INTEGER NOT NULL, mark INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS take AFTER INSERT ON reservation BEGIN
  UPDATE budget_period SET reserved = reserved + NEW.amount WHERE budget = NEW.budget AND period = NEW.period;
END;
CREATE TRIGGER IF NOT EXISTS give_back AFTER DELETE ON reservation BEGIN
  UPDATE budget_period SET reserved = reserved - CASE OLD.state WHEN 0 THEN OLD.amount ELSE 0 END,
    spent = spent - CASE OLD.state WHEN 1 THEN OLD.amount ELSE 0 END WHERE budget = OLD.budget AND period = OLD.period;
END;
CREATE TRIGGER IF NOT EXISTS run_out AFTER UPDATE OF state ON reservation WHEN OLD.state = 0 AND NEW.state = 1 BEGIN
  UPDATE budget_period SET reserved = reserved - NEW.amount, spent = spent + NEW.amount
    WHERE budget = NEW.budget AND period = NEW.period;
END;
CREATE VIEW IF NOT EXISTS apply AS SELECT 0 AS seq, '' AS ids, '' AS sums;
CREATE TRIGGER IF NOT EXISTS apply_once INSTEAD OF INSERT ON apply WHEN NEW.seq > (SELECT applied FROM books) BEGIN
  UPDATE budget_period SET spent = spent + each.more FROM
    (SELECT json_extract(value, '$[0]') AS budget, json_extract(value, '$[1]') AS period,
       json_extract(value, '$[2]') AS more FROM json_each(NEW.sums)) AS each
    WHERE budget_period.budget = each.budget AND budget_period.period = each.period
    AND NEW.seq > budget_period.since_seq;
  DELETE FROM reservation WHERE event IN (SELECT value FROM json_each(NEW.ids));
  UPDATE books SET applied = NEW.seq;
END;
"""


class BooksFile:
    """A file with the books, made when it is first written to; without a path it is in memory.

    A forked child uses and closes none of its parent's connections. What fails raises StorageError. The driver is that
    of the store: beside an encrypted one the books are encrypted with the same key.
    """

    def __init__(self, path: Path | None, driver: Driver | None = None) -> None:
        self.path = path
        self._driver = driver or Driver()
        self._file: tuple[int, int] | None = None
        self._begin()
        gate.closes_before_forks(self)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._idle: deque[sqlite3.Connection] = deque()
        self._memory: sqlite3.Connection | None = None
        self._turn = threading.RLock()

    @property
    def exists(self) -> bool:
        """Whether anything was written to it."""
        return self._memory is not None if self.path is None else self._notice_replacement() is not None

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Execute one statement, which is a transaction by itself; return how many rows it concerns."""
        with self._connection() as connection:
            return _patiently(lambda: connection.execute(statement, parameters)).rowcount

    def ask(self, question: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a question."""
        with self._connection() as connection:
            return _patiently(lambda: connection.execute(question, parameters).fetchall())

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one write transaction, committed at the end of the block."""
        with self._connection() as connection:
            _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close all connections that nobody uses; the last one folds the log into the file."""
        if os.getpid() == self._process:
            while self._idle:
                self._idle.pop().close()

    close_idle = close
    """Before a fork, as the store's own file."""

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Give a connection, made or used before."""
        if os.getpid() != self._process:
            _inherited.append((self._idle, self._memory))
            self._begin()
        if self.path is None:
            with self._turn:
                self._memory = self._memory or _opened(":memory:", Driver())
                yield self._memory
            return
        if gate.is_torn:
            message = f"cannot use the books {self.path} in a process that was forked amid a transaction"
            raise StorageError(message, is_passing=True)
        with gate.passed(at_file=True):
            self._notice_replacement()
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open()
            try:
                yield connection
            except self._driver.error as error:
                connection.close()
                raise StorageError(f"cannot use the books {self.path}: {error}", is_passing=True) from error
            except BaseException:
                connection.close()
                raise
            else:
                self._idle.append(connection)

    def _open(self) -> sqlite3.Connection:
        try:
            with suppress(FileExistsError):  # closing another handle of a file that is open would give up its locks
                os.close(os.open(str(self.path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            return _opened(str(self.path), self._driver)
        except (OSError, self._driver.error) as error:
            why = self._driver.why(error)
            raise StorageError(f"cannot open the books {self.path}: {why}", is_passing=True) from error

    def _notice_replacement(self) -> tuple[int, int] | None:
        """Return what tells the file from another one; where another one is in its place, begin anew with that."""
        try:
            found = os.stat(str(self.path))  # noqa: PTH116  # half the time, and it is done for each call
            now: tuple[int, int] | None = (found.st_dev, found.st_ino)
        except OSError:
            now = None
        if now != self._file:
            self.close()
            self._file = now
        return now


_inherited: list[object] = []  # connections of a parent process, kept so that nothing closes them


def _opened(path: str, driver: Driver) -> sqlite3.Connection:
    connection = driver.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"))
        connection.execute("PRAGMA synchronous=NORMAL")
        if not _patiently(
            lambda: connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'apply_once'").fetchone()
        ):
            _patiently(lambda: connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;"))
    except BaseException:
        connection.close()
        raise
    return connection


def _patiently(do: Callable[[], T]) -> T:
    """Do something, and again while another one is writing: SQLite's own way to wait starves beside a busy writer."""
    deadline = time.monotonic() + left(LOCK_SECONDS)
    while True:
        try:
            return do()
        except Exception as error:  # SQLCipher's driver has errors of its own; what is no lock is raised again
            is_busy = type(error).__name__ == "OperationalError" and "locked" in str(error)
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0001, 0.0003))  # noqa: S311  # no secret
