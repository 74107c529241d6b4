"""The books of a SQLite store: a small file of their own beside it, so that no reservation waits for a batch of events.

What a transaction of the store settles it notes there, and after the commit one statement brings that into the books
and moves `applied`: exactly once, whoever does it, however often it is killed. Until then the reservation stands.
"""

import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection

from tc_core.budgets import sql
from tc_core.budgets.books import Books, Key, Page, Wanted, expiry_us
from tc_core.budgets.budget import Budget
from tc_core.budgets.periods import Span
from tc_core.errors import StorageError
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.model.patience import left
from tc_core.store.engine.database import LOCK_SECONDS
from tc_core.store.engine.gate import gate
from tc_core.store.sql import SqlStore

SUFFIX = ".budgets"
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
_COLUMNS = "budget, period, start_at, end_at, amount, extra, extra_until, spent, reserved"


class SQLiteBooks(Books):
    """The books in a file beside the store, or in memory where the store is."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store)
        self.path = None if store.path is None else store.path.with_name(store.path.name + SUFFIX)
        self._memory: sqlite3.Connection | None = None
        self._turn = threading.RLock()
        self._applied = 0
        self._begin()
        store.before_close.append(self.close)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._idle: deque[sqlite3.Connection] = deque()

    # Connections

    def _exist(self) -> bool:
        return self._memory is not None if self.path is None else os.path.exists(self.path)  # noqa: PTH110  # for each call

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Give a connection, made or used before; a forked child has none of its parent's."""
        if self.path is None:
            with self._turn:
                if self._memory is None or os.getpid() != self._process:
                    self._begin()
                    self._memory = _opened(":memory:")
                yield self._memory
            return
        with gate.passed():
            if os.getpid() != self._process:
                _inherited.append(self._idle)
                self._begin()
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open_file()
            try:
                yield connection
            except sqlite3.Error as error:
                connection.close()
                raise StorageError(f"cannot use the books {self.path}: {error}", is_passing=True) from error
            except BaseException:
                connection.close()
                raise
            else:
                self._idle.append(connection)

    def _open_file(self) -> sqlite3.Connection:
        try:
            os.close(os.open(str(self.path), os.O_CREAT | os.O_RDWR, 0o600))
            return _opened(str(self.path))
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"cannot open the books {self.path}: {error}", is_passing=True) from error

    def _run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        with self._connection() as connection:
            return _patiently(lambda: connection.execute(statement, parameters)).rowcount

    def _ask(self, question: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            return _patiently(lambda: connection.execute(question, parameters).fetchall())

    def close(self) -> None:
        """Close all connections that nobody uses; the last one folds the log into the file."""
        if os.getpid() == self._process:
            while self._idle:
                self._idle.pop().close()

    # Before a call

    def version(self) -> int:
        """Return the version of the budgets that the books are kept by."""
        if not self._exist():
            return 0
        found = self._ask("SELECT version FROM books")
        return int(found[0][0]) if found else 0

    def _take(self, event_id: EventId, wanted: Sequence[Wanted], now_us: int, version: int) -> bool:
        rows = ", ".join(["(?, ?, ?)"] * len(wanted))
        statement = (
            f"INSERT OR IGNORE INTO reservation(event, budget, period, amount, expires, state) "
            f"WITH wanted(budget, period, asked) AS (VALUES {rows}), "
            f"fits AS (SELECT budget, period, asked FROM wanted JOIN budget_period USING (budget, period) "
            f"WHERE spent + reserved + asked <= amount + CASE WHEN extra_until > ? THEN extra ELSE 0 END) "
            f"SELECT ?, budget, period, asked, ?, 0 FROM fits "
            f"WHERE (SELECT count(*) FROM fits) = ? AND (SELECT version FROM books) = ?"
        )
        asked = [value for each in wanted for value in (*each.key, each.amount)]
        return self._run(statement, (*asked, now_us, event_id.hex(), expiry_us(), len(wanted), version)) == len(wanted)

    def is_reserved(self, event_id: EventId) -> bool:
        """Tell whether anything is reserved under an id."""
        return bool(self._ask("SELECT 1 FROM reservation WHERE event = ? LIMIT 1", (event_id.hex(),)))

    def withdraw(self, event_id: EventId) -> None:
        """Give back what is reserved under an id."""
        self._run("DELETE FROM reservation WHERE event = ? AND state = 0", (event_id.hex(),))

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved under an id be reserved under another one."""
        self._run("UPDATE reservation SET event = ? WHERE event = ?", (other.hex(), event_id.hex()))

    # After it

    def settle(self, connection: Connection, ids: Sequence[EventId], sums: Mapping[Key, int]) -> None:
        """Note in the store's transaction what is settled by it."""
        sql.settle(connection, ids, sums, self._applied)

    def apply(self) -> None:
        """Bring what the store has noted into the books, one settlement after the other."""
        state = self._ask("SELECT applied, mark FROM books") if self._exist() else []
        if not state:
            return
        applied, mark = state[0]
        with self.store.database.reading() as connection:
            is_same = sql.mark(connection) == mark and sql.last_settlement(connection) >= applied
            found = sql.settlements(connection, applied) if is_same else []
        if not is_same:  # another store in its place, or an older copy of it
            self._work_out_anew()
            return
        for settlement in found:
            self._run("INSERT INTO apply(seq, ids, sums) VALUES (?, ?, ?)", settlement)
        self._applied = found[-1][0] if found else applied

    def renew(self, ids: Sequence[EventId]) -> None:
        """Let the leases of calls that are open run on."""
        for id_ in ids:
            self._run("UPDATE reservation SET expires = ? WHERE event = ? AND state = 0", (expiry_us(), id_.hex()))

    def expire(self) -> int:
        """Book leases that have run out as spent."""
        if not self._exist():
            return 0
        now_us = clock.wall_ns() // 1000
        return self._run("UPDATE reservation SET state = 1 WHERE state = 0 AND expires <= ?", (now_us,))

    # Pages

    def pages(self, keys: Sequence[Key] | None = None) -> dict[Key, Page]:
        """Return pages: those named, or all."""
        if not self._exist():
            return {}
        question, parameters = f"SELECT {_COLUMNS} FROM budget_period", ()
        if keys is None:
            rows = self._ask(question, parameters)
        else:
            rows = [row for key in keys for row in self._ask(f"{question} WHERE budget = ? AND period = ?", key)]
        return {(row[0], row[1]): Page(*row) for row in rows}

    def open(self, budget: Budget, span: Span, *, again: bool = False) -> None:
        """Begin a page with what events say was spent; that is asked anew where something was settled meanwhile."""
        key = (budget.id, span.label)
        while True:
            with self.store.database.reading() as connection:
                seq = sql.last_settlement(connection)
                spent = sql.spent(self.store, connection, budget, span)
            if again:
                done = self._run(
                    "UPDATE budget_period SET start_at = ?, since_seq = ?, spent = ? + "
                    "(SELECT coalesce(sum(amount), 0) FROM reservation WHERE budget = ? AND period = ? AND state = 1) "
                    "WHERE budget = ? AND period = ? AND (SELECT applied FROM books) <= ? AND since_seq <= ?",
                    (span.start_us, seq, spent, *key, *key, seq, seq),
                )
            else:
                done = self._run(
                    f"INSERT OR IGNORE INTO budget_period({_COLUMNS}, since_seq) "
                    "SELECT ?, ?, ?, ?, ?, ?, ?, ?, 0, ? WHERE (SELECT applied FROM books) <= ?",
                    (
                        *key,
                        span.start_us,
                        span.end_us,
                        budget.amount,
                        budget.extra,
                        budget.extra_until_us,
                        spent,
                        seq,
                        seq,
                    ),
                )
            if done or (not again and key in self.pages([key])) or (again and key not in self.pages([key])):
                return

    def follow(self) -> tuple[int, list[Budget]]:
        """Have the pages follow the budgets, which are read while nobody else can do so: the newest are the last."""
        now_us = clock.wall_ns() // 1000
        with self._transaction() as books:
            with self.store.database.reading() as connection:
                mark, seq = sql.mark(connection), sql.last_settlement(connection)
                version, budgets = sql.version(connection), sql.budgets(connection)
            books.execute("INSERT OR IGNORE INTO books VALUES (1, ?, 0, ?)", (seq, mark))
            for budget in budgets:
                books.execute(
                    "UPDATE budget_period SET amount = ?, extra = ?, extra_until = ? "
                    "WHERE budget = ? AND (end_at IS NULL OR end_at > ?)",
                    (budget.amount, budget.extra, budget.extra_until_us, budget.id, now_us),
                )
            _forget_others(books, [budget.id for budget in budgets])
            books.execute("UPDATE books SET version = ?", (version,))
        return version, budgets

    def estimates(self) -> dict[Key, int]:
        """Return what stands in `spent` for calls whose lease ran out."""
        if not self._exist():
            return {}
        rows = self._ask("SELECT budget, period, sum(amount) FROM reservation WHERE state = 1 GROUP BY 1, 2")
        return {(budget, period): amount for budget, period, amount in rows}

    def _work_out_anew(self) -> None:
        """Make all pages anew from the store that is there now; those of budgets that it has not are forgotten."""
        with self.store.database.reading() as connection:
            mark, seq, version = sql.mark(connection), sql.last_settlement(connection), sql.version(connection)
            budgets = {budget.id: budget for budget in sql.budgets(connection)}
            spent = {
                key: sql.spent(self.store, connection, budgets[page.budget], Span(key[1], page.start_us, page.end_us))
                for key, page in self.pages().items()
                if page.budget in budgets
            }
        with self._transaction() as books:
            _forget_others(books, list(budgets))
            for key, amount in spent.items():
                books.execute(
                    "UPDATE budget_period SET since_seq = ?, spent = ? + (SELECT coalesce(sum(amount), 0) "
                    "FROM reservation WHERE budget = ? AND period = ? AND state = 1) WHERE budget = ? AND period = ?",
                    (seq, amount, *key, *key),
                )
            books.execute("UPDATE books SET applied = ?, mark = ?, version = ?", (seq, mark, version))
        self._applied = seq

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise


def _forget_others(books: sqlite3.Connection, ids: Sequence[int]) -> None:
    known = ", ".join(map(str, ids))
    for name in ("reservation", "budget_period"):
        books.execute(f"DELETE FROM {name} WHERE budget NOT IN ({known})")


_inherited: list[object] = []  # connections of a parent process, kept so that nothing closes them


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
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
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0001, 0.0003))  # noqa: S311  # no secret
