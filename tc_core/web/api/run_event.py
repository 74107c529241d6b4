"""Run: all that is known of one event of it, as `token-calc show` tells it."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tc_core.errors import LineageError
from tc_core.ledger.content import Content, content_of
from tc_core.lineage import find, present, sql
from tc_core.lineage.tree import name_of
from tc_core.meter import recorded
from tc_core.model import written
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import FACT
from tc_core.web.api.run import ID_DIGITS, run_word
from tc_core.web.asked import Asked
from tc_core.web.table import Table, said

MOST_PARTS = 200
"""So many parts of a prompt are told; more are counted."""

MOST_TEXT = 4_000
"""Characters of one text that are sent."""

_FIRST = ("event_type", "model", "served_model", "provider", "status", "error_type", "timestamp", "latency_ms")
_HIDDEN = {"event_id", "cost_nanos", "charges_nanos", "labels", "metadata", "root_id", "depth", "cost", "name"}


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what is shown of the selected event."""
    event = asked_event(asked)
    relations = asked.store.relationships(event_id=event.event_id, hints=True)
    attempts = asked.store.attempts(event.event_id)
    return {
        "id": event.event_id,
        "name": name_of(event),
        "kind": present.KINDS.get(event.event_type, event.event_type),
        "sentence": said(_sentence(event)),
        "facts": _facts(asked, event),
        "labels": [[name, value] for name, value in event.labels.items()],
        "metadata": [[name, str(value)[:MOST_TEXT]] for name, value in event.metadata.items()],
        "relations": [
            _relation(event.event_id, each.source_id, each.relation, each.target_id, each.confidence)
            for each in relations
        ],
        "attempts": [
            [str(each.number), "no answer" if each.status is None else f"HTTP {each.status}",
             "" if each.latency_us is None else written.seconds(each.latency_us / 1000)]
            for each in attempts
        ],
        "cost": _cost_table(event),
        "content": _content(content_of(asked.store, event)),
        "command": asked.command("show", event.event_id),
        "is_call": event.is_call,
    }  # fmt: skip


def asked_event(asked: Asked) -> TrackingEvent:
    """Return the event that the address names by the end of its id; raise LineageError where there is none."""
    wanted, run_id = asked.text("event") or "", find.run_id(asked.store, run_word(asked))
    digits = wanted.replace("-", "").lower()
    if len(digits) == ID_DIGITS and all(digit in "0123456789abcdef" for digit in digits):
        with asked.store.question() as connection:
            found = sql.id_in_run(connection, run_id, bytes.fromhex(digits))
        if found is None:
            raise LineageError(f"No event {wanted} is in this run: it may have left the store, or be in another one.")
        wanted = found
    return find.event(asked.store, wanted or run_id)


def _sentence(event: TrackingEvent) -> Text:
    line = Text().append(name_of(event), style="bold")
    if event.latency_ms is not None:
        line.append(f"  {written.seconds(event.latency_ms)}")
    if event.is_call:
        unknown = event.cost_nanos is None and event.status != "error"
        line.append("  ").append("unpriced" if unknown else written.usd(event.cost_nanos), "yellow" if unknown else "")
        line.append("  ").append_text(present.tokens(event))
    if event.status != "ok":
        line.append(
            f"  {written.MARKS[event.status]} {event.error_type or event.status}",
            "red" if event.status == "error" else "yellow",
        )
    return line


def _facts(asked: Asked, event: TrackingEvent) -> list[list[str]]:
    known = {name: value for name, value in event.to_dict().items() if name not in _HIDDEN and value is not None}
    known["timestamp"] = written.moment(event.timestamp, asked.zone)
    if event.latency_ms is not None:
        known["latency_ms"] = written.seconds(event.latency_ms)
    if event.is_call:
        known["cost"] = written.usd(event.cost_nanos)
    order = [*(name for name in _FIRST if name in known), *(name for name in known if name not in _FIRST)]
    return [[_WORDS.get(name, name.replace("_", " ")), _plain(known[name])] for name in order]


_WORDS = {"latency_ms": "took", "event_type": "type", "agent_id": "agent", "timestamp": "began"}


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return written.count(value) if isinstance(value, int) else str(value)


def _relation(own: str, source: str, relation: str, target: str, confidence: float) -> list[Any]:
    word, other = (present.RELATIONS[relation], target) if source == own else (f"is {relation} for", source)
    return [word, other, other.replace("-", "")[-ID_DIGITS:], "" if confidence >= FACT else f"{confidence:.0%} sure"]


def _cost_table(event: TrackingEvent) -> Mapping[str, Any] | None:
    parts = recorded.parts_of(event) if event.is_call else []
    if not parts:
        return None
    table = Table(label="The prices of its parts")
    table.names("part", [part.kind for part in parts])
    table.numbers("count", [part.count for part in parts])
    table.money("cost", [part.cost_nanos for part in parts])
    return table.to_dict()


def _content(content: Content) -> Mapping[str, Any] | None:
    if not content.prompt and not content.output:
        return None
    return {
        "is_kept": content.is_kept,
        "left_out": max(0, len(content.prompt) - MOST_PARTS),
        **{
            name: [
                [part.role, part.kind.replace("_", " "), written.plural(part.tokens, "token"),
                 None if part.text is None else part.text[:MOST_TEXT]]
                for part in getattr(content, name)[-MOST_PARTS:]
            ]
            for name in ("prompt", "output")
        },
    }  # fmt: skip
