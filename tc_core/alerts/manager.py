"""AlertManager: rules that fire, and who is told."""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from tc_core.alerts import outbox_sql, presets, sql
from tc_core.alerts.checks import budgets_in, without_budget
from tc_core.alerts.live import Live, live_of
from tc_core.alerts.notifiers.function import Function
from tc_core.alerts.outbox import rows
from tc_core.alerts.outbox_sql import Delivery
from tc_core.alerts.rules import Alert, AlertRule
from tc_core.alerts.sender import now_us
from tc_core.alerts.standing import RuleStanding, standings
from tc_core.alerts.words import read_span
from tc_core.errors import ConfigurationError, StorageError
from tc_core.model.clock import clock
from tc_core.model.event import TrackingEvent, check_text, from_us, to_us
from tc_core.model.period import period, zone
from tc_core.runtime.recorders import open_storage
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


class AlertManager:
    """Fires alerts by rules, and has them told.

    `storage` is a store, a path or a URL; without it the default store is used, which everything shares. Rules are
    asked about each event that this process records, on a thread of their own; those of the settings file are asked
    wherever that is recorded. What is fired and what is to be sent lies in the store: of several processes one sends
    it. Raises StorageError for a backend of one's own.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        opened = open_storage(storage)
        if not isinstance(opened, SqlStore):
            raise StorageError(f"{type(opened).__name__} keeps no alerts: use SQLiteStorage or PostgreSQLStorage")
        self.storage = opened

    @property
    def _live(self) -> Live:
        self._held = live_of(self.storage)  # else that of a store which is only read is made anew each time
        return self._held

    # Rules

    def add_alert_rule(self, rule: AlertRule) -> None:
        """Ask a rule about all that is recorded from now on; one of the same name is replaced.

        Raises ConfigurationError for a kind that there is not, StorageError for a store that can only be read.
        """
        if not isinstance(rule, AlertRule):
            raise ValueError(f"rule must be an AlertRule, not {rule!r}")
        self.storage.check_writable()
        self._live.add(rule)

    def add_budget_alert(
        self, threshold: float = 0.8, *, name: str = "budget", budget: str | None = None, **options: Any
    ) -> None:
        """Fire when so large a share of a budget, or of each, is spent; see `AlertRule` for the options."""
        self.add_alert_rule(presets.budget(threshold, name=name, budget=budget, **options))

    def add_cost_spike_alert(self, threshold: float = 2.0, *, name: str = "cost-spike", **options: Any) -> None:
        """Fire when a call costs so many times what calls of its model usually do."""
        self.add_alert_rule(presets.cost_spike(threshold, name=name, **options))

    def add_context_overflow_alert(
        self, threshold: float = 0.9, *, model: str | None = None, name: str = "context-overflow", **options: Any
    ) -> None:
        """Fire when a call fills so large a share of its model's context window."""
        self.add_alert_rule(presets.context_overflow(threshold, model=model, name=name, **options))

    def add_notifier(self, channel: str, notify: Callable[[Alert], object]) -> None:
        """Have a function called with the alerts of rules that name a channel; where it raises, again later."""
        check_text("channel", channel)
        if not callable(notify):
            raise ValueError(f"notify must be a function of an Alert, not {notify!r}")
        self._live.channels.add(channel, Function(channel, notify))

    def standings(self) -> list[RuleStanding]:
        """Return how all rules stand, also those of other programs that have fired."""
        live = self._live
        rules = {name: rule for name, (rule, _) in live.rules.items()}
        faults: dict[str, tuple[str, ...]] = {name: (problem,) for name, problem in live.faults.items()}
        for name, rule in rules.items():
            found = [fault for channel in rule.channels if (fault := live.channels.fault(channel)) is not None]
            faults |= {name: tuple(found)} if found else {}
        with self.storage.question() as connection:
            for name, rule in rules.items():
                found = [*faults.get(name, ()), *without_budget(rule, budgets_in(connection))]
                faults |= {name: tuple(found)} if found else {}
            return standings(connection, rules, faults, clock.wall_ns() // 1000)

    def rules(self) -> list[AlertRule]:
        """Return the rules that are asked in this process."""
        return [rule for rule, _ in self._live.rules.values()]

    # Firing

    def check_alerts(self, event: TrackingEvent) -> list[Alert]:
        """Ask all rules about an event, and return the alerts that it raises; they are told as well.

        What is recorded is asked about anyway. An alert that was fired for this event before is returned, and not told
        again.
        """
        if not isinstance(event, TrackingEvent):
            raise ValueError(f"event must be a TrackingEvent, not {event!r}")  # as all that is wrong here
        self.storage.check_writable()
        live = self._live
        fired = live.see([event], at_us=clock.wall_ns() // 1000) + live.look(at_once=True)
        with self.storage.database.reading() as connection:
            known = [
                found
                for rule in live.rules
                for found in sql.alerts_of_event(connection, rule, event.event_id)
                if found.alert_id not in {each.alert_id for each in fired}
            ]
        return known + fired

    def send_notification(self, alert: Alert, *, timeout: float = 5.0) -> bool:
        """Tell of an alert over the channels of its rule, the console where that is not known here.

        What is told already is not told again. Returns whether all have taken it within `timeout` seconds; what has not
        is tried again by itself.
        """
        self.storage.check_writable()
        live = self._live
        known = live.rules.get(alert.rule)
        channels = ("console",) if known is None else known[0].channels

        def post(connection: Any) -> None:
            key = sql.key_of_alert(connection, alert.alert_id)
            key = sql.add_alert(connection, alert) if key is None else key
            outbox_sql.post(connection, rows(alert, key, channels, live.channels.local, "fired", now_us()))

        self.storage.database.transact(post)
        return live.wait_until(
            lambda connection: not outbox_sql.is_waiting(connection, alert.alert_id, channels),
            time.monotonic() + timeout,
        )

    def flush(self, timeout: float = 5.0) -> bool:
        """Return once rules were asked about all that is recorded, and all is told; False after `timeout` seconds."""
        return self._live.flush(timeout)

    # What has become of them

    def silence(
        self,
        rule: str,
        until: datetime | date | str | timedelta,
        *,
        by: str | None = None,
        why: str | None = None,
        tz: str | tzinfo = "UTC",
    ) -> datetime:
        """Have a rule tell nobody until a moment, a date (its end in `tz`), or for so long (`2h`); return when that is.

        What still holds then is told then. A moment that has passed ends a silence.
        """
        check_text("rule", rule)
        self.storage.check_writable()
        until_us = _moment(until, zone(tz))
        database = self.storage.database
        database.transact(lambda connection: sql.silence(connection, database, rule, until_us, by, why))
        return from_us(until_us)

    def acknowledge(self, alert_id: str, *, by: str | None = None) -> Alert:
        """Note that somebody has seen an alert: it is not told again while it lasts.

        An id may be shortened to its beginning or end. Raises ValueError for one that there is not, or that is several.
        """
        check_text("alert_id", alert_id)
        self.storage.check_writable()

        def do(connection: Any) -> Alert:
            found = sql.alerts_like(connection, alert_id)
            if len(found) != 1:
                said = "there is no alert" if not found else "there are several alerts"
                raise ValueError(f"{said} {alert_id!r}: `token-calc alerts history` shows them")
            sql.mark_acknowledged(connection, found[0].alert_id, clock.wall_ns() // 1000, by)
            return sql.alert_by_id(connection, found[0].alert_id) or found[0]

        return self.storage.database.transact(do)

    def history(
        self, rule: str | None = None, *, since: datetime | date | str | None = None, limit: int = 100
    ) -> list[Alert]:
        """Return the alerts that were fired, the newest first."""
        start = (
            period(since, None).start if isinstance(since, str | date) and not isinstance(since, datetime) else since
        )
        with self.storage.question() as connection:
            return sql.history(connection, rule, None if start is None else to_us(start), limit)

    def deliveries(self, *alert_ids: str) -> list[Delivery]:
        """Return the attempts to send some alerts, the oldest first; `fault` is None for one that arrived."""
        with self.storage.question() as connection:
            return outbox_sql.deliveries(connection, alert_ids)


def _moment(until: datetime | date | str | timedelta, tz: tzinfo) -> int:
    if isinstance(until, str):
        until = read_span(until) or until
    if isinstance(until, timedelta):
        return clock.wall_ns() // 1000 + round(until.total_seconds() * 1e6)
    try:
        found = period(None, until, tz=tz).end
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}, or how long: 30m, 2h or 7d, a year at most") from error
    if found is None:  # nothing at all was given
        raise ValueError(f"until must be a moment, a date or a timedelta, not {until!r}")
    return to_us(found)
