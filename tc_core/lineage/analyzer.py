"""ProvenanceAnalyzer: what the recorded calls say together."""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_core.errors import StorageError
from tc_core.ledger import waterfall as ledger
from tc_core.ledger.content import Content, content_of
from tc_core.ledger.waterfall import ContextPart, Waterfall, WaterfallChange
from tc_core.lineage import attribution, critical, find, waste
from tc_core.lineage.attribution import Attribution
from tc_core.lineage.critical import Bottleneck
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.patterns.seen import recorded
from tc_core.lineage.patterns.watch import Watch
from tc_core.lineage.waste import Waste
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.period import period, zone
from tc_core.model.ports import Filters
from tc_core.model.recommendation import Recommendation
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

    def content(self, event_id: str) -> Content:
        """Return the parts of a call's prompt and answer, or what a tool has put out, with their roles and tokens.

        Their texts are there where `capture_content` was on. Raises LineageError for an event that is not recorded.
        """
        wait_for_parts(self.storage)
        return content_of(self.storage, find.event(self.storage, event_id))

    def context(self, event_id: str) -> tuple[ContextPart, ...]:
        """Return what fills the prompt of one call, in the order sent; the tokens sum to what was billed.

        Raises LineageError for an event that is not recorded; of one that is no model call there is nothing.
        """
        wait_for_parts(self.storage)
        return ledger.context(self.storage, find.event(self.storage, event_id).event_id)

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

    # Patterns of waste

    def waste(
        self,
        kinds: Collection[str] | None = None,
        *,
        workflow_id: str | None = None,
        event_id: str | None = None,
        agent_id: str | None = None,
        start_date: Day = None,
        end_date: Day = None,
        filters: Filters | None = None,
        tz: str | tzinfo = "UTC",
        limits: PatternLimits | None = None,
    ) -> Waste:
        """Return what was spent, the patterns in it and recommendations, in one pass; see `patterns`."""
        chosen = self._events(workflow_id, event_id, agent_id, start_date, end_date, filters, tz)
        return waste.waste(self.storage, chosen, kinds, limits)

    def patterns(self, kinds: Collection[str] | None = None, **asked: Any) -> list[Pattern]:
        """Return what was paid for and not needed, and what stands out, the dearest first.

        Of the kinds (`duplicate`, `near_duplicate`, `retry_storm`, `agent_loop`, `deep_chain`, `cycle`, `expensive`,
        `fan_out`, `cache_break`) all or some. What is meant is chosen as in `waterfall`, by the arguments of `waste`.
        The `wasted_cost` of all patterns sum to what was wasted: no event's cost is in two of them. Raises ValueError
        for an unknown kind.
        """
        return list(self.waste(kinds, **asked).patterns)

    def duplicates(self, **asked: Any) -> list[Pattern]:
        """Return calls that asked again what was answered; see `patterns` for what can be asked."""
        return self.patterns(["duplicate"], **asked)

    def retry_storms(self, **asked: Any) -> list[Pattern]:
        """Return what was tried again and again while it failed; see `patterns`."""
        return self.patterns(["retry_storm"], **asked)

    def deep_chains(self, **asked: Any) -> list[Pattern]:
        """Return runs that are nested deeper or have longer rows of turns than their workflow's; see `patterns`."""
        return self.patterns(["deep_chain"], **asked)

    def cycles(self, **asked: Any) -> list[Pattern]:
        """Return agents that have called themselves by way of others, and relations that close; see `patterns`."""
        return self.patterns(["cycle"], **asked)

    def expensive(self, **asked: Any) -> list[Pattern]:
        """Return calls and runs that cost far more than their like; see `patterns`."""
        return self.patterns(["expensive"], **asked)

    def watch(
        self,
        callback: Callable[[Pattern], object],
        kinds: Collection[str] | None = None,
        *,
        limits: PatternLimits | None = None,
    ) -> Watch:
        """Have `callback` told of patterns while this process records, on the listeners' thread, until `stop()`.

        The same detectors find the same as `patterns` does afterwards, in memory that is bounded.
        """
        return Watch(self.storage, callback, kinds, limits)

    def recommendations(self, **asked: Any) -> list[Recommendation]:
        """Return what to change, by what it would have saved of the actual events, none of it counted twice.

        What is meant is chosen as in `patterns`.
        """
        return list(self.waste(**asked).recommendations)

    def attribute_costs(
        self,
        by: Sequence[str] = ("agent_id",),
        *,
        workflow_id: str | None = None,
        event_id: str | None = None,
        agent_id: str | None = None,
        start_date: Day = None,
        end_date: Day = None,
        filters: Filters | None = None,
        tz: str | tzinfo = "UTC",
    ) -> list[Attribution]:
        """Return what each group of calls cost, by itself and with all that hung under the group's events.

        `by` names dimensions, labels, fields of events such as `name` or `depth`, and `hour`, `day` or `month` (UTC).
        What the groups cost by themselves sums to the whole exactly. What is meant is chosen as in `waterfall`.
        """
        groups = [by] if isinstance(by, str) else list(by)
        chosen = self._events(workflow_id, event_id, agent_id, start_date, end_date, filters, tz)
        calls = [event for event in chosen if event.is_call and event.status != "open"]
        return attribution.attribute(calls, self._above(calls), groups)

    def _events(
        self,
        workflow_id: str | None,
        event_id: str | None,
        agent_id: str | None,
        start_date: Day,
        end_date: Day,
        filters: Filters | None,
        tz: str | tzinfo,
    ) -> list[TrackingEvent]:
        """Return the events that a question is about, once the ledger has read what they were sent."""
        wanted: dict[str, Any] = dict(filters or {})
        if workflow_id is not None:
            wanted["workflow_id"] = workflow_id
        if agent_id is not None:
            wanted["agent_id"] = agent_id
        wait_for_parts(self.storage)
        if event_id is not None:
            event = find.event(self.storage, event_id)
            if event.root_id != event.event_id:
                wanted["event_id"] = [each.event_id for each in find.below(self.storage, event)]
            else:
                wanted["root_id"] = event.event_id
        asked = period(start_date, end_date, tz=zone(tz) if isinstance(tz, str) else tz)
        return self.storage.query_events(wanted, asked.start, asked.end)

    def _above(self, calls: Sequence[TrackingEvent]) -> dict[str, TrackingEvent]:
        """Return the events that some calls hang under, and these themselves, by their ids."""
        found = {call.event_id: call for call in calls}
        missing = {call.parent_id for call in calls if call.parent_id is not None} - found.keys()
        while missing:
            above = recorded(self.storage, sorted(missing))
            found |= {event.event_id: event for event in above}
            missing = {event.parent_id for event in above if event.parent_id is not None} - found.keys()
        return found
