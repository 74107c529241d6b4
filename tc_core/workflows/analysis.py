"""What one run of a workflow cost, who needed the time, and what of it was waste."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from tc_core.lineage.tree import Node
from tc_core.model import money, written
from tc_core.model.notebook import Bar, InNotebook, Shown
from tc_core.model.totals import Totals, totals_by
from tc_core.store.sql import SqlStore
from tc_core.workflows.outcomes import OUTCOME, Outcome, outcome_of
from tc_core.workflows.timing import CriticalStep, Shares, Span, critical_path, name_of, shares, spans_of, union_us
from tc_core.workflows.waste import Waste, waste

LEAST_TIME_US = 1_000_000
"""Where no call tells how long it took, and all agents together took less, their time says nothing: it may be ours."""


@dataclass(frozen=True, slots=True)
class AgentUse:
    """What one agent did in a run: its own calls, and with what others did inside it.

    Costs are US dollars, None where no call has a price. `duration_ms` is the time in which it was at work, however
    often it came; `critical_ms` what of that the run waited for.
    """

    agent_id: str
    entries: int
    calls: int
    failed_calls: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nanos: int | None
    cost_with_inside_nanos: int | None
    tokens_with_inside: int
    duration_ms: float
    critical_ms: float

    @property
    def cost(self) -> float | None:
        """The cost of its own calls in dollars."""
        return None if self.cost_nanos is None else money.to_dollars(self.cost_nanos)

    @property
    def tokens(self) -> int:
        """Input and output tokens of its own calls."""
        return self.input_tokens + self.output_tokens

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "cost": self.cost,
            "tokens": self.tokens,
            **{each.name: getattr(self, each.name) for each in fields(self)},
        }


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Measures that are defined, each by itself; None where there is nothing to divide by.

    `waste_share` is wasted cost over all cost; `resent_share` input tokens sent before over all whose origin is known;
    `cached_share` input tokens at the cache price over all; `output_share` output over all tokens; `error_share` failed
    calls over all; `busy_share` the time in which anything was at work over the duration; `parallelism` the work over
    the time in which anything was at work, 1 where nothing overlaps.
    """

    waste_share: float | None
    resent_share: float | None
    cached_share: float | None
    output_share: float | None
    error_share: float | None
    busy_share: float | None
    parallelism: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class Bottleneck(NamedTuple):
    """An agent, and which share of a run's critical time or cost is its own."""

    agent_id: str
    by: str
    """`time` or `cost`."""
    share: float


@dataclass(frozen=True, slots=True)
class WorkflowAnalysis(InNotebook):
    """One run of a workflow.

    `total_cost` is US dollars, None where no call has a price; `unpriced_calls` are not in it. `agents` are by name,
    the dearest first. `critical_path` is what the run waited for, in order of time; `costliest_path` leads from the run
    down to the call, at each step by what cost most. The shares of time are serial, parallel and idle, and sum to 1.
    `bottleneck_agent` is the agent that most of the critical path is spent in; where nothing tells of time, the one
    that cost most; None without agents.
    """

    workflow_id: str
    run_id: str
    status: str
    started: datetime
    duration_ms: float
    total_cost_nanos: int | None
    total_tokens: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    calls: int
    failed_calls: int
    unpriced_calls: int
    estimated_calls: int
    agents: Mapping[str, AgentUse]
    bottleneck_agent: str | None
    bottlenecks: tuple[Bottleneck, ...]
    critical_path: tuple[CriticalStep, ...] = field(repr=False)
    costliest_path: tuple[str, ...] = field(repr=False)
    serial_share: float | None
    parallel_share: float | None
    idle_share: float | None
    waste: Waste
    efficiency: Efficiency
    outcome: Outcome | None

    @property
    def total_cost(self) -> float | None:
        """The cost in dollars."""
        return None if self.total_cost_nanos is None else money.to_dollars(self.total_cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain: dict[str, Any] = {"total_cost": self.total_cost}
        plain |= {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {
            "started": self.started.isoformat(),
            "agents": [agent.to_dict() for agent in self.agents.values()],
            "bottlenecks": [each._asdict() for each in self.bottlenecks],
            "critical_path": [step.to_dict() for step in self.critical_path],
            "costliest_path": list(self.costliest_path),
            "waste": self.waste.to_dict(),
            "efficiency": self.efficiency.to_dict(),
            "outcome": None if self.outcome is None else self.outcome.to_dict(),
        }

    def _shown(self) -> Shown:
        cost, time = written.usd(self.total_cost_nanos), written.seconds(self.duration_ms)
        decimals = written.column_decimals(agent.cost_nanos for agent in self.agents.values())
        told = [(agent, written.usd(agent.cost_nanos, decimals=decimals)) for agent in self.agents.values()]
        slowest = f"  Waits for {self.bottleneck_agent}." if self.bottleneck_agent else ""
        return Shown(
            f"{self.workflow_id}: {cost} in {written.plural(self.calls, 'call')}, {time}, {self.status}.{slowest}",
            ["agent", "calls", "tokens", "time", "cost"],
            [
                [
                    agent.agent_id,
                    *map(written.count, (agent.calls, agent.tokens)),
                    written.seconds(agent.duration_ms),
                    said,
                ]
                for agent, said in told
            ],
            [Bar(agent.agent_id, float(agent.cost_nanos or 0), said) for agent, said in told],
        )


def analysis(store: SqlStore, workflow_id: str, root: Node) -> WorkflowAnalysis:
    """Work out what a run says; `root` is its tree."""
    spans, totals = spans_of(root), root.totals
    path, spent = critical_path(root, spans), shares(root, spans)
    agents, lost = agents_of(root, spans, path), waste(store, root)
    cost, duration_us = totals.known_cost_nanos, spans[root.event.event_id].length_us
    found = bottlenecks(root, agents)
    return WorkflowAnalysis(
        workflow_id=workflow_id,
        run_id=root.event.event_id,
        status=root.event.status,
        started=root.event.timestamp,
        duration_ms=duration_us / 1000,
        total_cost_nanos=cost,
        total_tokens=totals.input_tokens + totals.output_tokens,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cached_tokens=totals.cached_tokens,
        calls=totals.calls,
        failed_calls=totals.errors,
        unpriced_calls=totals.unpriced,
        estimated_calls=totals.estimated,
        agents=agents,
        bottleneck_agent=found[0].agent_id if found else next(iter(agents), None),
        bottlenecks=tuple(found),
        critical_path=tuple(path),
        costliest_path=tuple(costliest_path(root)),
        serial_share=_share(spent.serial_us, duration_us),
        parallel_share=_share(spent.parallel_us, duration_us),
        idle_share=_share(spent.idle_us, duration_us),
        waste=lost,
        efficiency=_efficiency(totals, lost, spent, duration_us),
        outcome=outcome_of(child.event for child in root.children),
    )


def agents_of(root: Node, spans: Mapping[str, Span], path: list[CriticalStep]) -> dict[str, AgentUse]:
    """Return what each agent did, the dearest first; agents that come again are one."""
    nodes: dict[str, list[Node]] = {}
    for node in root.walk():
        if node.event.agent_id is not None and node.event.event_type != OUTCOME:
            nodes.setdefault(node.event.agent_id, []).append(node)
    critical: dict[str | None, float] = {}
    for step in path:
        critical[step.agent_id] = critical.get(step.agent_id, 0.0) + step.duration_ms
    found = [
        _agent(agent, of, spans, critical.get(agent, 0.0))
        for agent, of in nodes.items()
        if any(node.event.event_type == "agent" or node.event.is_call for node in of)
    ]
    found.sort(key=lambda agent: (-(agent.cost_nanos or 0), -agent.tokens, agent.agent_id))
    return {agent.agent_id: agent for agent in found}


def bottlenecks(root: Node, agents: Mapping[str, AgentUse]) -> list[Bottleneck]:
    """Return the agent that the run waited for most, and the one that cost most, where that can be told."""
    found = []
    critical = sum(agent.critical_ms for agent in agents.values())
    is_timed = any(
        node.event.latency_ms for node in root.walk() if node.event.is_call or node.event.event_type == "tool"
    )
    if critical and (is_timed or critical * 1000 >= LEAST_TIME_US):
        slowest = max(agents.values(), key=lambda agent: agent.critical_ms)
        found.append(Bottleneck(slowest.agent_id, "time", slowest.critical_ms / critical))
    cost = sum(agent.cost_nanos or 0 for agent in agents.values())
    if cost:
        dearest = max(agents.values(), key=lambda agent: agent.cost_nanos or 0)
        found.append(Bottleneck(dearest.agent_id, "cost", (dearest.cost_nanos or 0) / cost))
    return found


def costliest_path(root: Node) -> list[str]:
    """Return the names from a run down to a call, at each step of what cost most with all that is in it."""
    names, node = [name_of(root)], root
    while node.children:
        dearest = max(node.children, key=lambda child: child.totals.cost_nanos)
        if not dearest.totals.cost_nanos:
            break
        node = dearest
        names.append(name_of(node))
    return names


def _agent(agent_id: str, nodes: list[Node], spans: Mapping[str, Span], critical_ms: float) -> AgentUse:
    ids = {node.event.event_id for node in nodes}
    inside = {child.event.event_id for node in nodes for each in node.children for child in each.walk()}
    top = [node for node in nodes if node.event.event_id not in inside]
    own = totals_by([node.event for node in nodes], lambda _event: (), all_types=False).get((), Totals())
    whole = Totals.of(node.totals for node in top)
    entered = [node for node in nodes if node.event.event_type == "agent"]
    return AgentUse(
        agent_id,
        entries=sum(node.event.parent_id not in ids for node in entered),
        calls=own.calls,
        failed_calls=own.errors,
        unpriced_calls=own.unpriced,
        input_tokens=own.input_tokens,
        output_tokens=own.output_tokens,
        cached_tokens=own.cached_tokens,
        cost_nanos=own.known_cost_nanos,
        cost_with_inside_nanos=whole.known_cost_nanos,
        tokens_with_inside=whole.input_tokens + whole.output_tokens,
        duration_ms=union_us(spans[node.event.event_id] for node in top) / 1000,
        critical_ms=critical_ms,
    )


def _efficiency(totals: Totals, lost: Waste, spent: Shares, duration_us: int) -> Efficiency:
    tokens, busy = totals.input_tokens + totals.output_tokens, spent.serial_us + spent.parallel_us
    return Efficiency(
        waste_share=_share(lost.cost_nanos, totals.cost_nanos),
        resent_share=_share(lost.resent_tokens, lost.explained_tokens),
        cached_share=_share(totals.cached_tokens, totals.input_tokens),
        output_share=_share(totals.output_tokens, tokens),
        error_share=_share(totals.errors, totals.calls),
        busy_share=_share(busy, duration_us),
        parallelism=_share(spent.work_us, busy),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
