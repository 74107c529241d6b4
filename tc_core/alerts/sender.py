"""Sending what is in the outbox, on a thread of its own: at least once, whoever of several processes does it."""

import time
from collections.abc import Callable

from tc_core.alerts import outbox_sql
from tc_core.alerts.channels import Channels, send
from tc_core.alerts.outbox import (
    ABANDONED_SECONDS,
    GIVE_UP_SECONDS,
    LEASE_SECONDS,
    Notice,
    again_in,
    home,
)
from tc_core.alerts.outbox_sql import Due
from tc_core.record.guard import failure_of
from tc_core.store.engine.database import Database

CONTENDED_SECONDS = 0.01
MOST_REST_SECONDS = 60.0
"""After so long a channel that fails is tried again at the latest, if something is due on it."""


def now_us() -> int:
    """Return the real time, which no test sets: leases are between processes."""
    return time.time_ns() // 1000


class Sender:
    """Sends one thing after the other; a channel that fails rests for a while, so that it holds up no other one."""

    def __init__(self, database: Callable[[], Database | None], channels: Channels) -> None:
        self._database, self._channels = database, channels
        self._resting: dict[str, tuple[int, int]] = {}
        """How often in a row a channel has failed, and until when it rests."""

    def step(self) -> float | None:
        """Send what is due first; return in how many seconds there is more to do, None where nothing waits."""
        database = self._database()
        if database is None:
            return None
        known = self._channels.current()
        wait = self._wait(database, list(known))
        if wait != 0.0:  # most often nothing is due: that is found without a turn to write
            return wait
        due = self._claim(database, self._awake(list(known)))
        if due is None:  # another process was faster
            return CONTENDED_SECONDS
        began = now_us()
        problems: list[str | None] = []
        error = failure_of(
            f"send an alert over {due.channel}",
            lambda: problems.append(send(known[due.channel], Notice(due.id, due.body))),
        )
        database = self._database()
        if database is None:  # it was closed while this hung: whoever opens it sends again, once the lease is over
            return None
        self._note(database, due, began, problems[0] if error is None else type(error).__name__)
        return 0.0

    def _awake(self, channels: list[str]) -> list[str]:
        now = now_us()
        return [name for name in channels if self._resting.get(name, (0, 0))[1] <= now]

    def _claim(self, database: Database, channels: list[str]) -> Due | None:
        now = now_us()
        lease, abandoned = int(LEASE_SECONDS * 1e6), now - int(ABANDONED_SECONDS * 1e6)
        return database.transact(
            lambda connection: outbox_sql.claim(connection, channels, home(), now, lease, abandoned)
        )

    def _wait(self, database: Database, channels: list[str]) -> float | None:
        """Return in how many seconds something is to be sent; what a resting channel has, when it has rested."""
        now = now_us()
        with database.reading() as connection:
            due = outbox_sql.due_by_channel(connection, channels, home(), now - int(ABANDONED_SECONDS * 1e6))
        moments = [max(at_us, self._resting.get(channel, (0, 0))[1]) for channel, at_us in due.items()]
        return max(min(moments) - now, 0) / 1e6 if moments else None

    def _note(self, database: Database, due: Due, began: int, fault: str | None) -> None:
        ended = now_us()
        again: int | None = None
        if fault is None:
            self._resting.pop(due.channel, None)
        else:
            failed = self._resting.get(due.channel, (0, 0))[0] + 1
            rests = min(again_in(failed), MOST_REST_SECONDS)
            self._resting[due.channel] = (failed, ended + int(rests * 1e6))
            if ended - due.made_us < GIVE_UP_SECONDS * 1e6:
                again = ended + int(again_in(due.attempts) * 1e6)
        took = ended - began
        database.transact(lambda connection: outbox_sql.note_delivery(connection, due.key, began, took, fault, again))
