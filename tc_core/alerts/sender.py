"""Sending what is in the outbox, on a thread of its own: at least once, whoever of several processes does it."""

import time
from collections.abc import Callable

from tc_core.alerts import sql
from tc_core.alerts.channels import Channels, send
from tc_core.alerts.outbox import (
    ABANDONED_SECONDS,
    GIVE_UP_SECONDS,
    LEASE_SECONDS,
    Notice,
    again_in,
    home,
)
from tc_core.alerts.sql import Due
from tc_core.record.guard import failure_of
from tc_core.store.engine.database import Database


def now_us() -> int:
    """Return the real time, which no test sets: leases are between processes."""
    return time.time_ns() // 1000


class Sender:
    """Sends one thing after the other."""

    def __init__(self, database: Callable[[], Database | None], channels: Channels) -> None:
        self._database, self._channels = database, channels

    def step(self) -> float | None:
        """Send what is due first; return in how many seconds there is more to do, None where nothing waits."""
        database = self._database()
        if database is None:
            return None
        known = self._channels.current()
        due = self._claim(database, list(known))
        if due is None:
            return self._next(database, list(known))
        began = now_us()
        problems: list[str | None] = []
        error = failure_of(
            f"send an alert over {due.channel}",
            lambda: problems.append(send(known[due.channel], Notice(due.id, due.body))),
        )
        fault = problems[0] if error is None else type(error).__name__
        self._note(database, due, began, fault)
        return 0.0

    def _claim(self, database: Database, channels: list[str]) -> Due | None:
        if self._next(database, channels) != 0.0:  # most often nothing waits: that is found without a turn to write
            return None
        now = now_us()
        lease, abandoned = int(LEASE_SECONDS * 1e6), now - int(ABANDONED_SECONDS * 1e6)
        return database.transact(lambda connection: sql.claim(connection, channels, home(), now, lease, abandoned))

    def _next(self, database: Database, channels: list[str]) -> float | None:
        now = now_us()
        with database.reading() as connection:
            due = sql.next_due_us(connection, channels, home(), now - int(ABANDONED_SECONDS * 1e6))
        return None if due is None else max(due - now, 0) / 1e6

    def _note(self, database: Database, due: Due, began: int, fault: str | None) -> None:
        ended = now_us()
        again: int | None = None
        if fault is not None and ended - due.made_us < GIVE_UP_SECONDS * 1e6:
            again = ended + int(again_in(due.attempts) * 1e6)
        took = ended - began
        database.transact(lambda connection: sql.note_delivery(connection, due.key, began, took, fault, again))
