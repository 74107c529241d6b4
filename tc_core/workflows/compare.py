"""Two runs of a workflow side by side, and all of them as a distribution."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from tc_core.ledger.waterfall import WaterfallChange, difference
from tc_core.lineage.tree import Node
from tc_core.model import money
from tc_core.model.run import Run
from tc_core.store.sql import SqlStore
from tc_core.workflows import history
from tc_core.workflows.analysis import AgentUse, analysis
from tc_core.workflows.outcomes import OUTCOME, Outcome, outcome_of
from tc_core.workflows.waste import waterfall_of


@dataclass(frozen=True, slots=True)
class AgentChange:
    """By how much one agent has changed from a run to another; less is negative. Cost is US dollars."""

    agent_id: str
    cost_nanos: int
    tokens: int
    calls: int
    duration_ms: float

    @property
    def cost(self) -> float:
        """The difference in dollars."""
        return money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"cost": self.cost, **{each.name: getattr(self, each.name) for each in fields(self)}}


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What changed from run `a` to run `b`; less is negative.

    Costs count unpriced calls as nothing, and `unpriced_calls` are how many there are in both. `agents` are those that
    changed, the largest change first. `origins` say by how much each origin of input tokens grew, and sum to the change
    of the input tokens of model calls.
    """

    run_a: str
    run_b: str
    cost_nanos: int
    tokens: int
    calls: int
    duration_ms: float
    waste_nanos: int
    unpriced_calls: int
    agents: tuple[AgentChange, ...]
    origins: tuple[WaterfallChange, ...] = field(repr=False)

    @property
    def cost(self) -> float:
        """The difference in dollars."""
        return money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {"cost": self.cost, **{each.name: getattr(self, each.name) for each in fields(self)}}
        agents, origins = ([each.to_dict() for each in some] for some in (self.agents, self.origins))
        return plain | {"agents": agents, "origins": origins}


def compare(store: SqlStore, workflow_id: str, a: Node, b: Node) -> RunComparison:
    """Compare two runs."""
    before, after = (analysis(store, workflow_id, root) for root in (a, b))
    changes = [
        _change(name, before.agents.get(name), after.agents.get(name)) for name in {**before.agents, **after.agents}
    ]
    changes = [each for each in changes if each.cost_nanos or each.tokens or each.calls]
    return RunComparison(
        run_a=before.run_id,
        run_b=after.run_id,
        cost_nanos=(after.total_cost_nanos or 0) - (before.total_cost_nanos or 0),
        tokens=after.total_tokens - before.total_tokens,
        calls=after.calls - before.calls,
        duration_ms=after.duration_ms - before.duration_ms,
        waste_nanos=after.waste.cost_nanos - before.waste.cost_nanos,
        unpriced_calls=before.unpriced_calls + after.unpriced_calls,
        agents=tuple(sorted(changes, key=lambda each: (-abs(each.cost_nanos), -abs(each.tokens), each.agent_id))),
        origins=tuple(change for change in difference(waterfall_of(store, a), waterfall_of(store, b)) if change.tokens),
    )


def _change(agent_id: str, before: AgentUse | None, after: AgentUse | None) -> AgentChange:
    sides = [(0, 0, 0, 0.0) if use is None else _figures(use) for use in (before, after)]
    (cost, tokens, calls, duration), (cost_, tokens_, calls_, duration_) = sides
    return AgentChange(agent_id, cost_ - cost, tokens_ - tokens, calls_ - calls, duration_ - duration)


def _figures(use: AgentUse) -> tuple[int, int, int, float]:
    return use.cost_nanos or 0, use.tokens, use.calls, use.duration_ms


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure is spread over runs; `count` is how many have it. Percentiles are by linear interpolation."""

    count: int
    least: float
    p50: float
    p90: float
    p99: float
    most: float
    mean: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Distribution:
    """The runs of a workflow together; a spread is None where no run has the figure.

    `cost` is US dollars a run, of runs with a price; `duration_ms` of runs that have ended. `outcomes` are how many
    runs one is known of. `cost_per_success` is what all of these cost for each success, failures included; None without
    a success, or where none of them has a price. `value` is the sum of what outcomes were worth.
    """

    workflow_id: str
    runs: int
    failed_runs: int
    cost: Spread | None
    tokens: Spread | None
    calls: Spread | None
    duration_ms: Spread | None
    outcomes: int
    successes: int
    cost_per_success: float | None
    value: float | None

    @property
    def success_rate(self) -> float | None:
        """Successes over known outcomes."""
        return self.successes / self.outcomes if self.outcomes else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        spreads = {name: value.to_dict() for name, value in plain.items() if isinstance(value, Spread)}
        return {**plain, **spreads, "success_rate": self.success_rate}


def distribution(
    store: SqlStore, workflow_id: str, *, limit: int, since: datetime | None, until: datetime | None
) -> Distribution:
    """Sum up the latest runs of a workflow."""
    runs = [run for run in history.runs(store, workflow_id, limit=limit) if _lies_in(run, since, until)]
    outcomes = _outcomes(store, workflow_id, runs)
    costs = {run.event.event_id: run.totals.known_cost_nanos for run in runs if run.totals.calls}
    successes = sum(outcome.success for outcome in outcomes.values())
    paid = [cost for event_id, cost in costs.items() if event_id in outcomes and cost is not None]
    worth = [outcome.value for outcome in outcomes.values() if outcome.value is not None]
    return Distribution(
        workflow_id,
        runs=len(runs),
        failed_runs=sum(run.event.status == "error" for run in runs),
        cost=spread([money.to_dollars(cost) for cost in costs.values() if cost is not None]),
        tokens=spread([run.totals.input_tokens + run.totals.output_tokens for run in runs]),
        calls=spread([run.totals.calls for run in runs]),
        duration_ms=spread([run.event.latency_ms for run in runs if run.event.latency_ms is not None]),
        outcomes=len(outcomes),
        successes=successes,
        cost_per_success=money.to_dollars(sum(paid)) / successes if successes and paid else None,
        value=sum(worth) if worth else None,
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Return how some figures are spread, None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    p50, p90, p99 = (_quantile(ordered, share) for share in (0.5, 0.9, 0.99))
    return Spread(len(ordered), ordered[0], p50, p90, p99, ordered[-1], sum(ordered) / len(ordered))


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _lies_in(run: Run, since: datetime | None, until: datetime | None) -> bool:
    at = run.event.timestamp
    return (since is None or at >= since.astimezone()) and (until is None or at < until.astimezone())


def _outcomes(store: SqlStore, workflow_id: str, runs: Sequence[Run]) -> dict[str, Outcome]:
    wanted = {run.event.event_id for run in runs}
    said: dict[str, list[Any]] = {}
    for event in store.query_events({"event_type": OUTCOME, "workflow_id": workflow_id}):
        if event.parent_id in wanted:
            said.setdefault(event.parent_id or "", []).append(event)
    found = {event_id: outcome_of(events) for event_id, events in said.items()}
    return {event_id: outcome for event_id, outcome in found.items() if outcome is not None}
