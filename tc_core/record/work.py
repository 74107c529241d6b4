"""A batch in the making: what was queued becomes what the store writes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tc_core.model.event import EventRecord
from tc_core.model.ports import Batch, SpoolMark
from tc_core.record.guard import attempt_each, faults
from tc_core.record.pending import Item, LooseLink, PendingEvent


@dataclass(slots=True)
class Work:
    """Items on their way to the store, kept until that has them."""

    items: list[Item]
    batch: Batch
    mark: SpoolMark | None


def prepare(items: list[Item], steps: Iterable[Callable[[Any], object]]) -> Work:
    """Complete the records of items by steps, and put before each what it hangs under and the store lacks."""
    batch, steps = Batch(faults=faults.take()), tuple(steps)
    records = batch.records
    included = {item.record.id for item in items if isinstance(item, PendingEvent)}
    for item in items:
        if isinstance(item, LooseLink):
            batch.links.append(item.link)
            continue
        record, above = item.record, item.parent
        attempt_each(steps, item)
        if above is not None and not above.is_written:
            for ancestor in reversed(unwritten_ancestors(item)):
                if ancestor.record.id not in included:
                    included.add(ancestor.record.id)
                    records.append(as_open(ancestor.record))
        records.append(record)
        if item.links:
            batch.links.extend(item.links)
        if item.attempts:
            batch.attempts.extend((record.id, attempt) for attempt in item.attempts)
    marks = [item.spooled for item in items if item.spooled is not None]
    return Work(items, batch, marks[-1] if marks else None)


def let_go_of_texts(item: Item) -> None:
    """Hold the texts of an item no longer, for which there is no room."""
    if isinstance(item, PendingEvent) and (item.content is not None or item.output is not None):
        if item.has_texts:
            faults.note("texts: let go, the store is too slow")
        item.let_go_of_texts()


def unwritten_ancestors(call: PendingEvent) -> list[PendingEvent]:
    """Return what a run hangs under and the store has no row of, the nearest first."""
    ancestors = []
    above = call.parent
    while above is not None and not above.is_written:
        ancestors.append(above)
        above = above.parent
    return ancestors


def as_open(record: EventRecord) -> EventRecord:
    """Return the record as it was at its start; its end may be on its way from another thread."""
    return replace(record, status="open", error_type=None, latency_us=None, usage=None, usage_source=None)
