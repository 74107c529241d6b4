"""Where the rooms meet: what the recorder writes to, and what the analyses read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NamedTuple, Protocol

from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord, TrackingEvent
from tc_core.model.gaps import Gaps
from tc_core.model.ids import EventId
from tc_core.model.provenance import ProvenanceRelationship, Relation, RelationSource
from tc_core.model.totals import Totals
from tc_core.model.usage import Usage

Metric = Literal[
    "cost", "charges", "input_tokens", "output_tokens", "total_tokens", "cached_tokens", "calls", "errors", "latency_ms"
]
FilterValue = str | None | Sequence[str | None]
Filters = Mapping[str, FilterValue]
GroupKey = tuple[str | None, ...]


class Link(NamedTuple):
    """A relation between recorded events, by id."""

    source: EventId
    relation: Relation
    target: EventId
    origin: RelationSource = "framework"
    confidence: float = 1.0


class Priced(NamedTuple):
    """What a call costs, by which table, and since when that price holds where the table knows it."""

    cost_nanos: int
    source: str
    since: date | None
    charges_nanos: int = 0
    """What of the cost comes beside the tokens."""


class CostPart(NamedTuple):
    """One line of a cost: how much of what (`input`, `cached`, `web searches`, ...), and what that costs.

    `cost_nanos` is None for what has no price.
    """

    kind: str
    count: int | float  # type: ignore[assignment]  # a tuple has a method of that name
    cost_nanos: int | None


class CallFacts(NamedTuple):
    """What the cost of a recorded call depends on, and the values it is grouped by; `charges` is JSON or None."""

    group: GroupKey
    at_us: int
    usage: Usage
    charges: str | None
    cost_nanos: int | None
    model: str | None
    served_model: str | None
    provider: str | None
    service_tier: str | None
    usage_source: str | None
    price_source: str | None


class SpoolMark(NamedTuple):
    """Everything in the spool file `file` before `position` (bytes) is in the store."""

    file: str
    position: int


@dataclass(slots=True)
class Batch:
    """What one transaction writes."""

    records: list[EventRecord] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    attempts: list[tuple[EventId, Attempt]] = field(default_factory=list)
    faults: Mapping[str, int] = field(default_factory=dict)


class EventSink(Protocol):
    """Takes batches from the recorder's writer."""

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        """Write the batch and move the spool mark in one transaction; raise StorageError if that fails."""

    def position(self, file: str) -> int:
        """Return the marked position of a spool file, 0 when there is none."""

    def make_durable(self, file: str) -> None:
        """Return once everything marked of `file` survives a loss of power."""

    def forget(self, file: str) -> None:
        """Drop the mark of a spool file that is deleted."""

    def close(self) -> None:
        """Give back what is held open; the next batch opens it again."""


class EventReader(Protocol):
    """Reads events."""

    def query_events(
        self,
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[TrackingEvent]:
        """Return events whose start lies in the half-open span, in order of time."""

    def get_event(self, event_id: str) -> TrackingEvent | None:
        """Return one event, or None."""


class AggregateReader(Protocol):
    """Sums over events."""

    def totals(
        self,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        gaps: Gaps | None = None,
    ) -> dict[GroupKey, Totals]:
        """Return the sums of each group; a question without groups has the one key `()`.

        `gaps` is told which days the answer needed whose events have left the store.
        """


class RelationReader(Protocol):
    """Reads relations."""

    def relationships(
        self, event_id: str | None = None, workflow_id: str | None = None, *, hints: bool = False
    ) -> list[ProvenanceRelationship]:
        """Return the relations that touch an event or the events of a workflow; with `hints` the likely ones too."""
