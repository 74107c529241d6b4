"""What alerts add to recording: rules hear of events after their commit, and now and then ask the store.

Functions and kinds about single calls are asked on the listeners' thread, kinds about the store on a thread of our own,
and notifications are sent on a third one: none of them holds up the others, or a call.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from tc_core import settings
from tc_core.alerts import outbox_sql, sql
from tc_core.alerts.channels import Channels
from tc_core.alerts.checks import NAME, examine
from tc_core.alerts.conditions import FunctionCondition
from tc_core.alerts.firing import Firing
from tc_core.alerts.outbox import GIVE_UP_SECONDS
from tc_core.alerts.rules import Alert, AlertRule, Condition, Signal
from tc_core.alerts.sender import Sender, now_us
from tc_core.alerts.worker import Worker
from tc_core.errors import ConfigurationError
from tc_core.model.clock import clock
from tc_core.model.event import TrackingEvent
from tc_core.model.part import Finding, Part
from tc_core.model.patience import left
from tc_core.record.guard import contained
from tc_core.runtime.recorders import parts, recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.engine.database import Database
from tc_core.store.sql import SqlStore

log = logging.getLogger("tc_core")

LOOK_SECONDS = 60.0
"""So often rules about the store are asked where nothing is recorded."""
LEAST_SECONDS = 1.0
"""So often at most while events come."""
IDLE_SECONDS = 600.0
"""So often it is looked for what dead processes have left to be sent, where there are no rules."""
END_SECONDS = 2.0
"""So long the end of a program waits for what is to be sent at once; the rest is sent by whoever comes next."""
KEPT_DAYS = 30
ASK_AGAIN_SECONDS = 0.02


def part(store: StorageBackend) -> Part | None:
    """Return what alerts add to the recording into a store; None where it has no place for them."""
    if not isinstance(store, SqlStore) or store.read_only:
        return None
    live = _lives[store.identity] = Live(store)
    return live.part


def live_of(store: SqlStore) -> "Live":
    """Return the alerts of a store, the same for all of one process; those of one that is only read fire nothing."""
    parts(store)
    found = _lives.get(store.identity)
    if found is None:
        found = _lives[store.identity] = Live(store)
    return found


_lives: "weakref.WeakValueDictionary[str, Live]" = weakref.WeakValueDictionary()


class Live:
    """The rules of one store in this process, and the threads that ask and send."""

    def __init__(self, store: SqlStore) -> None:
        reference = weakref.ref(store)
        self._store: Callable[[], SqlStore | None] = reference if store.is_in_memory else lambda: store
        self.channels = Channels()
        self._rules: Mapping[str, tuple[AlertRule, Condition]] = {}
        self.faults: dict[str, str] = {}
        """What is wrong with rules of the settings, by their names."""
        self._changing = threading.RLock()
        self._looked_at = float("-inf")
        self._looked: dict[str, float] = {}
        self._firing: dict[str, set[str]] = {}
        """The keys that rules fire for, as far as is known here."""
        self._is_hurried = False
        self._forgot_on: int | None = None
        self.sender = Worker("token-calculator-sender", Sender(self._database, self.channels).step)
        self.asker = Worker("token-calculator-alerts", self._look_when_due)
        store.before_close.append(self.finish)
        self.part = Part(name=NAME, chore=self.chore, checks=self.checks)
        self._declared = settings.load().alerts.rules
        if self._declared:
            self.part.listen = self.listen

    @property
    def rules(self) -> Mapping[str, tuple[AlertRule, Condition]]:
        """The rules by their names; those of the settings are made at the first use, once all parts are."""
        if self._declared:
            with self._changing:
                store, declared, self._declared = self._store(), self._declared, ()
                if store is not None:
                    for said in declared:
                        self._declare(said, store)
        return self._rules

    def _declare(self, said: settings.AlertRule, store: SqlStore) -> None:
        """Take a rule of the settings; what is wrong with one costs that one, and no recording."""
        try:
            rule = AlertRule.of(said)
            self._rules = {**self._rules, said.name: (rule, self._made(rule, store))}
        except (ConfigurationError, ValueError) as error:
            self.faults[said.name] = str(error)
            log.warning("token-calculator: %s", error)

    def add(self, rule: AlertRule) -> None:
        """Ask a rule from now on, in place of the one of that name."""
        store = self._store()
        if store is None:
            return
        _ = self.rules  # those of the settings come first
        made = self._made(rule, store)
        with self._changing:
            self._rules = {**self._rules, rule.name: (rule, made)}
        recorder_for(store).writer.listeners.add(self.listen)

    def _made(self, rule: AlertRule, store: SqlStore) -> Condition:
        if not isinstance(rule.condition, settings.AlertRule):
            return FunctionCondition(rule)
        from tc_core.alerts.kinds import registry  # much of the package, for those who have such a rule

        kinds: dict[str, Any] = {}
        if rule.condition.type not in registry.KINDS:  # others are made while this part is
            for each in parts(store):
                kinds.update(each.rule_kinds)
        return registry.make(rule.condition, store, kinds)

    # Asking

    def listen(self, events: Sequence[TrackingEvent]) -> None:
        """Ask the rules about events that are in the store; on the listeners' thread."""
        ended = [event for event in events if event.status != "open"]
        if ended:
            self.see(ended)
            self.asker.wake()

    def see(self, events: Sequence[TrackingEvent], *, at_us: int | None = None) -> list[Alert]:
        """Ask the rules about events; `at_us` is when that counts as, by default when each event was over."""
        fired = []
        for rule, condition in list(self.rules.values()):
            with contained(f"alert rule {rule.name!r}"):
                signals = list(condition.see(events))
                if at_us is not None:
                    signals = [signal._replace(at_us=at_us) for signal in signals]
                fired += self._take(rule, condition, signals)
        return fired

    def look(self, *, at_once: bool = False) -> list[Alert]:
        """Ask the rules about the store, those that take long not too often, unless it is to be at once."""
        database = self._database()
        if database is None or not self.rules:
            return []
        with database.reading() as connection:
            self._firing = {rule: set(keys) for rule, keys in sql.firing(connection).items()}
        fired = []
        for rule, condition in self._due(at_once=at_once or self._is_hurried):
            with contained(f"alert rule {rule.name!r}"):
                firing = frozenset(self._firing.get(rule.name, ()))
                fired += self._take(rule, condition, list(condition.look(firing)))
        return fired

    def _due(self, *, at_once: bool) -> list[tuple[AlertRule, Condition]]:
        """Return the rules that may ask the store again by now; what takes long is asked less often."""
        now, found = time.monotonic(), []
        for rule, condition in list(self.rules.values()):
            if at_once or now - self._looked.get(rule.name, float("-inf")) >= condition.every_seconds:
                self._looked[rule.name] = now
                found.append((rule, condition))
        return found

    def _take(self, rule: AlertRule, condition: Condition, signals: Sequence[Signal]) -> list[Alert]:
        """Fire what has been seen; that something is quiet matters only where it was not, which costs no question."""
        database, known = self._database(), self._firing.setdefault(rule.name, set())
        wanted = []
        for signal in signals:
            if signal.is_on:
                known.add(signal.key)
            if signal.is_on or signal.key in known:
                wanted.append(signal)
            if not signal.is_on:
                known.discard(signal.key)
        if database is None or not wanted:
            return []
        fired = Firing(database, self.channels.local).take(rule, condition, wanted)
        if fired or any(not signal.is_on for signal in wanted):  # what is over is told as well
            self.sender.wake()
        return fired

    def _look_when_due(self) -> float | None:
        wait = self._looked_at + LEAST_SECONDS - time.monotonic()
        if wait > 0 and not self._is_hurried:
            return wait
        self._looked_at = time.monotonic()
        self.look()
        return None

    def chore(self) -> float:
        """Have rules asked about the store, and what waits sent: elsewhere, since this is the writer's thread."""
        database = self._database()
        if database is None:
            return IDLE_SECONDS
        with database.reading() as connection:
            is_waiting = bool(outbox_sql.waiting(connection))
        if is_waiting:
            self.sender.wake()
        if self.rules:
            self.asker.wake()
        self._forget(database)
        return LOOK_SECONDS if self.rules or is_waiting else IDLE_SECONDS

    def _forget(self, database: Database) -> None:
        """Once a day: let go of what rules remember of quiet keys, of old deliveries, and of what nobody can send."""
        today = clock.wall_ns() // 86_400_000_000_000
        if self._forgot_on == today:
            return
        self._forgot_on = today
        kept_us = (today - KEPT_DAYS) * 86_400_000_000
        with database.reading() as connection:
            if not sql.is_any(connection):
                return
        database.transact(lambda connection: sql.forget(connection, kept_us, now_us() - int(GIVE_UP_SECONDS * 1e6)))

    # Its life

    def flush(self, timeout: float) -> bool:
        """Return once rules were asked about all that is recorded, and all is sent; False after a while."""
        store, deadline = self._store(), time.monotonic() + timeout
        if store is None:
            return True
        recorder = recorder_for(store)
        is_heard = recorder.drain(timeout) and recorder.writer.listeners.wait(deadline - time.monotonic())
        self._is_hurried = True
        try:
            is_asked = not self.rules or self.asker.wait(deadline - time.monotonic())
        finally:
            self._is_hurried = False
        known = self.channels.current()
        is_sent = self.wait_until(
            lambda connection: not any(channel in known for channel, _, _ in outbox_sql.waiting(connection)), deadline
        )
        return is_heard and is_asked and is_sent

    def wait_until(self, is_sent: Callable[[Connection], bool], deadline: float) -> bool:
        """Have sent what is due until something is; another process may be sending it, so the store is asked again."""
        database = self._database()
        while database is not None:
            self.sender.wait(max(deadline - time.monotonic(), 0.0))
            with database.reading() as connection:
                if is_sent(connection):
                    return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(ASK_AGAIN_SECONDS)
        return False

    def finish(self) -> None:
        """Ask and send what is due at once, and end the threads; before the store closes."""
        self._is_hurried = True
        try:
            self.asker.finish(left(END_SECONDS))
            self.sender.finish(left(END_SECONDS))
        finally:
            self._is_hurried = False

    def _database(self) -> Database | None:
        """Return the database, None where it is gone, or was closed while this thread hung."""
        if self.sender.is_left_alone or self.asker.is_left_alone:
            return None
        store = self._store()
        return None if store is None else store.database

    def checks(self) -> Iterable[Finding]:
        """Say what the doctor should know."""
        rules = [rule for rule, _ in self.rules.values()]
        return examine(rules, self.faults, self.channels, self._database())
