"""Bringing records into a store: in batches, whatever their order, and with a word for each that cannot be taken."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from tc_core.exchange.fields import Line
from tc_core.exchange.json_lines import dumps, loads
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.model.recorded import Recorded, RecordTaker

BATCH = 1000
MOST_PROBLEMS = 1000
"""How many problems are told in words; all are counted."""

Progress = Callable[[int], object]
"""Told how many events have been dealt with so far."""


@dataclass(slots=True)
class ImportReport:
    """What an import has done.

    `written` events are new, `unchanged` ones were there with the same facts, `refused` ones were there with other
    facts or belong to days whose details have left the store, and `malformed` lines hold no event. `lost_relations`
    lead to events that the store does not have, or would close a cycle. `problems` says so in words, the first
    thousand.
    """

    written: int = 0
    unchanged: int = 0
    refused: int = 0
    malformed: int = 0
    relations: int = 0
    lost_relations: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything that was read is in the store."""
        return not (self.refused or self.malformed or self.lost_relations)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    def note(self, problem: str) -> None:
        """Keep a problem in words, as long as there are not too many."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def import_records(lines: Iterable[Line], target: RecordTaker, progress: Progress = lambda _: None) -> ImportReport:
    """Write records to a store; what cannot be taken is counted and told, and the rest goes on.

    Relations wait in a temporary file until all events are there, since they may lead to any of them.
    """
    report = ImportReport()
    with tempfile.TemporaryFile("w+", encoding="ascii") as waiting:
        for batch in _batches(_sound(lines, report), BATCH):
            taken = target.take_in(batch)
            report.written += taken.written
            report.unchanged += taken.unchanged
            report.refused += len(taken.refused)
            for event_id, why in taken.refused:
                report.note(f"event {event_id} {why}")
            _put_aside(waiting, batch, {event_id for event_id, _ in taken.refused})
            progress(report.written + report.unchanged + report.refused)
        waiting.seek(0)
        for some in _batches((ProvenanceRelationship(**loads(line)) for line in waiting), BATCH):
            lost = target.relate(some)
            report.relations += len(some) - len(lost)
            report.lost_relations += len(lost)
            for relation, why in lost:
                report.note(f"{relation.relation} from {relation.source_id} to {relation.target_id}: {why}")
    return report


def _sound(lines: Iterable[Line], report: ImportReport) -> Iterator[Recorded]:
    for line in lines:
        if line.record is None:
            report.malformed += 1
            report.note(f"line {line.number}: {line.problem}" if line.number else line.problem)
        else:
            yield line.record


def _put_aside(waiting: IO[str], batch: Sequence[Recorded], refused: set[str]) -> None:
    for record in batch:
        if record.event.event_id not in refused:
            waiting.writelines(dumps(relation.to_dict()) + "\n" for relation in record.relations)


def _batches(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(values)
    while some := list(islice(iterator, size)):
        yield some
