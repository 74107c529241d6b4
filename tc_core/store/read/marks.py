"""`workflow_start` and `workflow_end`: what the one event of a run stands for, made when it is asked for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter

from tc_core.model.event import TrackingEvent
from tc_core.model.ports import Filters
from tc_core.store.read.filters import as_list

MARKS = frozenset({"workflow_start", "workflow_end"})
"""Event types that are not stored, except by who saves such an event by hand."""

Query = Callable[[Filters, datetime | None, datetime | None], list[TrackingEvent]]


def are_asked_for(filters: Filters) -> bool:
    """Tell whether a question names the marks of workflows."""
    return bool(MARKS.intersection(as_list(filters.get("event_type"))))


def with_marks(filters: Filters, start: datetime | None, end: datetime | None, query: Query) -> list[TrackingEvent]:
    """Return the events that match and the marks among them, in order of time; `query` answers of what is stored."""
    wanted = set(as_list(filters["event_type"]))
    made = [
        mark
        for event in query({**filters, "event_type": "workflow"}, None, end)
        for mark in marks(event)
        if mark.event_type in wanted and _lies_in(mark, start, end)
    ]
    return sorted([*query(filters, start, end), *made], key=attrgetter("timestamp"))


def marks(event: TrackingEvent) -> list[TrackingEvent]:
    """Return the start of a run and, once it has ended, its end; both have its id."""
    found = [replace(event, event_type="workflow_start", status="ok", error_type=None, latency_ms=None)]
    if event.status != "open":
        found.append(replace(event, event_type="workflow_end", timestamp=ended(event)))
    return found


def ended(event: TrackingEvent) -> datetime:
    """Return when an event ended."""
    return event.timestamp + timedelta(milliseconds=event.latency_ms or 0)


def _lies_in(event: TrackingEvent, start: datetime | None, end: datetime | None) -> bool:
    at = event.timestamp
    return (start is None or at >= start.astimezone()) and (end is None or at < end.astimezone())
