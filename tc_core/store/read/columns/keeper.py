"""Whether columns of events are kept in memory, and which: from the second question on that would read all rows.

In any doubt there are none, and the question is answered from rows. Nothing is loaded before they are made.
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

_LEAST_SHARE = 20
"""A question must be for this part of the store's time: shorter periods are read from rows, which an index finds."""
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
        self._has_been_asked = False
        self._asked: frozenset[str] = frozenset()
        self._too_many: int | None = None
        self.forget()

    def forget(self) -> None:
        """Let go of what is kept, as when there is another database in the old one's place."""
        self._kept: Kept | None = None
        self._era = object()

    @property
    def bytes(self) -> int:
        """What is kept takes in memory."""
        kept = self._kept
        return 0 if kept is None else kept.bytes

    def of(self, connection: Connection, names: Collection[str], labels: Collection[str], span: Span) -> "Kept | None":
        """Return what the connection sees of all events, with some columns and labels; None where rows must be asked.

        The first question for a column is one for rows: who asks once does not wait for what others need.
        """
        if os.getpid() != self._process:  # a lock may be held by a thread that is not here
            self._begin()
        edition = self._database.edition(connection)
        if edition is None or not self._is_long(connection, span) or not self._is_asked_again(names):
            return None
        lock = self._lock
        if not lock.acquire(timeout=_WAIT_SECONDS):  # another thread is reading the columns
            return None
        try:
            return self._brought_up_to_date(connection, edition, labels)
        except (DoubtError, MemoryError):
            self.forget()
            return None
        finally:
            lock.release()

    def _is_asked_again(self, names: Collection[str]) -> bool:
        new = frozenset(names) - self._asked - BASE
        is_again = self._has_been_asked and not new
        self._has_been_asked, self._asked = True, self._asked | new
        return is_again

    def _is_long(self, connection: Connection, span: Span) -> bool:
        if span == (None, None):
            return True
        question = "SELECT (SELECT min(at) FROM event), (SELECT max(at) FROM event)"
        first, last = connection.exec_driver_sql(question).one()
        if first is None:
            return False
        begin = first if span[0] is None else max(first, span[0])
        end = last if span[1] is None else min(last, span[1])
        return bool((end - begin) * _LEAST_SHARE >= last - first)

    def _brought_up_to_date(self, connection: Connection, edition: object, labels: Collection[str]) -> "Kept | None":
        most = self._most_bytes()
        if not most:
            return None
        from tc_core.store.read.columns import kept as keeping

        era, kept, names = self._era, self._kept, tuple(sorted(BASE | self._asked))
        last = keeping.newest(connection)
        if kept is not None and kept.edition == edition and last.key < kept.last.key:
            return None  # it sees an older state than another thread, or one that will show as another
        if kept is None or kept.edition != edition or kept.names != names or not kept.stands(connection, last):
            kept = self._kept = None  # before the new ones take room beside them
            first = keeping.oldest(connection)
            if self._too_many is not None and last.key - first >= self._too_many:
                return None
            kept = keeping.Kept(edition, names, keeping.Newest(first - 1))
        kept = kept.with_ended(connection, self._database).with_newer(connection, last, most)
        if kept is not None:
            kept = kept.with_labels(connection, self._database, labels)
        if kept is None or kept.is_too_large(most):
            self._too_many = last.key - keeping.oldest(connection)
            self.forget()
            return None
        if self._era is era:
            self._kept = kept
        return kept
