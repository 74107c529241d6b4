"""What alerts add to recording: rules hear of events after their commit, and now and then ask the store.

Functions and kinds about single calls are asked on the listeners' thread, kinds about the store on a thread of our own,
and notifications are sent on a third one: none of them holds up the others, or a call.
"""

import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tc_core import settings
from tc_core.alerts import sql
from tc_core.alerts.channels import Channels
from tc_core.alerts.conditions import FunctionCondition
from tc_core.alerts.firing import Firing
from tc_core.alerts.kinds import registry
from tc_core.alerts.rules import Alert, AlertRule, Condition, Signal
from tc_core.alerts.sender import Sender
from tc_core.alerts.worker import Worker
from tc_core.errors import ConfigurationError
from tc_core.model.clock import clock
from tc_core.model.event import TrackingEvent, from_us
from tc_core.model.part import Finding, Part
from tc_core.model.patience import left
from tc_core.record.guard import contained
from tc_core.runtime.recorders import parts, recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.engine.database import Database
from tc_core.store.sql import SqlStore

log = logging.getLogger("tc_core")

NAME = "alerts"
LOOK_SECONDS = 60.0
"""So often rules about the store are asked where nothing is recorded."""
LEAST_SECONDS = 1.0
"""So often at most while events come."""
IDLE_SECONDS = 600.0
"""So often it is looked for what dead processes have left to be sent, where there are no rules."""
END_SECONDS = 2.0
"""So long the end of a program waits for what is to be sent at once; the rest is sent by whoever comes next."""
KEPT_DAYS = 30


def part(store: StorageBackend) -> Part | None:
    """Return what alerts add to the recording into a store; None where it has no place for them."""
    if not isinstance(store, SqlStore) or store.read_only:
        return None
    live = _lives[store.identity] = Live(store)
    return live.part


def live_of(store: SqlStore) -> "Live":
    """Return the alerts of a store, the same for all of one process; those of one that is only read fire nothing."""
    parts(store)
    return _lives.get(store.identity) or Live(store)


_lives: "weakref.WeakValueDictionary[str, Live]" = weakref.WeakValueDictionary()


class Live:
    """The rules of one store in this process, and the threads that ask and send."""

    def __init__(self, store: SqlStore) -> None:
        reference = weakref.ref(store)
        self._store: Callable[[], SqlStore | None] = reference if store.is_in_memory else lambda: store
        self.channels = Channels()
        self.rules: OrderedDict[str, tuple[AlertRule, Condition]] = OrderedDict()
        self.faults: dict[str, str] = {}
        """What is wrong with rules of the settings, by their names."""
        self._changing = threading.Lock()
        self._looked_at = float("-inf")
        self._is_hurried = False
        self._forgot_on: int | None = None
        self.sender = Worker("token-calculator-sender", Sender(self._database, self.channels).step)
        self.asker = Worker("token-calculator-alerts", self._look_when_due)
        store.before_close.append(self.finish)
        self.part = Part(name=NAME, chore=self.chore, checks=self.checks)
        for said in settings.load().alerts.rules:
            self._declare(said, store)
        if self.rules:
            self.part.listen = self.listen

    def _declare(self, said: settings.AlertRule, store: SqlStore) -> None:
        """Take a rule of the settings; what is wrong with one costs that one, and no recording."""
        try:
            self.rules[said.name] = (AlertRule.of(said), self._made(AlertRule.of(said), store))
        except (ConfigurationError, ValueError) as error:
            self.faults[said.name] = str(error)
            log.warning("token-calculator: %s", error)

    def add(self, rule: AlertRule) -> None:
        """Ask a rule from now on, in place of the one of that name."""
        store = self._store()
        if store is None:
            return
        made = self._made(rule, store)
        with self._changing:
            self.rules = OrderedDict([*self.rules.items(), (rule.name, (rule, made))])
        recorder_for(store).writer.listeners.add(self.listen)

    def _made(self, rule: AlertRule, store: SqlStore) -> Condition:
        if not isinstance(rule.condition, settings.AlertRule):
            return FunctionCondition(rule)
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

    def look(self) -> list[Alert]:
        """Ask the rules about the store."""
        database = self._database()
        if database is None or not self.rules:
            return []
        with database.reading() as connection:
            known = sql.states(connection, list(self.rules))
        fired = []
        for rule, condition in list(self.rules.values()):
            firing = [key for (name, key), state in known.items() if name == rule.name and state.is_firing]
            with contained(f"alert rule {rule.name!r}"):
                fired += self._take(rule, condition, list(condition.look(firing)))
        return fired

    def _take(self, rule: AlertRule, condition: Condition, signals: Sequence[Signal]) -> list[Alert]:
        database = self._database()
        if database is None or not signals:
            return []
        fired = Firing(database, self.channels.local).take(rule, signals, repeats=condition.repeats)
        if fired or any(not signal.is_on for signal in signals):  # what is over is told as well
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
            is_waiting = bool(sql.waiting(connection))
        if is_waiting:
            self.sender.wake()
        if self.rules:
            self.asker.wake()
        self._forget(database)
        return LOOK_SECONDS if self.rules or is_waiting else IDLE_SECONDS

    def _forget(self, database: Database) -> None:
        """Once a day: take away what rules remember of keys that have been quiet for a month."""
        today = clock.wall_ns() // 86_400_000_000_000
        if self.rules and self._forgot_on != today:
            self._forgot_on = today
            before_us = (today - KEPT_DAYS) * 86_400_000_000
            database.transact(lambda connection: sql.forget_states(connection, before_us))

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
        is_sent = self.sender.wait(deadline - time.monotonic())
        with store.database.reading() as connection:
            known = self.channels.current()
            waits = [channel for channel, _, _ in sql.waiting(connection) if channel in known]
        return is_heard and is_asked and is_sent and not waits

    def finish(self) -> None:
        """Ask and send what is due at once, and end the threads; before the store closes."""
        self._is_hurried = True
        try:
            self.asker.finish(left(END_SECONDS))
            self.sender.finish(left(END_SECONDS))
        finally:
            self._is_hurried = False

    def _database(self) -> Database | None:
        store = self._store()
        return None if store is None else store.database

    def checks(self) -> Iterable[Finding]:
        """Say what the doctor should know."""
        for problem in self.faults.values():
            yield Finding("fault", NAME, problem)
        for rule, _ in list(self.rules.values()):
            for channel in rule.channels:
                fault = self.channels.fault(channel)
                if fault is not None:
                    yield Finding("fault", NAME, f"rule {rule.name!r} tells nobody over {channel!r}: {fault}")
        database = self._database()
        if database is None:
            return
        with database.reading() as connection:
            waiting = sql.waiting(connection)
            faults = {channel: sql.last_fault(connection, channel) for channel, _, _ in waiting}
        for channel, count, since_us in waiting:
            why = f", the last attempt: {faults[channel]}" if faults[channel] else ""
            said = f"{count} to be sent over {channel!r} since {from_us(since_us):%Y-%m-%d %H:%M} UTC{why}"
            yield Finding("warning", NAME, said)
        if self.rules:
            yield Finding(
                "ok", NAME, f"{len(self.rules)} rules, {'nothing waits' if not waiting else 'some wait'} to be sent"
            )
