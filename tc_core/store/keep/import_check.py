"""Taking in events that were recorded elsewhere: new ones are written, known ones compared, others refused."""

from collections.abc import Container, Sequence

from tc_core.model.event import BROKEN_OFF, EventRecord, TrackingEvent, from_us, rank, to_us
from tc_core.model.ports import Batch
from tc_core.model.recorded import Recorded, TakenIn
from tc_core.model.usage import Usage
from tc_core.store.read.query import Reader
from tc_core.store.schema.days import US_PER_DAY

_NO_USAGE = Usage()


def sort_out(reader: Reader, removed_days: Container[int], records: Sequence[Recorded]) -> tuple[TakenIn, Batch]:
    """Tell which records are new here, and return what is to be written of them.

    An event of a day (UTC, counted from 1970) whose details have left the store is refused: the roll-ups may have
    it already.
    """
    taken, fresh = TakenIn(), dict[str, TrackingEvent]()
    attempts = []
    known = reader.by_ids(record.event.event_id for record in records)
    for event, _, requests in records:
        before = fresh.get(event.event_id) or known.get(event.event_id)
        refusal = _refusal(event, before, removed_days)
        if refusal:
            taken.refused.append((event.event_id, refusal))
            continue
        if before is None or _rank(event) > _rank(before):
            fresh[event.event_id] = event
            taken.written += 1
        else:
            taken.unchanged += 1
        attempts.append((event, requests))
    written = [_record(event) for event in fresh.values()]
    of_them = [(EventRecord.from_event(event).id, each) for event, requests in attempts for each in requests]
    return taken, Batch(written, attempts=of_them)


def _refusal(event: TrackingEvent, before: TrackingEvent | None, removed_days: Container[int]) -> str:
    """Say why an event cannot be taken in, or nothing."""
    if before is None:
        day = to_us(event.timestamp) // US_PER_DAY
        if day in removed_days:
            when = f"{from_us(day * US_PER_DAY):%Y-%m-%d}"
            return f"belongs to {when}, whose details have left this store: its sums may have it already"
        return ""
    if before == event or _rank(event) < _rank(before):  # an earlier state of what is known
        return ""
    is_unfinished = before.status == "open" or before.status in BROKEN_OFF
    if is_unfinished and event.status != before.status and _rank(event) > _rank(before):
        return ""
    return "is already recorded with other facts"


def _rank(event: TrackingEvent) -> int:
    return rank(event.status, event.usage_source)


def _record(event: TrackingEvent) -> EventRecord:
    record = EventRecord.from_event(event)
    record.usage = None if event.usage == _NO_USAGE else event.usage  # whatever is said of where it comes from
    return record
