"""Too many events for a picture: one box for each agent, tool and model, with how often they came back."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

from tc_core.lineage.export.picture import PARENT, Attribute, Box, Edge, Line, Picture
from tc_core.lineage.tree import Node, name_of
from tc_core.model.event import TrackingEvent

Key = tuple[str, str, str]
"""The agent, the kind of event, and its name."""


def grouped(title: str, roots: Iterable[Node], edges: Iterable[Edge]) -> Picture:
    """Draw all events of an agent, a tool or a model under it as one box.

    A group has *come back* each time that one of its events begins below the same event again after something else has.
    """
    roots = list(roots)
    groups: dict[Key, list[TrackingEvent]] = {}
    key_of: dict[str, Key] = {}
    loops: Counter[Key] = Counter()
    for node in _walk(roots):
        key = _key(node.event)
        key_of[node.event.event_id] = key
        groups.setdefault(key, []).append(node.event)
        turns = Counter(key for key, _ in groupby(_key(child.event) for child in node.children))
        loops.update({key: count - 1 for key, count in turns.items()})
    counts: Counter[tuple[Key, Key, str]] = Counter(
        (key_of[older], key_of[newer], relation)
        for older, newer, relation in edges
        if older in key_of and newer in key_of
    )
    above = _above(counts, groups)
    places: dict[Key, int] = {}
    boxes: list[Box] = []
    for key, depth in _in_order(groups, above):
        places[key] = len(boxes)
        held_by = above.get(key)
        boxes.append(_box(key, groups[key], loops[key], None if held_by is None else places[held_by], depth))
    lines = [Line(places[older], places[newer], relation, count) for (older, newer, relation), count in counts.items()]
    events = sum(map(len, groups.values()))
    note = f"{events:,} events, grouped by agent, tool and model into {len(boxes):,}, with how often each came back"
    return Picture(title, boxes, lines, note)


def _walk(roots: Iterable[Node]) -> Iterator[Node]:
    for root in roots:
        yield from root.walk()


def _key(event: TrackingEvent) -> Key:
    agent = event.agent_id or ""
    if event.event_type == "agent":
        return agent or name_of(event), "agent", name_of(event)
    return agent, event.event_type, name_of(event)


def _above(counts: Counter[tuple[Key, Key, str]], groups: dict[Key, list[TrackingEvent]]) -> dict[Key, Key]:
    """Return below which other group most of each hangs, so that nothing hangs below itself."""
    found: dict[Key, Key] = {}
    heavy = sorted(((count, *pair) for pair, count in counts.items() if pair[2] == PARENT), reverse=True)
    order = {key: place for place, key in enumerate(groups)}
    for _, older, newer, _ in heavy:
        if order[older] < order[newer]:  # in the order in which they first appear no circle can close
            found.setdefault(newer, older)
    return found


def _in_order(groups: Iterable[Key], above: dict[Key, Key]) -> Iterator[tuple[Key, int]]:
    below: defaultdict[Key | None, list[Key]] = defaultdict(list)
    for key in groups:
        below[above.get(key)].append(key)
    waiting = [(key, 0) for key in reversed(below[None])]
    while waiting:
        key, depth = waiting.pop()
        yield key, depth
        waiting += [(each, depth + 1) for each in reversed(below[key])]


def _box(key: Key, events: list[TrackingEvent], loops: int, above: int | None, depth: int) -> Box:
    agent, kind, name = key
    calls = [event for event in events if event.is_call]
    read = [event.input_tokens for event in calls if event.input_tokens is not None]
    written = [event.output_tokens for event in calls if event.output_tokens is not None]
    costs = [event.cost_nanos for event in calls if event.cost_nanos is not None]
    found: dict[str, Attribute | None] = {
        "event_type": kind,
        "name": name,
        "agent_id": agent or None,
        "events": len(events),
        "loops": loops,
        "errors": sum(event.status == "error" for event in events),
        "calls": len(calls),
        "input_tokens": sum(read) if read else None,
        "output_tokens": sum(written) if written else None,
        "cost_nanos": sum(costs) if costs else None,
    }
    attributes = {name: value for name, value in found.items() if value is not None}
    status = "error" if attributes["errors"] else "ok"
    return Box(" / ".join(filter(None, (agent, kind, name))), name, kind, status, above, depth, attributes)
