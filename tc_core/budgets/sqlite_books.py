"""The books of a SQLite store: a small file of their own beside it, so that no reservation waits for a batch of events.

What a transaction of the store settles it notes there, and after the commit one statement brings that into the books
and moves `applied`: exactly once, whoever does it, however often it is killed. Until then the reservation stands.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from tc_core.budgets import sql
from tc_core.budgets.books import Books, Key, Page, Wanted, expiry_us, more_of, without_room
from tc_core.budgets.budget import Budget
from tc_core.budgets.periods import Span
from tc_core.budgets.sqlite_file import BooksFile
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.store.sql import SqlStore

SUFFIX = ".budgets"

_COLUMNS = "budget, period, start_at, end_at, amount, extra, extra_until, spent, reserved"


class SQLiteBooks(Books):
    """The books in a file beside the store, or in memory where the store is."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store)
        path = None if store.path is None else store.path.with_name(store.path.name + SUFFIX)
        self._file = BooksFile(path, getattr(store.database, "driver", None))
        self._applied = 0
        store.before_close.append(self.close)

    @property
    def _is_there(self) -> bool:
        """Whether there is a file to ask: none for a store that is only read, where nobody brings it up to date."""
        return not self.store.read_only and self._file.exists

    # Before a call

    def version(self) -> int:
        """Return the version of the budgets that the books are kept by."""
        if not self._is_there:
            return 0
        found = self._file.ask("SELECT version FROM books")
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
        parameters = (*asked, now_us, event_id.hex(), expiry_us(), len(wanted), version)
        return self._file.run(statement, parameters) == len(wanted)

    def extend(self, event_id: EventId, wanted: Sequence[Wanted]) -> list[Page]:
        """Reserve more under an id, in one transaction."""
        if not self._is_there:
            return []
        asked, now_us = {each.key: each.amount for each in wanted}, clock.wall_ns() // 1000
        reserved = "SELECT budget, period, amount FROM reservation WHERE event = ? AND state = 0"
        page = f"SELECT {_COLUMNS} FROM budget_period WHERE budget = ? AND period = ?"
        with self._file.transaction() as books:
            found = books.execute(reserved, (event_id.hex(),)).fetchall()
            more = more_of(asked, {(budget, period): amount for budget, period, amount in found})
            full = without_room([Page(*row) for key in more for row in books.execute(page, key)], more, now_us)
            for (budget, period), amount in () if full else more.items():
                grown = "UPDATE reservation SET amount = amount + ? WHERE event = ? AND budget = ?"
                books.execute(grown, (amount, event_id.hex(), budget))
                held = "UPDATE budget_period SET reserved = reserved + ? WHERE budget = ? AND period = ?"
                books.execute(held, (amount, budget, period))
        return full

    def is_reserved(self, event_id: EventId) -> bool:
        """Tell whether anything is reserved under an id."""
        return bool(self._file.ask("SELECT 1 FROM reservation WHERE event = ? LIMIT 1", (event_id.hex(),)))

    def withdraw(self, event_id: EventId) -> None:
        """Give back what is reserved under an id."""
        self._file.run("DELETE FROM reservation WHERE event = ? AND state = 0", (event_id.hex(),))

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved under an id be reserved under another one."""
        self._file.run("UPDATE reservation SET event = ? WHERE event = ?", (other.hex(), event_id.hex()))

    # After it

    def settle(self, connection: Connection, ids: Sequence[EventId], sums: Mapping[Key, int]) -> None:
        """Note in the store's transaction what is settled by it."""
        sql.settle(connection, ids, sums, self._applied)

    def apply(self) -> None:
        """Bring what the store has noted into the books, one settlement after the other."""
        state = self._file.ask("SELECT applied, mark FROM books") if self._is_there else []
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
            self._file.run("INSERT INTO apply(seq, ids, sums) VALUES (?, ?, ?)", settlement)
        self._applied = found[-1][0] if found else applied

    def renew(self, ids: Sequence[EventId]) -> None:
        """Let the leases of calls that are open run on."""
        statement = "UPDATE reservation SET expires = max(expires, ?) WHERE event = ? AND state = 0"
        for id_ in ids:  # another thread may have renewed it since the moment was taken
            self._file.run(statement, (expiry_us(), id_.hex()))

    def expire(self) -> int:
        """Book leases that have run out as spent."""
        if not self._is_there:
            return 0
        now_us = clock.wall_ns() // 1000
        return self._file.run("UPDATE reservation SET state = 1 WHERE state = 0 AND expires <= ?", (now_us,))

    # Pages

    def pages(self, keys: Sequence[Key] | None = None) -> dict[Key, Page]:
        """Return pages: those named, or all."""
        if not self._is_there:
            return {}
        question, parameters = f"SELECT {_COLUMNS} FROM budget_period", ()
        if keys is None:
            rows = self._file.ask(question, parameters)
        else:
            rows = [row for key in keys for row in self._file.ask(f"{question} WHERE budget = ? AND period = ?", key)]
        return {(row[0], row[1]): Page(*row) for row in rows}

    def open(self, budget: Budget, span: Span, *, again: bool = False) -> None:
        """Begin a page with what events say was spent; that is asked anew where something was settled meanwhile."""
        key = (budget.id, span.label)
        while True:
            with self.store.database.reading() as connection:
                seq = sql.last_settlement(connection)
                spent = sql.spent(self.store, connection, budget, span)
            if again:
                done = self._file.run(
                    "UPDATE budget_period SET start_at = ?, since_seq = ?, spent = ? + "
                    "(SELECT coalesce(sum(amount), 0) FROM reservation WHERE budget = ? AND period = ? AND state = 1) "
                    "WHERE budget = ? AND period = ? AND (SELECT applied FROM books) <= ? AND since_seq <= ?",
                    (span.start_us, seq, spent, *key, *key, seq, seq),
                )
            else:
                done = self._file.run(
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
        with self._file.transaction() as books:
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

    def close(self) -> None:
        """Close the connections."""
        self._file.close()

    def estimates(self) -> dict[Key, int]:
        """Return what stands in `spent` for calls whose lease ran out."""
        if not self._is_there:
            return {}
        rows = self._file.ask("SELECT budget, period, sum(amount) FROM reservation WHERE state = 1 GROUP BY 1, 2")
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
        with self._file.transaction() as books:
            _forget_others(books, list(budgets))
            for key, amount in spent.items():
                books.execute(
                    "UPDATE budget_period SET since_seq = ?, spent = ? + (SELECT coalesce(sum(amount), 0) "
                    "FROM reservation WHERE budget = ? AND period = ? AND state = 1) WHERE budget = ? AND period = ?",
                    (seq, amount, *key, *key),
                )
            books.execute("UPDATE books SET applied = ?, mark = ?, version = ?", (seq, mark, version))
        self._applied = seq


def _forget_others(books: sqlite3.Connection, ids: Sequence[int]) -> None:
    known = ", ".join(map(str, ids))
    for name in ("reservation", "budget_period"):
        books.execute(f"DELETE FROM {name} WHERE budget NOT IN ({known})")
