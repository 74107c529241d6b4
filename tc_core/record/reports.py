"""The first step: from what a provider's answer reports to tokens, charges, tier and billed cost of its call."""

from collections.abc import Sequence
from itertools import zip_longest

from tc_core.meter import usage
from tc_core.meter.usage import Reading
from tc_core.model.attempt import answered
from tc_core.model.event import MOST_CHARGES, EventRecord
from tc_core.model.usage import Report, Usage
from tc_core.record.guard import faults
from tc_core.record.pending import PendingEvent

CACHE_REASON = "cache_reason"
"""Where in an event's metadata lies why the provider says that its prompt cache was missed."""

BILLED = "billed"
"""The price source of a cost that the provider states itself."""


def read_reports(call: PendingEvent) -> None:
    """Read what the answer reports, or where the host hands over none, what the answers to its HTTP requests do."""
    record, part = call.record, call.report
    if part is None and not call.attempt_reports:
        return
    of_attempts = _of_attempts(call)
    if part is not None:
        reading = _read(part, record)
        if reading is None:
            record.usage = record.usage_source = None
        else:
            _apply([reading], call)
    elif record.usage is None and of_attempts is not None:
        _apply(of_attempts, call)
    call.report = None
    call.attempt_reports = ()


def _of_attempts(call: PendingEvent) -> list[Reading] | None:
    """Read the answers to all requests of a call; None unless all that were answered report something."""
    readings = [None if part is None else _read(part, call.record) for part in call.attempt_reports]
    call.attempts = [
        each
        if reading is None
        else each._replace(input_tokens=reading.usage.input_tokens, output_tokens=reading.usage.output_tokens)
        for each, reading in zip_longest(call.attempts, readings)
    ]
    found = [reading for each, reading in zip(call.attempts, readings, strict=False) if answered(each)]
    whole = [reading for reading in found if reading is not None]
    return whole if whole and len(whole) == len(found) else None


def _read(part: Report, record: EventRecord) -> Reading | None:
    reading = usage.read(
        part,
        provider=record.provider,
        model=record.served_model or record.model,
        is_embedding=record.event_type == "embedding",
    )
    for fault in () if reading is None else reading.faults:
        faults.note(f"usage: {fault}")
    return reading


def _apply(readings: Sequence[Reading], call: PendingEvent) -> None:
    record, last = call.record, readings[-1]
    counts = [reading.usage for reading in readings]
    total = counts[0] if len(counts) == 1 else Usage(*map(_sum, zip(*counts, strict=True)))
    if all(reading.is_whole for reading in readings):
        record.usage, record.usage_source = total, "provider"
    else:
        record.usage = record.usage_source = None
        call.known = total
    record.charges = _charges(readings) or None
    if last.cache_reason is not None:
        record.metadata = {**(record.metadata or {}), CACHE_REASON: last.cache_reason}
    if record.service_tier is None:
        record.service_tier = last.service_tier
    if last.model is not None and record.served_model is None and last.model != record.model:
        record.served_model = last.model
        if record.model is None:
            record.model, record.served_model = last.model, None
    bills = [reading.billed_nanos for reading in readings if reading.billed_nanos is not None]
    if len(bills) == len(readings) and record.cost_nanos is None:
        record.cost_nanos, record.price_source = sum(bills), BILLED


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _charges(readings: Sequence[Reading]) -> dict[str, int | float]:
    """Add up what is charged beside plain tokens, with what other models did and where it was bound to run."""
    total: dict[str, int | float] = {}
    for reading in readings:
        found = dict(reading.charges)
        for model, counts in reading.by_other_models:
            found |= {f"{model}/{name}": count for name, count in zip(Usage._fields, counts, strict=True) if count}
        if reading.inference_geo is not None:
            found[f"inference_geo_{reading.inference_geo}"] = 1
        for kind, count in found.items():
            total[kind] = total.get(kind, 0) + count
    if len(total) > MOST_CHARGES:
        faults.note("usage: more kinds of charges than any call has")
        return dict(list(total.items())[:MOST_CHARGES])
    return total
