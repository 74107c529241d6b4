"""Retention: events older than so many whole days leave the store, a few at a time, once a day."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Table

from tc_core.model.clock import clock
from tc_core.store.engine.database import Database
from tc_core.store.keep import deletion
from tc_core.store.read.query import Place

TEXTS = 5000
"""Label sets or metadata that are deleted in one transaction."""


@dataclass(slots=True)
class Removed:
    """How many events, and how many label sets and metadata that nothing refers to any more, have left the store."""

    events: int = 0
    texts: int = 0


class Retention:
    """Does one small step at a time, so that neither its thread nor another writer is held up.

    `days` is None where events stay for ever; then only texts go that nothing refers to. A step looks at some runs, or
    deletes some texts; `now` gives the seconds since 1970.
    """

    def __init__(self, database: Database, days: int | None, now: Callable[[], float] | None = None) -> None:
        self._database = database
        self._days = days
        self._now = now or (lambda: clock.wall_ns() / 1e9)
        self._done_on: int | None = None
        self._begin()

    def _begin(self) -> None:
        self.removed = Removed()
        self._after: Place | None = None
        self._is_past_events = self._days is None
        self._texts: list[tuple[Table, list[int]]] | None = None

    def daily(self) -> float:
        """Do one step, if today's are not done; return in how many seconds there is more to do.

        Texts are looked at once events left.
        """
        now = self._now()
        today = int(now // 86_400)
        if self._done_on != today:
            if self.step() if not self._is_past_events or self.removed.events else False:
                return 0.0
            self._done_on = today
            self._begin()
        return (today + 1) * 86_400 - now

    def step(self) -> bool:
        """Do one step; return whether there are more."""
        if not self._is_past_events:
            self._is_past_events = not self._let_events_go()
            return True
        return self._let_texts_go()

    def _let_events_go(self) -> bool:
        """Look at some runs, and delete what may leave; return whether there were any."""
        limit_us = deletion.limit_of(self._days or 0, int(self._now() * 1_000_000))
        with self._database.reading() as connection:
            found = deletion.look(connection, limit_us, self._after, deletion.MOST)
        if found.keys:  # what has come meanwhile may hold some back
            found, removed = self._database.transact(lambda connection: self._remove(connection, limit_us), alone=True)
            self.removed.events += removed
        self._after = found.goes_on_from
        return found.last is not None

    def _remove(self, connection: Connection, limit_us: int) -> tuple[deletion.Leaving, int]:
        found = deletion.look(connection, limit_us, self._after, deletion.MOST)
        return found, deletion.remove(connection, self._database, found.keys)

    def _let_texts_go(self) -> bool:
        if self._texts is None:
            with self._database.reading() as connection:
                self._texts = deletion.unused_texts(connection)
        self._texts = [(texts, keys) for texts, keys in self._texts if keys]
        if not self._texts:
            return False
        texts, keys = self._texts[0]
        some = keys[:TEXTS]
        self.removed.texts += self._database.transact(
            lambda connection: deletion.remove_texts(connection, texts, some), alone=True
        )
        del keys[:TEXTS]
        return True
