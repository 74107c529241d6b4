"""Sums in plain Python, for backends that have no SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tc_core.analyse.zones import TIME_UNITS, name_in_zone
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import EventReader, Filters, GroupKey
from tc_core.model.totals import Totals, totals_by


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
    ) -> dict[GroupKey, Totals]:
        """Return the sums of each group."""
        events = self._reader.query_events(filters, start_time, end_time)
        all_types = "event_type" in {*group_by, *(filters or {})}
        found = totals_by(events, lambda event: tuple(value_of(event, name) for name in group_by), all_types=all_types)
        found = {key: total for key, total in found.items() if total != Totals()}
        return found if group_by else {(): found.get((), Totals())}


def value_of(event: TrackingEvent, name: str) -> str | None:
    """Return an event's value of a dimension, a label, or a time unit in UTC."""
    if name in TIME_UNITS:
        return name_in_zone(event.timestamp, name, UTC)
    if name.startswith("labels."):
        return event.labels.get(name.removeprefix("labels."))
    if name in event.__slots__ and name not in ("labels", "metadata"):
        value = getattr(event, name)
        return None if value is None else str(value)
    return event.labels.get(name)
