"""Recording a call by hand: what trackers of all branches do alike."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from tc_core.meter import prices
from tc_core.model import ids, money
from tc_core.model.clock import clock
from tc_core.model.event import (
    STATUSES,
    EventRecord,
    Status,
    TrackingEvent,
    check_latency,
    check_moment,
    check_text,
    to_us,
)
from tc_core.model.usage import Usage, whole_usage
from tc_core.record import context
from tc_core.runtime.recorders import recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class CostRecord:
    """One recorded call: cost in US dollars, None when its model has no known price."""

    event_id: str
    model: str
    cost: float | None
    cost_exact: Decimal | None
    input_tokens: int
    output_tokens: int
    usage_source: str
    price_source: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `cost_nanos` is the exact cost."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "cost_exact"}
        plain["cost_nanos"] = None if self.cost_exact is None else money.to_nanos(self.cost_exact)
        return plain


def record_call(
    storage: StorageBackend,
    model: str,
    usage: Usage,
    *,
    provider: str | None,
    event_id: str | None,
    parent_id: str | None,
    timestamp: datetime | None,
    metadata: Mapping[str, Any] | None,
    latency_ms: float | None,
    status: str,
    labels: Mapping[str, object],
) -> CostRecord:
    """Record one call; the very next question sees it, in any thread. See `CostTracker.track_call`."""
    usage = whole_usage(usage)
    check_text("model", model)
    if isinstance(storage, SqlStore):
        storage.check_writable()
    recorder = recorder_for(storage)
    known = None if event_id is None else storage.get_event(event_id)
    moment = known.timestamp if known is not None and timestamp is None else timestamp
    record = EventRecord(
        id=ids.new_id() if event_id is None else ids.from_text(event_id),
        event_type="llm_call",
        at_us=clock.wall_ns() // 1000 if moment is None else to_us(check_moment(moment)),
        parent_id=None if parent_id is None else ids.from_text(parent_id),
        model=model,
        provider=provider,
        status=_status(status),
        latency_us=None if latency_ms is None else round(check_latency(latency_ms) * 1000),
        usage=usage,
        usage_source="provider",
        metadata=copy.deepcopy(metadata) if metadata else None,  # what the caller changes later is not meant
        external_id=_external(event_id),
        parent_external_id=_external(parent_id),
    )
    price = prices.price_of(usage, model, provider=provider, at_us=record.at_us)
    if price is not None:
        record.cost_nanos, record.price_source, record.price_date, record.charges_nanos = price
    call = recorder.place(record, labels)
    by_hand = context.reserved.get()
    if by_hand is not None and by_hand.recorder is recorder and known is None:
        by_hand.hand_over(record.id)
    if event_id is None:
        recorder.add(call)
    else:
        _save(storage, record.to_event(), known)
    return _cost_record(record, usage)


def _save(storage: StorageBackend, event: TrackingEvent, known: TrackingEvent | None) -> None:
    """Save an event with an id of the user's own; a backend of the user's own need not know what is saved twice."""
    if known is None or isinstance(storage, SqlStore) or known.status in ("open", "abandoned"):
        storage.save_event(event)
    elif known != event:
        raise ValueError(f"event {event.event_id!r} is already recorded with other facts")


def _cost_record(record: EventRecord, usage: Usage) -> CostRecord:
    nanos = record.cost_nanos
    return CostRecord(
        event_id=record.external_id or ids.to_text(record.id),
        model=record.model or "",
        cost=None if nanos is None else money.to_dollars(nanos),
        cost_exact=None if nanos is None else money.to_decimal(nanos),
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        usage_source="provider",
        price_source=record.price_source,
    )


def _external(event_id: str | None) -> str | None:
    return event_id if event_id is not None and ids.is_external(event_id) else None


def _status(status: str) -> Status:
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")
    return cast("Status", status)
