"""Where the time of a run went: its critical path, and how much of it was serial."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tc_core.lineage.tree import Node
from tc_core.model import money
from tc_core.model.event import to_us
from tc_core.workflows.outcomes import OUTCOME


class Span(NamedTuple):
    """When something began and ended, in microseconds since 1970."""

    start_us: int
    end_us: int

    @property
    def length_us(self) -> int:
        """How long it took."""
        return self.end_us - self.start_us


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """A stretch of time that the whole run waited for one event, and for nothing inside that.

    `start_ms` counts from the run's start; `cost` is what the event itself cost, in US dollars, of a call alone.
    """

    event_id: str
    name: str
    event_type: str
    agent_id: str | None
    start_ms: float
    duration_ms: float
    cost_nanos: int | None

    @property
    def cost(self) -> float | None:
        """The cost in dollars."""
        return None if self.cost_nanos is None else money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"cost": self.cost, **{name: getattr(self, name) for name in self.__slots__}}


def spans_of(root: Node) -> dict[str, Span]:
    """Return when each event of a run began and ended; each lasts at least as long as what is in it."""
    found: dict[str, Span] = {}
    for node in reversed(list(root.walk())):
        start = to_us(node.event.timestamp)
        ends = [found[child.event.event_id].end_us for child in node.children if child.event.event_type != OUTCOME]
        own = round((node.event.latency_ms or 0) * 1000)
        found[node.event.event_id] = Span(start, max(start + own, *ends) if ends else start + own)
    return found


def critical_path(root: Node, spans: Mapping[str, Span]) -> list[CriticalStep]:
    """Return what the run waited for, from its start to its end; the stretches sum to its duration exactly.

    Seen from its end, an event waited for what ended last inside it, before that for what had ended last when that
    began, and so on; what lies between was its own.
    """
    began = spans[root.event.event_id].start_us
    found: list[tuple[Span, Node]] = []
    waiting = [(root, spans[root.event.event_id])]
    while waiting:
        node, whole = waiting.pop()
        cursor = whole.end_us
        inside = [(_cut(spans[child.event.event_id], whole), child) for child in node.children]
        for span, child in sorted(inside, key=lambda each: (-each[0].end_us, each[0].start_us)):
            if span.length_us <= 0 or span.end_us > cursor:
                continue  # it went on beside what was waited for
            if span.end_us < cursor:
                found.append((Span(span.end_us, cursor), node))
            waiting.append((child, span))
            cursor = span.start_us
        if cursor > whole.start_us:
            found.append((Span(whole.start_us, cursor), node))
    found.sort(key=lambda each: each[0])
    return [_step(node, span, began) for span, node in found]


class Shares(NamedTuple):
    """How the time of a run is spent, in microseconds: at one thing, at several at once, at nothing that is known."""

    serial_us: int
    parallel_us: int
    idle_us: int
    work_us: int
    """What all took together, one after the other."""


def shares(root: Node, spans: Mapping[str, Span]) -> Shares:
    """Return how much of a run was serial; work is what has a duration, and nothing with one inside it."""
    whole = spans[root.event.event_id]
    working = [_cut(spans[node.event.event_id], whole) for node in _at_work(root, spans)]
    edges = sorted([(span.start_us, 1) for span in working] + [(span.end_us, -1) for span in working])
    serial = parallel = 0
    busy, at = 0, whole.start_us
    for moment, change in edges:
        serial += (moment - at) * (busy == 1)
        parallel += (moment - at) * (busy > 1)
        busy, at = busy + change, moment
    return Shares(serial, parallel, whole.length_us - serial - parallel, sum(span.length_us for span in working))


def union_us(spans: Iterable[Span]) -> int:
    """Return how much time some spans cover together."""
    covered, until = 0, 0
    for start, end in sorted(spans):
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered


def _at_work(root: Node, spans: Mapping[str, Span]) -> list[Node]:
    """Return the lowest events that took any time."""
    took: set[str] = set()
    found = []
    for node in reversed(list(root.walk())):
        if any(child.event.event_id in took for child in node.children):
            took.add(node.event.event_id)
        elif spans[node.event.event_id].length_us > 0 and node.event.event_type != OUTCOME:
            took.add(node.event.event_id)
            found.append(node)
    return [node for node in found if node is not root]


def _cut(span: Span, whole: Span) -> Span:
    start = min(max(span.start_us, whole.start_us), whole.end_us)
    return Span(start, max(start, min(span.end_us, whole.end_us)))


def _step(node: Node, span: Span, began: int) -> CriticalStep:
    event = node.event
    return CriticalStep(
        event.event_id,
        name_of(node),
        event.event_type,
        event.agent_id,
        (span.start_us - began) / 1000,
        span.length_us / 1000,
        event.cost_nanos if event.is_call else None,
    )


def name_of(node: Node) -> str:
    """Return how an event is called: by its model where it is a call."""
    event = node.event
    return (event.served_model or event.model or event.event_type) if event.is_call else event.name or event.event_type
