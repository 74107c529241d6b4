"""Taking away the nodes and segments that nothing refers to: those of calls that left the store.

What is dead is found in a transaction that reads, and looked at once more before it goes: only what recent prompts lead
to may have come to life meanwhile.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Connection, Select, Table, delete, select, union

from tc_core.ledger.tables import ContentRow, NodeRow, ProducedRow, PromptRow, QuotableRow, QuotedRow, SegmentRow
from tc_core.model.clock import clock
from tc_core.store.engine.database import Database, chunks
from tc_core.store.schema.tables import Removal, table

MOST = 5000
"""Rows that leave in one transaction."""
RECENT = 100_000
"""So many of the latest prompts are looked at once more."""

_NODE = table(NodeRow)
_PROMPT = table(PromptRow)
_PRODUCED = table(ProducedRow)
_CONTENT = table(ContentRow)
_QUOTABLE = table(QuotableRow)
_QUOTED = table(QuotedRow)
_SEGMENT = table(SegmentRow)
_REMOVAL = table(Removal)


class Sweep:
    """Does one small step at a time, once a day, where events have left the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done_on: int | None = None

    def daily(self) -> float:
        """Do one step, if today's are not done; return in how many seconds there is more to do."""
        now = clock.wall_ns() / 1e9
        today = int(now // 86_400)
        if self._done_on != today:
            if self.step():
                return 0.0
            self._done_on = today
        return (today + 1) * 86_400 - now

    def step(self) -> bool:
        """Take some rows away; return whether there were any."""
        with self._database.reading() as connection:
            if connection.execute(select(_REMOVAL.c.day).limit(1)).first() is None:
                return False
            newest = connection.exec_driver_sql("SELECT max(event) FROM prompt").scalar() or 0
            rows, dead = _NODE, connection.execute(_dead_nodes()).scalars().all()
            if not dead:
                rows, dead = _SEGMENT, connection.execute(_dead_segments()).scalars().all()
        if dead:
            self._database.transact(lambda connection: _remove(connection, rows, dead, newest - RECENT), alone=True)
        return bool(dead)


def _ways(*conditions: object) -> CTE:
    """Return all nodes on the ways to some prompts and their answers."""
    ends = union(
        select(_PROMPT.c.node.label("id")).where(*conditions),  # type: ignore[arg-type]  # conditions of ours
        select(_PROMPT.c.out_node).where(_PROMPT.c.out_node.is_not(None), *conditions),  # type: ignore[arg-type]  # the same
    ).cte("ends")
    ways = select(ends.c.id).cte("ways", recursive=True)
    return ways.union(select(_NODE.c.parent).join(ways, ways.c.id == _NODE.c.id).where(_NODE.c.parent.is_not(None)))


def _dead_nodes() -> Select[Any]:
    return select(_NODE.c.id).where(_NODE.c.id.not_in(select(_ways().c.id))).limit(MOST)


def _dead_segments() -> Select[Any]:
    used = union(select(_NODE.c.segment), select(_PRODUCED.c.segment)).subquery()
    return select(_SEGMENT.c.id).where(_SEGMENT.c.id.not_in(select(used))).limit(MOST)


def _remove(connection: Connection, rows: Table, dead: Sequence[int], since: int) -> None:
    ways = _ways(_PROMPT.c.event > since)
    live = select(ways.c.id)
    if rows is _SEGMENT:
        of_nodes = select(_NODE.c.segment).where(_NODE.c.id.in_(live))
        live = union(of_nodes, select(_PRODUCED.c.segment).where(_PRODUCED.c.segment.in_(dead[:MOST]))).subquery()  # type: ignore[assignment]
        live = select(live)  # type: ignore[call-overload]
    alive = set(connection.execute(live).scalars())
    for some in chunks([each for each in dead if each not in alive]):
        if rows is _SEGMENT:
            for column in (_CONTENT.c.segment, _QUOTABLE.c.segment, _QUOTED.c.segment, _QUOTED.c.source):
                connection.execute(delete(column.table).where(column.in_(some)))
        connection.execute(delete(rows).where(rows.c.id.in_(some)))
