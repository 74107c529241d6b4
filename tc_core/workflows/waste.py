"""What of a run was paid in vain: attempts that were made again, and questions that had been answered."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from tc_core.ledger.waterfall import Waterfall, waterfall
from tc_core.lineage.tree import Node
from tc_core.model import money
from tc_core.model.event import TrackingEvent, to_us
from tc_core.store.sql import SqlStore
from tc_core.workflows.sql import prompts_of


@dataclass(frozen=True, slots=True)
class Waste:
    """Calls that were paid in vain, each once; US dollars.

    `retried` are attempts that were made again, with all that was in them. `duplicates` are calls whose very prompt the
    same model had answered before in the run. `cost` is that of both. Re-sent tokens are no waste by themselves, since
    a model knows nothing of what was said before, so they are not part of it: `resent_tokens` of `explained_tokens`
    were sent before in their session or run, and cost `resent_cost`.
    """

    retried_calls: int
    retried_cost_nanos: int
    duplicate_calls: int
    duplicate_cost_nanos: int
    resent_tokens: int
    explained_tokens: int
    resent_cost_nanos: int | None
    event_ids: tuple[str, ...] = field(repr=False)

    @property
    def cost_nanos(self) -> int:
        """What the calls in vain cost."""
        return self.retried_cost_nanos + self.duplicate_cost_nanos

    @property
    def cost(self) -> float:
        """The same in dollars."""
        return money.to_dollars(self.cost_nanos)

    @property
    def resent_cost(self) -> float | None:
        """What re-sent tokens cost in dollars, None where no call has a price."""
        return None if self.resent_cost_nanos is None else money.to_dollars(self.resent_cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"cost": self.cost, "resent_cost": self.resent_cost, **plain, "event_ids": list(self.event_ids)}


def waste(store: SqlStore, root: Node) -> Waste:
    """Work out what a run wasted."""
    again = retried(root)
    twice = [call for call in duplicates(store, root) if call.event_id not in again]
    sent = waterfall_of(store, root)
    costs = [
        round(row.cost_nanos * row.resent_tokens / row.tokens) for row in sent.rows if row.cost_nanos and row.tokens
    ]
    return Waste(
        retried_calls=len(again),
        retried_cost_nanos=_cost(again.values()),
        duplicate_calls=len(twice),
        duplicate_cost_nanos=_cost(twice),
        resent_tokens=sent.resent_tokens,
        explained_tokens=sum(row.tokens for row in sent.rows if row.origin_kind not in ("no_details", "unexplained")),
        resent_cost_nanos=None if sent.total_cost_nanos is None else sum(costs),
        event_ids=(*again, *(call.event_id for call in twice)),
    )


def retried(root: Node) -> dict[str, TrackingEvent]:
    """Return the calls, by id, that were made again since they had failed, or what they were part of had."""
    nodes = {node.event.event_id: node for node in root.walk()}
    failed = [
        nodes[relation.target_id]
        for node in nodes.values()
        for relation in node.relations
        if relation.relation == "retry_of" and relation.target_id in nodes
    ]
    return {each.event.event_id: each.event for node in failed for each in node.walk() if each.event.is_call}


def duplicates(store: SqlStore, root: Node) -> list[TrackingEvent]:
    """Return the calls of a run whose very prompt the same model had answered before, in order of time."""
    calls = sorted(
        (node.event for node in root.walk() if node.event.event_type == "llm_call" and node.event.status == "ok"),
        key=lambda event: event.timestamp,
    )
    ends = prompts_of(store, [call.event_id for call in calls]).ends
    answered: dict[tuple[str | None, int], int] = {}
    found = []
    for call in calls:
        if call.event_id not in ends:
            continue
        asked = (call.model, ends[call.event_id])
        began = to_us(call.timestamp)
        if asked in answered and answered[asked] <= began:
            found.append(call)
        answered.setdefault(asked, began + round((call.latency_ms or 0) * 1000))
    return found


def waterfall_of(store: SqlStore, root: Node) -> Waterfall:
    """Return where the input tokens of a run come from."""
    event = root.event
    if event.root_id == event.event_id:
        return waterfall(store, {"root_id": event.event_id})
    return waterfall(store, {"event_id": [node.event.event_id for node in root.walk() if node.event.is_call]})


def _cost(calls: Iterable[TrackingEvent]) -> int:
    return sum(call.cost_nanos or 0 for call in calls)
