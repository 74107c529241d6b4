"""Whether columns of events are kept in memory, and which.

To read them takes as long as some questions for rows, so that they pay only for who goes on asking: they are read once
questions have read the rows of the whole store, or parts of it as often, some times. A command that asks once or twice
does not wait for them. In any doubt there are none, and the question is answered from rows. numpy is loaded with them.
"""

import os
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from tc_core.store.engine.database import Database

if TYPE_CHECKING:
    from tc_core.store.read.columns.kept import Kept

Span = tuple[int | None, int | None]

BASE = frozenset({"labels", "agent_id", "model", "environment"})
"""Columns that are read at once; others once they have been asked for."""

_LEAST_SHARE = 0.05
"""A question must be for so much of the store's time: shorter periods are read from rows, which an index finds."""
ROWS_FIRST = 2.0
"""How often the rows of the whole store are read before columns are."""
_MOST_ROWS_FIRST = 64.0
_PAID_OFF = 4
"""Answers by which columns have saved more than they took."""
_WAIT_SECONDS = 0.2


class DoubtError(Exception):
    """Rows must say what is meant."""


class ColumnKeeper:
    """The columns of one store; `most_bytes` says how much memory they may take, 0 for none."""

    def __init__(self, database: Database, most_bytes: Callable[[], int]) -> None:
        self._database = database
        self._most_bytes = most_bytes
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._rows_first, self._rows_read, self._answers = ROWS_FIRST, 0.0, 0
        self._asked: frozenset[str] = frozenset()
        self.forget()

    def forget(self) -> None:
        """Let go of what is kept, as when there is another database in the old one's place."""
        self._too_many: tuple[int, int] | None = None
        """With so much memory at the most, a store of so many keys was too large."""
        self._let_go()

    def _let_go(self) -> None:
        self._kept: Kept | None = None
        self._era = object()

    @property
    def bytes(self) -> int:
        """What is kept takes in memory."""
        kept = self._kept
        return 0 if kept is None else kept.bytes

    def of(self, connection: Connection, names: Collection[str], labels: Collection[str], span: Span) -> "Kept | None":
        """Return what the connection sees of all events, with some columns and labels; None where rows must be asked.

        The first question for a column beside those of `BASE` is one for rows too.
        """
        if os.getpid() != self._process:  # a lock may be held by a thread that is not here
            self._begin()
        edition = self._database.edition(connection)
        if edition is None or not self._pays(names, self._share(connection, span)):
            return None
        lock = self._lock
        if not lock.acquire(timeout=_WAIT_SECONDS):  # another thread is reading the columns
            return None
        try:
            return self._brought_up_to_date(connection, edition, labels)
        except (DoubtError, MemoryError):
            self._begin_again()
            return None
        finally:
            lock.release()

    def _pays(self, names: Collection[str], share: float) -> bool:
        """Tell whether columns are worth their reading by now; a question for rows is counted."""
        if share < _LEAST_SHARE:
            return False
        new = frozenset(names) - self._asked - BASE
        if self._rows_read >= self._rows_first and not new:
            return True
        self._rows_read, self._asked = self._rows_read + share, self._asked | new
        return False

    def _share(self, connection: Connection, span: Span) -> float:
        """Return how much of the time from the first event to the last a question is for, from 0 to 1."""
        if span == (None, None):
            return 1.0
        question = "SELECT (SELECT min(at) FROM event), (SELECT max(at) FROM event)"
        first, last = connection.exec_driver_sql(question).one()
        if first is None:
            return 0.0
        begin = first if span[0] is None else max(first, span[0])
        end = last + 1 if span[1] is None else min(last + 1, span[1])
        return float(max(0, end - begin) / (last + 1 - first))

    def _brought_up_to_date(self, connection: Connection, edition: object, labels: Collection[str]) -> "Kept | None":
        most = self._most_bytes()
        if not most:
            return None
        from tc_core.store.read.columns import kept as keeping

        era, kept, last = self._era, self._kept, keeping.newest(connection)
        if kept is not None and kept.edition == edition and last.key < kept.last.key:
            return None  # it sees an older state than another thread, or one that will show as another
        if kept is not None and (kept.edition != edition or not kept.stands(connection, last)):
            self._begin_again()
            if self._rows_first:
                return None
            era, kept = self._era, None
        names = tuple(sorted(BASE | self._asked))
        if kept is None or kept.names != names:
            kept = self._kept = None  # before the new ones take room beside them
            first = keeping.oldest(connection)
            if self._too_many is not None and most <= self._too_many[0] and last.key - first >= self._too_many[1]:
                return None
            kept = keeping.Kept(edition, names, keeping.Newest(first - 1))
        kept = kept.with_ended(connection, self._database).with_newer(connection, last, most)
        if kept is not None:
            kept = kept.with_labels(connection, self._database, labels)
        if kept is None or kept.is_too_large(most):
            self._too_many = most, last.key - keeping.oldest(connection)
            self._let_go()
            return None
        if self._era is era:  # nobody has forgotten them meanwhile
            self._kept, self._answers = kept, self._answers + 1
        return kept

    def _begin_again(self) -> None:
        """Let go of what has become wrong; where that was soon, as while calls are priced anew, wait longer."""
        self._let_go()
        soon = self._answers < _PAID_OFF
        self._rows_first = min(2 * self._rows_first, _MOST_ROWS_FIRST) if soon else ROWS_FIRST
        self._rows_read, self._answers = 0.0, 0
