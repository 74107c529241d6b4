"""ProvenanceAnalyzer: what the recorded calls say together."""

from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_core.errors import StorageError
from tc_core.ledger import waterfall as ledger
from tc_core.ledger.waterfall import Waterfall, WaterfallChange
from tc_core.lineage import critical, find
from tc_core.lineage.critical import Bottleneck
from tc_core.model.event import to_us
from tc_core.model.period import period, zone
from tc_core.model.ports import Filters
from tc_core.runtime.recorders import open_storage, wait_for_parts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.lineage.agents import AgentPerformance

Day = date | datetime | str | None
Span = tuple[Day, Day]


class ProvenanceAnalyzer:
    """Says where tokens come from.

    `storage` is a store, a path or a URL; without it the default store is used. Raises StorageError for a storage of
    the user's own, which has no ledger.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        store = open_storage(storage)
        if not isinstance(store, SqlStore):
            raise StorageError(
                f"where tokens come from is kept in SQLite and PostgreSQL, not in a {type(store).__name__}"
            )
        self.storage = store

    def waterfall(
        self,
        workflow_id: str | None = None,
        event_id: str | None = None,
        agent_id: str | None = None,
        start_date: Day = None,
        end_date: Day = None,
        *,
        filters: Filters | None = None,
        is_single: bool = False,
        tz: str | tzinfo = "UTC",
    ) -> Waterfall:
        """Return where the input tokens of the calls that are meant come from; all calls, where nothing is said.

        `event_id` is a call, or an event below which all calls are meant: of a run its root. Dates are as in
        `CostTracker.get_costs`. With `is_single` each content is a row of its own. Raises LineageError for an event
        that is not recorded.
        """
        wanted: dict[str, Any] = dict(filters or {})
        if workflow_id is not None:
            wanted["workflow_id"] = workflow_id
        if agent_id is not None:
            wanted["agent_id"] = agent_id
        wait_for_parts(self.storage)
        if event_id is not None:
            event = find.event(self.storage, event_id)
            if event.is_call or event.root_id == event.event_id:
                wanted["event_id" if event.is_call else "root_id"] = event.event_id
            else:
                below = find.below(self.storage, event)
                wanted["event_id"] = [each.event_id for each in below if each.is_call]
        asked = period(start_date, end_date, tz=zone(tz) if isinstance(tz, str) else tz)
        return ledger.waterfall(
            self.storage,
            wanted,
            None if asked.start is None else to_us(asked.start),
            None if asked.end is None else to_us(asked.end),
            is_single=is_single,
        )

    def compare(self, a: Waterfall | str | Span, b: Waterfall | str | Span) -> list[WaterfallChange]:
        """Return by how much each origin has grown from `a` to `b`, two events, runs, periods or waterfalls.

        An event or a run is named by its id, a period is a pair of dates. The differences sum to the whole difference
        exactly; the largest come first.
        """
        return ledger.difference(self._asked(a), self._asked(b))

    def agent_performance(
        self,
        start_date: Day = None,
        end_date: Day = None,
        *,
        filters: Filters | None = None,
        least: int = 10,
        tz: str | tzinfo = "UTC",
    ) -> "list[AgentPerformance]":
        """Return success, time and cost per success of each agent, with intervals; those that cost most come first.

        An agent with fewer than `least` finished runs is marked as one that says too little. Dates are as in
        `CostTracker.get_costs`.
        """
        from tc_core.lineage import agents

        asked = period(start_date, end_date, tz=zone(tz) if isinstance(tz, str) else tz)
        return agents.of_store(self.storage, filters or {}, asked, least=least)

    def bottlenecks(self, workflow_id: str, *, runs: int = 100) -> list[Bottleneck]:
        """Return what the last runs of a workflow waited for, the longest first; LineageError for an unknown one."""
        return critical.of_workflow(self.storage, workflow_id, runs)

    def _asked(self, what: Waterfall | str | Span) -> Waterfall:
        if isinstance(what, Waterfall):
            return what
        if isinstance(what, str):
            return self.waterfall(event_id=what)
        start, end = what
        return self.waterfall(start_date=start, end_date=end)
