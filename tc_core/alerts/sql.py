"""What alerts read and write. All of a change is one transaction: the state, the alert, and what is to be sent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, true, update

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


class Due(NamedTuple):
    """Something that is to be sent now, by whoever has the lease."""

    key: int
    id: str
    channel: str
    body: bytes
    attempts: int
    made_us: int


class Delivery(NamedTuple):
    """One attempt to send an alert; `fault` is None where it arrived."""

    alert_id: str
    channel: str
    at_us: int
    took_us: int
    fault: str | None


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


def forget_states(connection: Connection, before_us: int) -> None:
    """Take away what rules remember of keys that have been quiet for long."""
    is_old = or_(_STATE.c.told_us.is_(None), _STATE.c.told_us < before_us)
    connection.execute(delete(_STATE).where(_STATE.c.is_firing == 0, is_old))


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


# The outbox


def post(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put into the outbox what is not in it yet, by its id."""
    for row in rows:
        known = connection.execute(select(_OUTBOX.c.key).where(_OUTBOX.c.id == row["id"])).first()
        if known is None:
            connection.execute(insert(_OUTBOX).values(row))


def _is_ours(channels: Sequence[str], home: str, abandoned_before_us: int) -> Any:
    """Tell what a process may send: what it has a notifier for; what only its own process has, for a while."""
    is_here = or_(_OUTBOX.c.home.in_(("", home)), _OUTBOX.c.made_us < abandoned_before_us)
    return and_(_OUTBOX.c.ended_us.is_(None), _OUTBOX.c.channel.in_(list(channels)), is_here)


def claim(
    connection: Connection, channels: Sequence[str], home: str, now_us: int, lease_us: int, abandoned_before_us: int
) -> Due | None:
    """Take what is due first, for as long as a lease is; None where nothing is due."""
    columns = (_OUTBOX.c.key, _OUTBOX.c.id, _OUTBOX.c.channel, _OUTBOX.c.body, _OUTBOX.c.attempts, _OUTBOX.c.made_us)
    wanted = and_(
        _is_ours(channels, home, abandoned_before_us), _OUTBOX.c.due_us <= now_us, _OUTBOX.c.lease_us <= now_us
    )
    question = select(*columns).where(wanted).order_by(_OUTBOX.c.due_us, _OUTBOX.c.key).limit(1)
    row = connection.execute(question.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    taken = update(_OUTBOX).where(_OUTBOX.c.key == row.key)
    connection.execute(taken.values(lease_us=now_us + lease_us, attempts=row.attempts + 1))
    return Due(row.key, row.id, row.channel, bytes(row.body), row.attempts + 1, row.made_us)


def due_by_channel(
    connection: Connection, channels: Sequence[str], home: str, abandoned_before_us: int
) -> dict[str, int]:
    """Return when something is due next on each channel on which something waits."""
    later = case((_OUTBOX.c.due_us > _OUTBOX.c.lease_us, _OUTBOX.c.due_us), else_=_OUTBOX.c.lease_us)
    question = select(_OUTBOX.c.channel, func.min(later)).where(_is_ours(channels, home, abandoned_before_us))
    return {channel: due_us for channel, due_us in connection.execute(question.group_by(_OUTBOX.c.channel))}  # noqa: C416  # rows are no pairs to mypy


def note_delivery(
    connection: Connection, key: int, at_us: int, took_us: int, fault: str | None, due_us: int | None
) -> None:
    """Note what came of an attempt; `due_us` is when to try again, None for never."""
    delivery = {"outbox": key, "at_us": at_us, "took_us": took_us, "fault": fault}
    connection.execute(insert(_DELIVERY).values(delivery))
    row: dict[str, Any] = {"lease_us": 0, "due_us": due_us or 0}
    if due_us is None:
        row |= {"ended_us": at_us + took_us, "is_delivered": int(fault is None)}
    connection.execute(update(_OUTBOX).where(_OUTBOX.c.key == key).values(row))


def waiting(connection: Connection) -> list[tuple[str, int, int]]:
    """Return the channels with something that waits: how much, and since when."""
    question = select(_OUTBOX.c.channel, func.count(), func.min(_OUTBOX.c.made_us))
    found = connection.execute(
        question.where(_OUTBOX.c.ended_us.is_(None)).group_by(_OUTBOX.c.channel).order_by(_OUTBOX.c.channel)
    )
    return [(channel, count, since) for channel, count, since in found]


def is_waiting(connection: Connection, alert_id: str, channels: Sequence[str]) -> bool:
    """Tell whether something of an alert is still to be sent over one of these channels."""
    of_alert = _OUTBOX.c.alert == select(_ALERT.c.key).where(_ALERT.c.id == alert_id).scalar_subquery()
    wanted = and_(of_alert, _OUTBOX.c.ended_us.is_(None), _OUTBOX.c.channel.in_(list(channels)))
    return connection.execute(select(_OUTBOX.c.key).where(wanted).limit(1)).first() is not None


def deliveries(connection: Connection, alert_ids: Sequence[str]) -> list[Delivery]:
    """Return the attempts to send some alerts, the oldest first."""
    columns = (_ALERT.c.id, _OUTBOX.c.channel, _DELIVERY.c.at_us, _DELIVERY.c.took_us, _DELIVERY.c.fault)
    joined = _DELIVERY.join(_OUTBOX, _OUTBOX.c.key == _DELIVERY.c.outbox).join(_ALERT, _ALERT.c.key == _OUTBOX.c.alert)
    question = select(*columns).select_from(joined).where(_ALERT.c.id.in_(list(alert_ids)))
    return [Delivery(*row) for row in connection.execute(question.order_by(_DELIVERY.c.at_us, _DELIVERY.c.key))]


def last_fault(connection: Connection, channel: str) -> str | None:
    """Return what went wrong last over a channel, None where the last attempt arrived."""
    question = select(_DELIVERY.c.fault).join(_OUTBOX, _OUTBOX.c.key == _DELIVERY.c.outbox)
    question = question.where(_OUTBOX.c.channel == channel).order_by(_DELIVERY.c.key.desc()).limit(1)
    found: str | None = connection.execute(question).scalar()
    return found
