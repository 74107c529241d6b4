"""What is drawn of a lineage, whatever the format: boxes, and lines between them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tc_core.lineage.tree import Node, name_of
from tc_core.model import money

PARENT = "parent"
"""The name of lines from what holds an event; the others have the name of their relation."""

REPLACED = "\ufffd"
"""Stands for a character that a format cannot hold, or that would command whoever reads it."""

_MOST_CHARACTERS = 48
"""So much of a name is written in a picture; what machines read has all of it."""

Attribute = str | int | float
Edge = tuple[str, str, str]
"""Ids of the older and the newer event, and what lies between them."""


@dataclass(frozen=True, slots=True)
class Box:
    """One event, or a group of them.

    `above` is the place of the box that holds it. `begins_ms` and `ends_ms` count from the beginning of the picture;
    None where that says nothing. A box is critical where a run waited for it.
    """

    id: str
    name: str
    kind: str
    status: str = "ok"
    above: int | None = None
    depth: int = 0
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    begins_ms: float | None = None
    ends_ms: float | None = None
    is_critical: bool = False

    @property
    def details(self) -> list[str]:
        """What is written below the name."""
        return [written for name, write in _WRITTEN if (written := write(self.attributes.get(name)))]


@dataclass(frozen=True, slots=True)
class Line:
    """Leads from the older box to the newer one; `count` is how many there are where boxes are groups."""

    older: int
    newer: int
    relation: str
    count: int = 1

    @property
    def label(self) -> str:
        """What is written at it."""
        said = "" if self.relation == PARENT else self.relation.replace("_", " ")
        return said if self.count == 1 else f"{said} {self.count:,}x".strip()


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes in the order in which they are read, each behind the one that holds it; `note` says what is left out."""

    title: str
    boxes: Sequence[Box]
    lines: Sequence[Line]
    note: str | None = None


def picture(
    title: str,
    roots: Iterable[Node],
    edges: Iterable[Edge],
    critical: Collection[str] = (),
    note: str | None = None,
) -> Picture:
    """Draw each event as a box."""
    boxes: list[Box] = []
    places: dict[str, int] = {}
    waiting: list[tuple[Node, int | None, int]] = [(root, None, 0) for root in reversed(list(roots))]
    start = min((node.event.timestamp for node, *_ in waiting), default=None)
    while waiting:
        node, above, depth = waiting.pop()
        event = node.event
        begins_ms = 0.0 if start is None else (event.timestamp - start).total_seconds() * 1000
        places[event.event_id] = len(boxes)
        waiting += [(child, len(boxes), depth + 1) for child in reversed(node.children)]
        boxes.append(
            Box(
                event.event_id,
                name_of(event),
                event.event_type,
                event.status,
                above,
                depth,
                _attributes(node),
                begins_ms,
                None if event.latency_ms is None else begins_ms + event.latency_ms,
                event.event_id in critical,
            )
        )
    lines = [
        Line(places[older], places[newer], relation)
        for older, newer, relation in edges
        if older in places and newer in places
    ]
    return Picture(title, boxes, lines, note)


def printable(text: str) -> str:
    """Return a text in one line, without characters that command a terminal or that no document may hold."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each.isspace() else REPLACED for each in text)


def caption(text: str) -> str:
    """Return a name as pictures show it: in one line, and no longer than a box can be."""
    said = printable(text)
    return said if len(said) <= _MOST_CHARACTERS else f"{said[: _MOST_CHARACTERS - 1]}…"


def _attributes(node: Node) -> dict[str, Attribute]:
    event, totals = node.event, node.totals
    has_usage = totals.priced + totals.unpriced > 0  # a call that failed without usage has none
    found: dict[str, Attribute | None] = {
        "event_type": event.event_type,
        "name": event.name,
        "model": event.served_model or event.model,
        "agent_id": event.agent_id,
        "workflow_id": event.workflow_id,
        "session_id": event.session_id,
        "timestamp": event.timestamp.isoformat(),
        "status": event.status,
        "error_type": event.error_type,
        "latency_ms": event.latency_ms,
        "calls": totals.calls,
        "input_tokens": totals.input_tokens if has_usage else None,
        "cached_tokens": totals.cached_tokens or None,
        "output_tokens": totals.output_tokens if has_usage else None,
        "cost_nanos": totals.known_cost_nanos if has_usage else None,
        "depth": event.depth,
    }
    return {name: value for name, value in found.items() if value is not None}


def _count(noun: str, value: Attribute | None) -> str:
    return "" if value is None else f"{value:,} {noun}"


def _seconds(value: Attribute | None) -> str:
    return seconds(value) if isinstance(value, (int, float)) else ""


def seconds(milliseconds: float) -> str:
    """Write a duration."""
    return f"{milliseconds:,.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"


def usd(value: Attribute | None) -> str:
    """Write nano-dollars with four digits behind the point, or as many as show what there is."""
    if not isinstance(value, int):
        return ""
    dollars = money.to_decimal(value)
    return f"${dollars:,.4f}" if value >= 100_000 or not value else f"${dollars:.7f}"


_WRITTEN = (
    ("events", lambda value: _count("event" if value == 1 else "events", value)),
    ("loops", lambda value: f"came back {value:,}x" if value else ""),
    ("errors", lambda value: f"{value:,} failed" if value else ""),
    ("latency_ms", _seconds),
    ("input_tokens", lambda value: _count("in", value)),
    ("output_tokens", lambda value: _count("out", value)),
    ("cost_nanos", usd),
    ("error_type", lambda value: str(value or "")),
)
