"""The questions that `benchmarks.queries` asks: of our store, and the same in SQL of a naive table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import networkx as nx

from tc_core import CostTracker
from tc_core.model import ids
from tc_core.model.event import from_us
from tc_core.model.ports import GroupKey
from tc_core.model.totals import Totals
from tc_core.store.read.sums import Summing
from tc_core.store.sql import SqlStore

US_PER_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `ask` puts it to our store; `naive` is SQL for the naive table, with its parameters."""

    name: str
    kind: str
    ask: Callable[[], Any]
    naive: tuple[str, Sequence[object]] | None = None
    is_compared: bool = False
    """Whether the naive answer is groups with calls and cost, and must be the same."""


class Known:
    """What is in a store, to ask for it: its period, and runs of 10, 100 and 1,000 events."""

    def __init__(self, store: SqlStore) -> None:
        with store._database.reading() as connection:
            self.first_us, self.last_us = connection.exec_driver_sql("SELECT min(at), max(at) FROM event").one()
            sizes = connection.exec_driver_sql(
                "SELECT n, max(root) FROM (SELECT root, count(*) AS n FROM event GROUP BY root) AS run "
                "GROUP BY n ORDER BY n"
            ).all()
            self.roots: dict[int, str] = {}
            for wanted in (10, 100, 1000):
                count, key = min(sizes, key=lambda size: abs(size[0] - wanted))
                found = connection.exec_driver_sql(f'SELECT id FROM event WHERE "key" = {key}').scalar_one()
                self.roots[count] = ids.to_text(found)
            at = (self.first_us + self.last_us) // 2
            middle = f"SELECT id FROM event WHERE at >= {at} ORDER BY at LIMIT 1"
            self.event_id = ids.to_text(connection.exec_driver_sql(middle).scalar_one())

    def days(self, count: int) -> tuple[datetime, datetime]:
        """Return the last so many whole days."""
        end = from_us(self.last_us // US_PER_HOUR // 24 * 24 * US_PER_HOUR)
        return end - timedelta(days=count), end


def questions(store: SqlStore, known: Known) -> list[Question]:
    """Return the questions, the cheapest kind first."""
    month, week = known.days(30), known.days(7)
    sums = "sum(event_type IN ('llm_call', 'embedding')), sum(cost)"
    within = "timestamp >= ? AND timestamp < ?"
    label = "json_extract(labels, '$.{}')"

    def naive(group: str, where: str, *parameters: object) -> tuple[str, Sequence[object]]:
        return f"SELECT {group}, {sums} FROM naive_event WHERE {where} GROUP BY {group}", parameters

    def rolled(
        name: str, group: Sequence[str], filters: dict[str, Any], span: tuple[datetime, datetime], sql: Any
    ) -> Question:
        return Question(name, "roll-up", lambda: store.totals(group, filters, *span), sql, is_compared=True)

    def scanned(name: str, group: Sequence[str], filters: dict[str, Any], sql: Any) -> list[Question]:
        """Return a question as a program asks it first, and as it asks it from then on."""
        return [
            Question(name, "scan", lambda: from_rows(store, group, filters), sql, is_compared=True),
            Question(f"{name}, again", "columns", lambda: store.totals(group, filters), sql, is_compared=True),
        ]

    whole = (
        from_us(known.first_us // US_PER_HOUR * US_PER_HOUR),
        from_us((known.last_us // US_PER_HOUR + 1) * US_PER_HOUR),
    )
    tracker = CostTracker(store)
    return [
        rolled("cost by day, whole store", ["day"], {}, whole, naive("substr(timestamp, 1, 10)", "1")),
        rolled(
            "agent and model, a month of production",
            ["agent_id", "model"],
            {"environment": "production"},
            month,
            naive("agent_id, model", f"{within} AND environment = ?", *_texts(month), "production"),
        ),
        rolled(
            "users by cost, a month", ["user_id"], {}, month, naive(label.format("user_id"), within, *_texts(month))
        ),
        rolled(
            "hours of one agent, a week",
            ["hour"],
            {"agent_id": "support-agent"},
            week,
            naive("substr(timestamp, 1, 13)", f"agent_id = ? AND {within}", "support-agent", *_texts(week)),
        ),
        Question("get_costs by agent, a month", "report", lambda: tracker.get_costs(*month, group_by=["agent_id"])),
        *scanned(
            "filter by tenant, group by feature",
            ["feature"],
            {"tenant": "tenant-0"},
            naive(label.format("feature"), f"{label.format('tenant')} = ?", "tenant-0"),
        ),
        *scanned(
            "filter by release and agent, group by user",
            ["user_id"],
            {"release": "2026.12", "agent_id": "support-agent"},
            naive(
                label.format("user_id"), f"{label.format('release')} = ? AND agent_id = ?", "2026.12", "support-agent"
            ),
        ),
        *(
            Question(f"lineage of {size}, as networkx", "lineage", partial(lineage, store, root), (_TREE, (root,)))
            for size, root in known.roots.items()
        ),
        Question(
            "an event by its id",
            "point",
            lambda: store.get_event(known.event_id),
            ("SELECT * FROM naive_event WHERE event_id = ?", (known.event_id,)),
        ),
        Question(
            "last 50 of an agent",
            "point",
            lambda: store.query_events({"agent_id": "support-agent"}, limit=50, descending=True),
            (
                "SELECT * FROM naive_event WHERE agent_id = ? ORDER BY timestamp DESC LIMIT 50",
                ("support-agent",),
            ),
        ),
        Question("the last 20 runs with their costs", "point", lambda: store.runs(limit=20)),
    ]


def from_rows(store: SqlStore, group_by: Sequence[str], filters: dict[str, Any]) -> dict[GroupKey, Totals]:
    """Ask without the columns that a store keeps in memory for who goes on asking."""
    with store.question() as connection:
        return Summing(connection, store.database, store.interned, group_by, filters).totals(None, None)


_TREE = """
WITH RECURSIVE tree(id) AS (
    SELECT ? UNION ALL SELECT event_id FROM naive_event JOIN tree ON parent_id = tree.id
)
SELECT naive_event.* FROM tree JOIN naive_event ON event_id = tree.id
"""


def lineage(store: SqlStore, root_id: str) -> "nx.MultiDiGraph[str]":
    """Return a run as a graph: its events, which is part of which, and the relations between them."""
    events, relations = store.tree(root_id)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from((each.event_id, {"event": each}) for each in events)
    graph.add_edges_from((each.parent_id, each.event_id, "parent") for each in events if each.parent_id is not None)
    graph.add_edges_from((each.source_id, each.target_id, each.relation) for each in relations)
    return graph


def _texts(span: tuple[datetime, datetime]) -> list[str]:
    return [moment.strftime("%Y-%m-%dT%H:%M:%S") for moment in span]
