"""What the ledger knows of the prompts of some runs: which segments were sent, and who has put them out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select

from tc_core.ledger.canonical import SCHEMA, SYSTEM
from tc_core.ledger.tables import NodeRow, ProducedRow, PromptRow
from tc_core.ledger.tree import PER_REQUEST
from tc_core.model import ids
from tc_core.store.engine.database import chunks
from tc_core.store.schema.tables import Event, table
from tc_core.store.sql import SqlStore

_EVENT, _NODE, _PROMPT, _PRODUCED = table(Event), table(NodeRow), table(PromptRow), table(ProducedRow)


class Part(NamedTuple):
    """A segment in a prompt."""

    segment: int
    tokens: int
    is_head: bool
    """Whether it is a tool's schema, or of the system prompt."""


@dataclass(slots=True)
class Prompts:
    """By event: the prompt's last node, its parts in order, and the segments that the event has put out."""

    ends: dict[str, int] = field(default_factory=dict)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    produced: dict[str, set[int]] = field(default_factory=dict)


def prompts_of(store: SqlStore, event_ids: Iterable[str]) -> Prompts:
    """Return what the ledger has of some events; those that it has nothing of are left out."""
    wanted = {ids.from_text(event_id): event_id for event_id in event_ids}
    found = Prompts()
    with store.question() as connection:
        for some in chunks(list(wanted)):
            sent = select(_EVENT.c.id, _PROMPT.c.node).join(_PROMPT, _PROMPT.c.event == _EVENT.c.key)
            found.ends |= {wanted[row.id]: row.node for row in connection.execute(sent.where(_EVENT.c.id.in_(some)))}
            made = select(_EVENT.c.id, _PRODUCED.c.segment).join(_PRODUCED, _PRODUCED.c.event == _EVENT.c.key)
            for row in connection.execute(made.where(_EVENT.c.id.in_(some))):
                found.produced.setdefault(wanted[row.id], set()).add(row.segment)
        rows: dict[int, _Row] = {}
        for some_ends in chunks(sorted(set(found.ends.values()))):
            ways = select(_NODE.c.id, _NODE.c.parent).where(_NODE.c.id.in_(some_ends)).cte("ways", recursive=True)
            ways = ways.union(select(_NODE.c.id, _NODE.c.parent).join(ways, ways.c.parent == _NODE.c.id))
            columns = (_NODE.c.id, _NODE.c.parent, _NODE.c.segment, _NODE.c.what, _NODE.c.prefix)
            for id_, *node in connection.execute(select(*columns).join(ways, ways.c.id == _NODE.c.id)):
                rows[id_] = (node[0], node[1], node[2], node[3])
    nodes = {id_: (row[0], _part(row, rows)) for id_, row in rows.items()}
    known: dict[int, list[Part]] = {}
    for event_id, end in found.ends.items():
        if end not in known:
            known[end] = _way(end, nodes)
        found.parts[event_id] = known[end]
    return found


_Row = tuple[int | None, int, int, int]
"""Of a node: what it hangs under, its segment, what that is, and what the way to it weighs."""


def _part(row: _Row, rows: Mapping[int, _Row]) -> Part:
    parent, segment, what, prefix = row
    before = PER_REQUEST if parent is None else rows[parent][3]
    return Part(segment, prefix - before, what & 7 == SCHEMA or what >> 3 == SYSTEM)


def _way(end: int, nodes: Mapping[int, tuple[int | None, Part]]) -> list[Part]:
    found: list[Part] = []
    at: int | None = end
    while at is not None:
        at, part = nodes[at]
        found.append(part)
    return found[::-1]
