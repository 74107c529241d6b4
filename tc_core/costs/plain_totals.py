"""Sums in plain Python, for backends that have no SQL."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tc_core.costs.zones import TIME_UNITS, name_in_zone
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period
from tc_core.model.ports import EventReader, Filters, GroupKey
from tc_core.model.scope import DIMENSIONS
from tc_core.model.totals import Totals, totals_by


class CallFigures(NamedTuple):
    """What one call took: nano-dollars, None where they are unknown, and microseconds, None where nobody measured."""

    at_us: int
    cost_nanos: int | None
    latency_us: int | None
    is_error: bool


FIELDS = frozenset(
    {
        *DIMENSIONS,
        *("event_id", "parent_id", "root_id", "event_type", "name", "model", "served_model", "provider"),
        *("service_tier", "status", "error_type", "usage_source", "price_source"),
    }
)
"""What can be grouped and filtered by beside labels and time; any other name is a label, also `cost` or `timestamp`."""


class PlainTotals:
    """Answers questions for sums by reading the events; serves any backend with `query_events`."""

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader

    def totals(
        self,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        gaps: Gaps | None = None,
    ) -> dict[GroupKey, Totals]:
        """Return the sums of each group; of such a backend it is not known what it lacks."""
        saved = self._reader.query_events(filters, start_time, end_time)
        events = {event.event_id: event for event in saved}.values()  # the last revision
        all_types = "event_type" in {*group_by, *(filters or {})}
        found = totals_by(events, lambda event: tuple(value_of(event, name) for name in group_by), all_types=all_types)
        found = {key: total for key, total in found.items() if total != Totals()}
        return found if group_by else {(): found.get((), Totals())}

    def each(
        self,
        group_by: Sequence[str],
        filters: Filters,
        period: Period,
        *,
        gaps: Gaps,  # of such a backend it is not known what it lacks
    ) -> Iterator[tuple[GroupKey, CallFigures]]:
        """Yield the figures of each call that has ended, by its values."""
        saved = self._reader.query_events(filters, period.start, period.end)
        for event in {event.event_id: event for event in saved}.values():
            if event.is_call and event.status != "open":
                latency_us = None if event.latency_ms is None else round(event.latency_ms * 1000)
                figures = CallFigures(to_us(event.timestamp), event.cost_nanos, latency_us, event.status == "error")
                yield tuple(value_of(event, name) for name in group_by), figures

    def went_well(self, period: Period) -> frozenset[str | None]:
        """Return the ids of the runs that ended without an error."""
        saved = self._reader.query_events(None, None, period.end)
        return frozenset(event.event_id for event in saved if event.parent_id is None and event.status == "ok")


def check_names(names: Sequence[str], groups: Collection[GroupKey]) -> None:
    """Raise ValueError for a name that is neither a dimension nor a label of any of the groups by these names."""
    for place, name in enumerate(names):
        if groups and name not in FIELDS and all(group[place] is None for group in groups):
            raise ValueError(f"no call has a label {name!r}: use a dimension such as agent_id, or a label that is set")


def value_of(event: TrackingEvent, name: str) -> str | None:
    """Return an event's value of a dimension, a label, or a time unit in UTC."""
    if name in TIME_UNITS:
        return name_in_zone(event.timestamp, name, UTC)
    if name.startswith("labels."):
        return event.labels.get(name.removeprefix("labels."))
    if name not in FIELDS:
        return event.labels.get(name)
    value: str | None = getattr(event, name)
    return value
