"""An event with all that hangs on it: what is exported, imported and archived."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tc_core.model.attempt import Attempt
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import ProvenanceRelationship


class Recorded(NamedTuple):
    """An event, the relations that it brings along, and the HTTP requests that it took.

    Relations are those that lead from the event to older ones; in an archive also those that lead to it from events
    that are not archived with it. So each relation is told once.
    """

    event: TrackingEvent
    relations: Sequence[ProvenanceRelationship] = ()
    attempts: Sequence[Attempt] = ()


@dataclass(slots=True)
class TakenIn:
    """What became of some records: written, known before with the same facts, or refused, by id and why."""

    written: int = 0
    unchanged: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


class RecordTaker(Protocol):
    """Takes in what was exported elsewhere; the store's side of an import."""

    def take_in(self, records: Sequence[Recorded]) -> TakenIn:
        """Write the events that are not there yet, with their attempts, in one transaction; not their relations."""

    def relate(self, relations: Iterable[ProvenanceRelationship]) -> list[tuple[ProvenanceRelationship, str]]:
        """Write relations; return those that cannot be kept, and why."""
