"""The prompts of single calls, as ways in the tree: for what compares one call with another."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from tc_core.ledger.canonical import ASSISTANT, CALL, SCHEMA, SYSTEM
from tc_core.ledger.canonical import RESULT as TOOL_RESULT
from tc_core.ledger.tables import NodeRow, ProducedRow, PromptRow
from tc_core.ledger.tree import PER_REQUEST
from tc_core.model import ids
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT
from tc_core.store.schema.tables import table
from tc_core.store.sql import SqlStore

_NODE = table(NodeRow)
_PROMPT = table(PromptRow)
_PRODUCED = table(ProducedRow)

MOST_NODES = 65_536
"""So many nodes a reader remembers, so that the next turn of a conversation reads only what is new."""


class PromptNode:
    """One segment at its place; `above` is what comes before it. Two with the same `id` are the same way."""

    __slots__ = ("above", "depth", "id", "prefix", "segment", "what")

    def __init__(self, id_: int, above: "PromptNode | None", segment: int, what: int, depth: int, prefix: int) -> None:
        self.id, self.above, self.segment, self.what = id_, above, segment, what
        self.depth, self.prefix = depth, prefix

    @property
    def weight(self) -> int:
        """The tokens that it adds to a prompt."""
        return self.prefix - (PER_REQUEST if self.above is None else self.above.prefix)

    @property
    def is_schema(self) -> bool:
        """Whether it holds the schemas of the tools."""
        return self.what & 7 == SCHEMA

    @property
    def is_system(self) -> bool:
        """Whether it is part of the instructions, which every call of an agent begins with."""
        return self.what >> 3 == SYSTEM

    @property
    def is_answer(self) -> bool:
        """Whether a model has said it."""
        return self.what >> 3 == ASSISTANT

    @property
    def is_tool_call(self) -> bool:
        """Whether it asks for a tool."""
        return self.what & 7 == CALL

    @property
    def is_tool_result(self) -> bool:
        """Whether a tool has said it."""
        return self.what & 7 == TOOL_RESULT

    def way(self) -> Iterator["PromptNode"]:
        """Yield this node and all before it, the last first."""
        node: PromptNode | None = self
        while node is not None:
            yield node
            node = node.above


class Prompt(NamedTuple):
    """What a call was sent, by its last segment, and what it has answered."""

    end: PromptNode
    answer: Sequence[PromptNode] = ()

    @property
    def weight(self) -> int:
        """What was counted for the whole prompt, in tokens."""
        return self.end.prefix


def shared(one: PromptNode, other: PromptNode) -> PromptNode | None:
    """Return the last node that two prompts have in common at their beginning; it costs what they differ by."""
    a: PromptNode | None = one
    b: PromptNode | None = other
    while a is not None and b is not None and a.id != b.id:
        deeper = a.depth - b.depth
        a, b = (a.above if deeper >= 0 else a), (b.above if deeper <= 0 else b)
    return None if a is None or b is None else a


class PromptReader:
    """Reads prompts, and remembers nodes: not for several threads at once."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._known: OrderedDict[int, PromptNode] = OrderedDict()

    def of(self, event_ids: Sequence[str]) -> dict[str, Prompt]:
        """Return the prompts of those calls that the ledger has."""
        if not event_ids:
            return {}
        wanted = {ids.from_text(event_id): event_id for event_id in event_ids}
        with self._store.question() as connection:
            rows = list(_ends(connection, list(wanted)))
            ends = {end for _, node, out_node in rows for end in (node, out_node) if end is not None}
            nodes = self._nodes(connection, ends)
        found = {}
        for id_, node, out_node in rows:
            end, last = nodes.get(node), nodes.get(out_node)
            if end is not None:
                found[wanted[id_]] = Prompt(end, tuple(_behind(end, last)))
        return found

    def results(self, event_ids: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return the segments that some events have put out, of those that have any."""
        wanted = {ids.from_text(event_id): event_id for event_id in event_ids}
        question = select(EVENT.c.id, _PRODUCED.c.segment).join(_PRODUCED, _PRODUCED.c.event == EVENT.c.key)
        found: dict[str, list[int]] = {}
        with self._store.question() as connection:
            for some in chunks(list(wanted)):
                for id_, segment in connection.execute(question.where(EVENT.c.id.in_(some))):
                    found.setdefault(wanted[id_], []).append(segment)
        return {event_id: tuple(sorted(segments)) for event_id, segments in found.items()}

    def _nodes(self, connection: Connection, ends: set[int]) -> dict[int | None, PromptNode]:
        missing = sorted(end for end in ends if end not in self._known)
        made: dict[int | None, PromptNode] = {end: self._known[end] for end in ends if end in self._known}
        for some in chunks(missing):
            rows = {row.id: row for row in _ways(connection, some)}
            for id_ in sorted(rows, key=lambda id_: rows[id_].depth):
                made[id_] = self._made(rows[id_], made)
        while len(self._known) > MOST_NODES:
            self._known.popitem(last=False)
        return made

    def _made(self, row: Any, made: dict[int | None, PromptNode]) -> PromptNode:
        known = made.get(row.id) or self._known.get(row.id)
        if known is None:
            above = None if row.parent is None else made[row.parent]
            known = PromptNode(row.id, above, row.segment, row.what, row.depth, row.prefix)
        self._known[row.id] = known
        self._known.move_to_end(row.id)
        return known


def _ends(connection: Connection, wanted: Sequence[bytes]) -> Iterator[tuple[bytes, int, int | None]]:
    question = select(EVENT.c.id, _PROMPT.c.node, _PROMPT.c.out_node).join(_PROMPT, _PROMPT.c.event == EVENT.c.key)
    for some in chunks(list(wanted)):
        yield from map(tuple, connection.execute(question.where(EVENT.c.id.in_(some))))


def _ways(connection: Connection, ends: Iterable[int]) -> Sequence[Any]:
    """Return the rows of all nodes on the ways to some ends."""
    ways = select(_NODE.c.id, _NODE.c.parent).where(_NODE.c.id.in_(list(ends))).cte("ways", recursive=True)
    ways = ways.union(select(_NODE.c.id, _NODE.c.parent).join(ways, ways.c.parent == _NODE.c.id))
    columns = (_NODE.c[name] for name in ("id", "parent", "segment", "what", "depth", "prefix"))
    return connection.execute(select(*columns).join(ways, ways.c.id == _NODE.c.id)).all()


def _behind(end: PromptNode, last: PromptNode | None) -> list[PromptNode]:
    """Return what an answer has put behind its prompt, in order."""
    found = []
    while last is not None and last.id != end.id:
        found.append(last)
        last = last.above
    return found[::-1] if last is not None else []
