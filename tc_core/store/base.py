"""The abstract store: three methods, all that a backend of one's own needs for tracking costs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Self

from tc_core.errors import StorageError
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import Filters, GroupKey, Metric
from tc_core.model.provenance import ProvenanceRelationship

Listener = Callable[[Sequence[TrackingEvent]], object]
"""Called with events once they are in the store, in the order in which they came there."""


class StorageBackend(ABC):
    """Where events are kept.

    A backend of one's own implements the three abstract methods. It is written synchronously from the
    recorder's thread, each event at least once, and serves cost tracking; what needs relations says so.
    """

    @abstractmethod
    def save_event(self, event: TrackingEvent) -> None:
        """Save one event.

        Saving the same event again changes nothing. Raises ValueError when the store has other facts under
        the same id, StorageError when the store cannot be written.
        """

    @abstractmethod
    def query_events(
        self,
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[TrackingEvent]:
        """Return the events that started in the half-open span, in order of time.

        A filter names a field of the event or a label (`labels.NAME` is always the label); its value may
        be a list, and None asks for events without one. A naive datetime is local time.
        """

    @abstractmethod
    def aggregate(
        self,
        metric: Metric,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> dict[GroupKey, float | int | None]:
        """Return one sum for each group.

        Cost is US dollars, None where no call of the group has a price; `charges` is what of it came beside
        tokens. `calls` counts model calls and
        embeddings; `errors` and `latency_ms` (a sum) speak of these too, unless a filter or a group
        names `event_type`. Groups are dimensions, labels, or `hour`, `day` and `month` in UTC.
        Groups without any call are left out; a question without groups has the one key `()`.
        Raises ValueError for an unknown metric.
        """

    def save_events(self, events: Iterable[TrackingEvent]) -> None:
        """Save several events."""
        for event in events:
            self.save_event(event)

    def get_event(self, event_id: str) -> TrackingEvent | None:
        """Return one event, or None."""
        return next(iter(self.query_events({"event_id": event_id}, None, None)), None)

    def save_relationship(self, relationship: ProvenanceRelationship) -> None:
        """Save a relation between two recorded events.

        Raises LineageError for an event that is not recorded, CycleError for a relation that would make an
        event its own ancestor.
        """
        raise StorageError(f"{type(self).__name__} keeps no relations: use SQLiteStorage")

    def relationships(
        self, event_id: str | None = None, workflow_id: str | None = None, *, hints: bool = False
    ) -> list[ProvenanceRelationship]:
        """Return the relations that touch an event, or the events of a workflow, or all.

        Those are facts, of a confidence of 0.9 and more; with `hints` less certain ones come too.
        """
        raise StorageError(f"{type(self).__name__} keeps no relations: use SQLiteStorage")

    @property
    def listeners(self) -> list[Listener]:
        """Those who are told of events once they are in the store, on a thread of their own, in that order."""
        found: list[Listener] = self.__dict__.setdefault("_listeners", [])  # a backend of one's own may not call us
        return found

    def add_listener(self, listener: Listener) -> None:
        """Have events that are recorded from now on told to `listener`, some at a time, once they are in the store.

        It is called on a thread of its own; what it raises is counted as a fault. Other stores of the same database
        in this process have listeners of their own.
        """
        self.listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Tell a listener no more; ValueError where it is none."""
        self.listeners.remove(listener)

    def flush(self) -> None:  # noqa: B027  # nothing to do where nothing is held back
        """Return once everything recorded in this process is in the store."""

    def close(self) -> None:  # noqa: B027  # the same
        """Flush, and give back what the store holds open."""

    def __copy__(self) -> Self:
        """Return itself: copies of what records share its store."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
