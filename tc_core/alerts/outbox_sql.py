"""What is read and written of the outbox: what is to be sent, by whom, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, insert, or_, select, update

from tc_core.alerts.tables import AlertDeliveryRow, AlertOutboxRow, AlertRow
from tc_core.store.schema.tables import table

_ALERT = table(AlertRow)
_OUTBOX = table(AlertOutboxRow)
_DELIVERY = table(AlertDeliveryRow)


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
