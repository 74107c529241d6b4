"""What detectors see: an event that has ended, and its prompt where the ledger has it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tc_core.ledger.prompts import Prompt, PromptReader
from tc_core.model.event import TrackingEvent, to_us
from tc_core.store.sql import SqlStore

PARAMETERS = (
    *("temperature", "top_p", "top_k", "seed", "max_tokens", "max_output_tokens", "stop", "n"),
    *("response_format", "reasoning_effort", "tool_choice", "parameters"),
)
"""Keys of an event's metadata that say how a request was made: calls that differ in one are no duplicates."""

PAGE = 500
SLACK_US = 5_000
"""By so much the end of one call and the beginning of the next may be told too late or too early."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One event that has ended. Times are microseconds since 1970.

    `prompt` is what a call was sent; `results` are the segments that a tool or a retriever has put out.
    """

    event: TrackingEvent
    start_us: int
    end_us: int
    prompt: Prompt | None = None
    results: tuple[int, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether it has brought what it was for."""
        return self.event.status == "ok"

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.event.status == "error"

    def is_after(self, other: "Seen") -> bool:
        """Whether it began when the other one had ended."""
        return self.start_us + SLACK_US >= other.end_us

    @property
    def root(self) -> str:
        """The run that it is part of."""
        return self.event.root_id or self.event.event_id

    @property
    def scope(self) -> str:
        """The conversation, or without one the run, that it is part of."""
        return self.event.session_id or self.root

    @property
    def parameters(self) -> str:
        """How the request was made, as far as that is known."""
        said = {name: self.event.metadata[name] for name in PARAMETERS if name in self.event.metadata}
        return json.dumps(said, sort_keys=True, default=str) if said else ""

    @property
    def input_hash(self) -> str | None:
        """The hash of its input that a user gave: of a name space of its own."""
        aside = self.event.metadata.get("provenance")
        said = aside.get("input_hash") if isinstance(aside, Mapping) else None
        return said if isinstance(said, str) else None


def read(reader: PromptReader, events: Iterable[TrackingEvent]) -> Iterator[Seen]:
    """Yield some events that have ended with their prompts, in the order of their ends; open ones are left out."""
    ended = _in_order([each for each in events if each.status != "open"])
    for start in range(0, len(ended), PAGE):
        page = ended[start : start + PAGE]
        prompts = reader.of([event.event_id for event in page if event.event_type == "llm_call"])
        results = reader.results([event.event_id for event in page if event.event_type in ("tool", "retrieval")])
        for event in page:
            yield Seen(
                event,
                to_us(event.timestamp),
                _end_us(event),
                prompts.get(event.event_id),
                results.get(event.event_id, ()),
            )


def recorded(store: SqlStore, event_ids: Sequence[str]) -> list[TrackingEvent]:
    """Return some events as the store has them, with their places in the tree."""
    found: list[TrackingEvent] = []
    for start in range(0, len(event_ids), PAGE):
        found += store.query_events({"event_id": list(event_ids[start : start + PAGE])})
    return found


def _end_us(event: TrackingEvent) -> int:
    return to_us(event.timestamp) + round((event.latency_ms or 0) * 1000)


def _in_order(events: list[TrackingEvent]) -> list[TrackingEvent]:
    """Sort events by their ends; what others hang under comes after them, also where clocks say otherwise."""
    ends = {event.event_id: _end_us(event) for event in events}
    for event in sorted(events, key=lambda each: -each.depth):
        if event.parent_id in ends:
            ends[event.parent_id] = max(ends[event.parent_id], ends[event.event_id])
    return sorted(events, key=lambda each: (ends[each.event_id], -each.depth, to_us(each.timestamp), each.event_id))
