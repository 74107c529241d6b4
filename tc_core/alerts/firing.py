"""From what a condition has seen to an alert: whether it is one, and that it is one only once."""

from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import Connection

from tc_core.alerts import outbox_sql, sql
from tc_core.alerts.outbox import rows
from tc_core.alerts.rules import Alert, AlertRule, Condition, Signal
from tc_core.alerts.sender import now_us
from tc_core.alerts.state import State, Terms, turn
from tc_core.model.clock import clock
from tc_core.model.event import from_us
from tc_core.store.engine.database import Database


class Firing:
    """Decides, with the store, which signals become alerts; several processes agree."""

    def __init__(self, database: Database, own_channels: Iterable[str]) -> None:
        self._database = database
        self._own = frozenset(own_channels)

    def take(self, rule: AlertRule, condition: Condition, signals: Sequence[Signal]) -> list[Alert]:
        """Return the alerts that come of what a rule has seen, each once."""
        if not signals:
            return []
        with self._database.reading() as connection:
            known = sql.states(connection, rule.name, [signal.key for signal in signals])
            silenced = rule.name in sql.silences(connection, _now_us())
        fired = []
        for signal in signals:
            at_us = signal.at_us or _now_us()
            before = known.get(signal.key, State())
            after, outcome = turn(
                before, _terms(rule, repeats=condition.repeats, silenced=silenced), at_us, is_on=signal.is_on
            )
            if after == before and outcome is None:
                continue  # nothing changes, which costs no transaction
            found = self._database.transact(partial(self._decide, rule, condition, signal))
            known[signal.key] = found[0]
            fired += [] if found[1] is None else [found[1]]
        return fired

    def _decide(
        self, rule: AlertRule, condition: Condition, signal: Signal, connection: Connection
    ) -> tuple[State, Alert | None]:
        """In a transaction, with the state as it is then."""
        at_us = signal.at_us or _now_us()
        state = sql.state_for_update(connection, self._database, rule.name, signal.key)
        told = None if state.alert is None else sql.alert_at(connection, state.alert)
        is_silenced = rule.name in sql.silences(connection, _now_us())
        seen = told is not None and told.acknowledged_at is not None
        terms = _terms(rule, repeats=condition.repeats, silenced=is_silenced, acknowledged=seen)
        after, outcome = turn(state, terms, at_us, is_on=signal.is_on)
        alert = None
        if outcome == "fire":
            if signal.event_id and sql.alert_of_event(connection, rule.name, signal.key, signal.event_id):
                return state, None  # it was told of this event before
            alert = Alert(
                rule=rule.name,
                severity=rule.severity,
                message=rule.message or signal.message or rule.name,
                event_id=signal.event_id,
                key=signal.key,
                fired_at=from_us(_now_us()),
                value=signal.value,
            )
            after = after._replace(alert=self._post(connection, rule.channels, alert))
        if outcome == "resolve" and state.alert is not None and told is not None:
            sql.mark_resolved(connection, state.alert, at_us)
            if condition.tells_end:
                over = sql.alert_at(connection, state.alert) or told
                outbox_sql.post(connection, rows(over, state.alert, rule.channels, self._own, "resolved", now_us()))
        if after != state:
            sql.change_state(connection, rule.name, signal.key, state, after)
        return after, alert

    def _post(self, connection: Connection, channels: Sequence[str], alert: Alert) -> int:
        key = sql.add_alert(connection, alert)
        outbox_sql.post(connection, rows(alert, key, channels, self._own, "fired", now_us()))
        return key


def _terms(rule: AlertRule, *, repeats: bool, silenced: bool, acknowledged: bool = False) -> Terms:
    return Terms(int(rule.cooldown * 1e6), repeats, silenced, acknowledged)


def _now_us() -> int:
    return clock.wall_ns() // 1000
