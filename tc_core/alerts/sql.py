"""What alerts read and write. All of a change is one transaction: the state, the alert, and what is to be sent."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, true, update

from tc_core.alerts.rules import Alert
from tc_core.alerts.state import State
from tc_core.alerts.tables import AlertDeliveryRow, AlertOutboxRow, AlertRow, AlertSilenceRow, AlertStateRow
from tc_core.model.event import from_us, to_us
from tc_core.store.engine.database import ConflictError, Database, chunks
from tc_core.store.schema.tables import table

_STATE = table(AlertStateRow)
_ALERT = table(AlertRow)
_SILENCE = table(AlertSilenceRow)
_OUTBOX = table(AlertOutboxRow)
_DELIVERY = table(AlertDeliveryRow)
_STATE_COLUMNS = [_STATE.c[name] for name in State._fields]


# How rules stand


def states(connection: Connection, rule: str, keys: Iterable[str]) -> dict[str, State]:
    """Return how a rule stands for some keys."""
    found: dict[str, State] = {}
    for some in chunks(list(dict.fromkeys(keys))):
        question = select(_STATE.c.key, *_STATE_COLUMNS).where(_STATE.c.rule == rule, _STATE.c.key.in_(some))
        found |= {key: _state(values) for key, *values in connection.execute(question)}
    return found


def state_for_update(connection: Connection, database: Database, rule: str, key: str) -> State:
    """Return how a rule stands for a key, which it is given where it has none; others wait until this commits."""
    values = (rule, key, *map(int, State()[:3]))
    database.insert_missing(connection, "alert_state", ("rule", "key", *State._fields[:3]), [values])
    question = select(*_STATE_COLUMNS).where(_STATE.c.rule == rule, _STATE.c.key == key)
    return _state(connection.execute(question.with_for_update()).one())


def change_state(connection: Connection, rule: str, key: str, before: State, after: State) -> None:
    """Change how a rule stands, if nobody else has; raise ConflictError where somebody was faster."""
    values = {name: int(value) if isinstance(value, bool) else value for name, value in after._asdict().items()}
    place = and_(_STATE.c.rule == rule, _STATE.c.key == key, _STATE.c.version == before.version)
    if connection.execute(update(_STATE).where(place).values(values)).rowcount != 1:
        raise ConflictError(f"rule {rule!r} was changed meanwhile")


def firing(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Return the keys for which rules fire now."""
    question = select(_STATE.c.rule, _STATE.c.key).where(_STATE.c.is_firing == 1).order_by(_STATE.c.rule, _STATE.c.key)
    found: dict[str, tuple[str, ...]] = {}
    for rule, key in connection.execute(question):
        found[rule] = (*found.get(rule, ()), key)
    return found


def fired(connection: Connection) -> dict[str, tuple[int, int, str]]:
    """Return how often rules have fired, when last, and with which severity."""
    question = select(_ALERT.c.rule, func.count(), func.max(_ALERT.c.fired_us), func.max(_ALERT.c.severity))
    return {
        rule: (count, last, severity)
        for rule, count, last, severity in connection.execute(question.group_by(_ALERT.c.rule))
    }


def is_any(connection: Connection) -> bool:
    """Tell whether a rule has ever fired here."""
    return connection.execute(select(_STATE.c.rule).limit(1)).first() is not None


def forget(connection: Connection, before_us: int, given_up_us: int) -> None:
    """Take away what rules remember of keys that are quiet, and deliveries, from before a moment.

    What was to be sent before `given_up_us`, and nobody could, is given up. Alerts stay.
    """
    is_old = or_(_STATE.c.told_us.is_(None), _STATE.c.told_us < before_us)
    connection.execute(delete(_STATE).where(_STATE.c.is_firing == 0, is_old))
    unsent = and_(_OUTBOX.c.ended_us.is_(None), _OUTBOX.c.made_us < given_up_us)
    connection.execute(update(_OUTBOX).where(unsent).values(ended_us=given_up_us))
    old = select(_OUTBOX.c.key).where(_OUTBOX.c.ended_us < before_us)
    connection.execute(delete(_DELIVERY).where(_DELIVERY.c.outbox.in_(old)))
    connection.execute(delete(_OUTBOX).where(_OUTBOX.c.ended_us < before_us))


def _state(values: Sequence[Any]) -> State:
    version, is_firing, is_told, *rest = values
    return State(version, bool(is_firing), bool(is_told), *rest)


# Alerts


def add_alert(connection: Connection, alert: Alert) -> int:
    """Write an alert, and return its key."""
    values = {
        "id": alert.alert_id,
        "rule": alert.rule,
        "severity": alert.severity,
        "message": alert.message,
        "subject": alert.key,
        "event": alert.event_id,
        "value": None if alert.value is None else repr(alert.value),
        "fired_us": to_us(alert.fired_at),
    }
    (key,) = connection.execute(insert(_ALERT).values(values)).inserted_primary_key or (None,)
    return int(key)  # type: ignore[arg-type]  # a database gives one


def alert_of_event(connection: Connection, rule: str, key: str, event_id: str) -> Alert | None:
    """Return the alert that a rule has fired of an event, if any."""
    wanted = and_(_ALERT.c.event == event_id, _ALERT.c.rule == rule, _ALERT.c.subject == key)
    return next(iter(_alerts(connection, wanted, 1)), None)


def alerts_of_event(connection: Connection, rule: str, event_id: str) -> list[Alert]:
    """Return the alerts that a rule has fired of an event, one for each key."""
    return _alerts(connection, and_(_ALERT.c.event == event_id, _ALERT.c.rule == rule), 100)


def alert_by_id(connection: Connection, alert_id: str) -> Alert | None:
    """Return an alert."""
    return next(iter(_alerts(connection, _ALERT.c.id == alert_id, 1)), None)


def alerts_like(connection: Connection, ending: str) -> list[Alert]:
    """Return the alerts whose id begins or ends so, two at most."""
    found = or_(_ALERT.c.id.endswith(ending, autoescape=True), _ALERT.c.id.startswith(ending, autoescape=True))
    return _alerts(connection, found, 2)


def alert_at(connection: Connection, key: int) -> Alert | None:
    """Return the alert of a key."""
    return next(iter(_alerts(connection, _ALERT.c.key == key, 1)), None)


def key_of_alert(connection: Connection, alert_id: str) -> int | None:
    """Return the key of an alert."""
    found: int | None = connection.execute(select(_ALERT.c.key).where(_ALERT.c.id == alert_id)).scalar()
    return found


def history(connection: Connection, rule: str | None, since_us: int | None, limit: int) -> list[Alert]:
    """Return alerts, the newest first."""
    conditions = [] if rule is None else [_ALERT.c.rule == rule]
    conditions += [] if since_us is None else [_ALERT.c.fired_us >= since_us]
    return _alerts(connection, and_(true(), *conditions), limit)


def mark_resolved(connection: Connection, key: int, at_us: int) -> None:
    """Note when what an alert was about was over."""
    connection.execute(update(_ALERT).where(_ALERT.c.key == key).values(resolved_us=at_us))


def mark_acknowledged(connection: Connection, alert_id: str, at_us: int, by: str | None) -> None:
    """Note who has seen an alert."""
    connection.execute(update(_ALERT).where(_ALERT.c.id == alert_id).values(acknowledged_us=at_us, acknowledged_by=by))


def _alerts(connection: Connection, wanted: Any, limit: int) -> list[Alert]:
    question = select(_ALERT).where(wanted).order_by(_ALERT.c.fired_us.desc(), _ALERT.c.key.desc()).limit(limit)
    return [_alert(row) for row in connection.execute(question)]


def _alert(row: Any) -> Alert:
    return Alert(
        rule=row.rule,
        severity=row.severity,
        message=row.message,
        event_id=row.event,
        key=row.subject,
        fired_at=from_us(row.fired_us),
        alert_id=row.id,
        value=None if row.value is None else float(row.value),
        resolved_at=None if row.resolved_us is None else from_us(row.resolved_us),
        acknowledged_at=None if row.acknowledged_us is None else from_us(row.acknowledged_us),
        acknowledged_by=row.acknowledged_by,
    )


# Silence


def silence(
    connection: Connection, database: Database, rule: str, until_us: int, by: str | None, why: str | None
) -> None:
    """Have a rule say nothing until a moment."""
    database.insert_missing(connection, "alert_silence", ("rule", "until_us"), [(rule, until_us)])
    connection.execute(update(_SILENCE).where(_SILENCE.c.rule == rule).values(until_us=until_us, by=by, why=why))


def silences(connection: Connection, now_us: int) -> dict[str, int]:
    """Return until when rules say nothing."""
    question = select(_SILENCE.c.rule, _SILENCE.c.until_us).where(_SILENCE.c.until_us > now_us)
    return {row.rule: row.until_us for row in connection.execute(question)}
