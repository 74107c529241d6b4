"""Retention: events older than so many whole days leave the store, a few at a time, once a day."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Table

from tc_core.errors import StorageError
from tc_core.store.engine.database import Database
from tc_core.store.keep import deletion
from tc_core.store.read.query import Place

TEXTS = 5000
"""Label sets or metadata that are deleted in one transaction."""
PAUSE_SECONDS = 600.0
"""How long it rests after a failure."""


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

    def __init__(self, database: Database, days: int | None, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._days = days
        self._now = now
        self._done_on: int | None = None
        self._resume_at = 0.0
        self._begin()

    def _begin(self) -> None:
        self.removed = Removed()
        self._after: Place | None = None
        self._is_past_events = self._days is None
        self._texts: list[tuple[Table, list[int]]] | None = None

    def daily(self) -> bool:
        """Do one step, if today's are not done; return whether there are more. Texts are looked at once events left."""
        today = int(self._now() // 86_400)
        if self._done_on == today or time.monotonic() < self._resume_at or self._database.read_only:
            return False
        try:
            has_more = self.step() if not self._is_past_events or self.removed.events else False
        except StorageError:
            self._resume_at = time.monotonic() + PAUSE_SECONDS
            raise
        if not has_more:
            self._done_on = today
            self._begin()
        return has_more

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
        if found.keys:
            with self._database.writing(alone=True) as connection:
                found = deletion.look(
                    connection, limit_us, self._after, deletion.MOST
                )  # what has come meanwhile may hold some back
                self.removed.events += deletion.remove(connection, self._database, found.keys)
        self._after = found.goes_on_from
        return found.last is not None

    def _let_texts_go(self) -> bool:
        if self._texts is None:
            with self._database.reading() as connection:
                self._texts = deletion.unused_texts(connection)
        self._texts = [(texts, keys) for texts, keys in self._texts if keys]
        if not self._texts:
            return False
        texts, keys = self._texts[0]
        with self._database.writing(alone=True) as connection:
            self.removed.texts += deletion.remove_texts(connection, texts, keys[:TEXTS])
        del keys[:TEXTS]
        return True
