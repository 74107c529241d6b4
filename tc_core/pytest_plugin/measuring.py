"""What a test takes: its model calls, their tokens and cost, and what its input tokens are made of."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tc_core.ledger.canonical import ASSISTANT, RESULT, SCHEMA, SYSTEM, Item, Schemas, canonical_json, items, what
from tc_core.ledger.scaling import largest_remainders
from tc_core.ledger.tree import PER_REQUEST, PER_SEGMENT
from tc_core.ledger.waterfall import MOST_SCALE
from tc_core.meter import prices, tokens
from tc_core.model import money
from tc_core.model.event import CALL_TYPES, EventRecord, TrackingEvent
from tc_core.model.part import Part, Texts
from tc_core.runtime import recorders
from tc_core.store.storages import InMemoryStorage
from tc_core.testing import recording_into

FORMAT, UNSEEN, NO_DETAILS, OUTPUT = "message format", "images, audio, unseen", "calls without details", "output"

TEST = "pytest"
"""The label that says which test an event belongs to."""


@dataclass(slots=True)
class TokenUse:
    """What the model calls of a test took; `segments` sum to `tokens`."""

    calls: int = 0
    tokens: int = 0
    cost_nanos: int = 0
    unpriced: list[str] = field(default_factory=list)
    """The models of calls that no price is known of."""
    segments: dict[str, int] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """The cost of the calls with a price, in dollars."""
        return money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return what a baseline keeps, as plain JSON values."""
        return {"calls": self.calls, "tokens": self.tokens, "segments": dict(sorted(self.segments.items()))}

    def add(self, name: str, count: int) -> None:
        """Add tokens to a segment."""
        if count:
            self.segments[name] = self.segments.get(name, 0) + count


@contextmanager
def measured(test: str) -> Iterator[TokenUse]:
    """Record a block, and fill in what it took when it has ended without an error."""
    store, reading = _store()
    use = TokenUse()
    reading.begin()
    with recording_into(store, labels={TEST: test}):
        yield use
    recorders.wait_for_parts(store)
    for event in store.query_events({f"labels.{TEST}": test}):
        if event.is_call:
            _add(use, event, reading.parts.get(event.event_id))


def warm_up() -> None:
    """Load prices, a tokenizer and a store."""
    prices.table_version()
    tokens.count("", "gpt-4o")
    recorders.recorder_for(_store()[0]).drain()


class _Reading:
    """Reads the texts of calls, once they are recorded: names and sizes of their parts are kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Begin anew with another test."""
        with self._lock:
            self.parts: dict[str, list[tuple[str, int]]] = {}
            self._makers: dict[str, str] = {}

    def after(self, texts: Sequence[Texts]) -> None:
        """Take up the texts of some events, in the order in which they came."""
        with self._lock:
            for each in texts:
                self._read(each)

    def _read(self, texts: Texts) -> None:
        record = texts.record
        if record.event_type in CALL_TYPES and texts.prompt:
            model = record.served_model or record.model
            found = [part for item in items(texts.prompt, Schemas()) for part in self._named(item, model)]
            self.parts[record.to_event().event_id] = found
        name = _maker(record)
        if name is not None:
            self._makers |= {item.body: name for item in items(texts.output, Schemas())}

    def _named(self, item: Item, model: str | None) -> Iterator[tuple[str, int]]:
        """Yield names and weights: the schemas of several tools are one part of a prompt, but tools apart here."""
        role, kind = item.what >> 3, item.what & 7
        if kind == SCHEMA:
            yield from _schemas(item.body, model)
            return
        weight = _count(item.body, model) + PER_SEGMENT
        if item.body in self._makers and item.what != what(SYSTEM, kind):
            yield self._makers[item.body], weight
        elif kind == RESULT:
            yield "tool results", weight
        else:
            yield {SYSTEM: "system prompt", ASSISTANT: "answers"}.get(role, "user"), weight


def _maker(record: EventRecord) -> str | None:
    """Return how what an event has put out is called in a later prompt."""
    if record.event_type == "tool":
        return f"tool {record.name}" if record.name else "tool results"
    if record.event_type == "retrieval":
        return f"passages of {record.name}" if record.name else "passages"
    if record.event_type == "llm_call":
        return f"agent {record.scope.agent_id}'s answers" if record.scope.agent_id else "answers"
    return None


def _schemas(body: str, model: str | None) -> Iterator[tuple[str, int]]:
    for tool in _tools(body):
        yield f"tool schema {_name(tool)}", _count(canonical_json(tool), model)


def _tools(body: str) -> list[Any]:
    try:
        read = json.loads(body)
    except ValueError:
        return [body]
    return read if isinstance(read, list) else [read]


def _name(tool: object) -> str:
    """Return a tool's name, wherever a provider's schema has it."""
    if isinstance(tool, Mapping):
        for each in (tool, tool.get("function"), tool.get("toolSpec")):
            if isinstance(each, Mapping) and isinstance(each.get("name"), str):
                return str(each["name"])
    return "?"


def _add(use: TokenUse, event: TrackingEvent, parts: list[tuple[str, int]] | None) -> None:
    given, said = event.input_tokens or 0, event.output_tokens or 0
    use.calls += 1
    use.tokens += given + said
    use.cost_nanos += event.cost_nanos or 0
    if event.cost_nanos is None and event.has_usage:
        use.unpriced.append(event.served_model or event.model or "an unknown model")
    use.add(OUTPUT, said)
    if parts is None:
        use.add(NO_DETAILS, given)
        return
    weights = [weight for _, weight in parts]
    weighed = sum(weights) + PER_REQUEST
    billed = given if given <= weighed * MOST_SCALE else weighed
    *counts, rest = largest_remainders([*weights, PER_REQUEST], billed)
    for (name, _), count in zip(parts, counts, strict=True):
        use.add(name, count)
    use.add(FORMAT, rest)
    use.add(UNSEEN, given - billed)


def _count(text: str, model: str | None) -> int:
    return tokens.count(text, model, corrects=False).tokens


@cache
def _store() -> tuple[InMemoryStorage, _Reading]:
    """Return what all tests of this process are recorded into, and what reads their texts."""
    store, reading = InMemoryStorage(), _Reading()
    recorders.parts(store).append(Part(name="pytest", after=reading.after))  # before there is a recorder
    return store, reading
