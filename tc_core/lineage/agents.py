"""How well agents do: success, time, and what a success costs, each with how sure that is."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tc_core.lineage import sql
from tc_core.lineage.sql import AgentEvent
from tc_core.model import money
from tc_core.model.event import BROKEN_OFF
from tc_core.model.period import Period
from tc_core.model.ports import Filters
from tc_core.store.sql import SqlStore

LEAST = 10
"""Fewer finished runs of an agent say too little to compare it by."""

_Z = 1.959964
"""Of an interval that holds the true value 95 times in 100."""
_RESAMPLES = 1000
_UNFINISHED = BROKEN_OFF | {"open"}


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and where the true one lies, 95 times in 100; all None where nothing is known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class AgentPerformance:
    """How one agent did.

    `unit` is what is counted: its `runs`, or its `calls` where no runs of it are recorded. Of those that are `finished`
    `successes` ended well; `unfinished` ones (open, cancelled, abandoned) count as neither. `is_enough` says whether
    there are enough to compare by. `latency_ms` is the median of successes. `cost_per_success` has what failures cost
    in it, and is unknown where a call has no price. `retries` is how many of its calls try another one again.
    """

    agent_id: str
    unit: str
    finished: int
    successes: int
    unfinished: int
    success_rate: Interval
    latency_ms: Interval
    latency_p95_ms: float | None
    cost_per_success: Interval
    cost_nanos: int | None
    calls: int
    unpriced_calls: int
    retries: int
    cached_share: float | None
    is_enough: bool

    @property
    def cost(self) -> float | None:
        """What all its calls cost, in dollars; None where no call has a price."""
        return None if self.cost_nanos is None else money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain: dict[str, Any] = {"cost": self.cost}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Interval):
                plain |= {each.name: value.value, f"{each.name}_low": value.low, f"{each.name}_high": value.high}
            else:
                plain[each.name] = value
        return plain


def of_store(store: SqlStore, filters: Filters, asked: Period, *, least: int) -> list[AgentPerformance]:
    """Return how the agents of a store did in some time."""
    with store.question() as connection:
        events = sql.of_agents(connection, store, filters, asked)
        retries = sql.retries_by_agent(connection, {event.key for event in events if event.is_call})
    return performance(events, retries, least=least)


def performance(
    events: Sequence[AgentEvent], retries: Mapping[str, int] | None = None, *, least: int = LEAST
) -> list[AgentPerformance]:
    """Return how the agents did whose events these are, those that cost most first.

    `retries` is how many calls of each agent try another one again.
    """
    by_agent: dict[str, list[AgentEvent]] = {}
    for event in events:
        by_agent.setdefault(event.agent_id, []).append(event)
    parents = {event.key: event.parent for event in events}
    found = [_of(agent, own, parents, (retries or {}).get(agent, 0), least) for agent, own in by_agent.items()]
    return sorted(found, key=lambda each: (-(each.cost_nanos or 0), -each.finished, each.agent_id))


def wilson(successes: int, of: int) -> Interval:
    """Return a share with Wilson's interval, which stays inside 0 to 1 and is honest where there are few.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not of:
        return Interval()
    share, square = successes / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def median(values: Iterable[float]) -> Interval:
    """Return the middle value; the interval is between two of the values themselves, whatever their distribution."""
    ordered = sorted(values)
    count = len(ordered)
    if not count:
        return Interval()
    half = _Z * sqrt(count) / 2
    low, high = int(max(0, count / 2 - half)), int(min(count - 1, count / 2 + half))
    return Interval(float(np.median(ordered)), ordered[low], ordered[high])


def cost_per_success(costs: Sequence[int], succeeded: Sequence[bool]) -> Interval:
    """Return what a success costs in dollars, failures included; the interval is of 1,000 samples drawn from these.

    The samples are the same each time. Without a success there is no such cost.
    """
    successes = sum(succeeded)
    if not successes:
        return Interval()
    nanos, good = np.array(costs, np.float64), np.array(succeeded, np.float64)
    value = float(nanos.sum()) / successes
    drawn = np.random.default_rng(0).integers(0, len(nanos), (_RESAMPLES, len(nanos)))
    totals, counts = nanos[drawn].sum(axis=1), good[drawn].sum(axis=1)
    ratios: NDArray[np.float64] = totals[counts > 0] / counts[counts > 0]
    low, high = np.percentile(ratios, [2.5, 97.5])
    per_dollar = money.NANOS_PER_DOLLAR
    return Interval(value / per_dollar, min(float(low), value) / per_dollar, max(float(high), value) / per_dollar)


def _of(
    agent: str, own: Sequence[AgentEvent], parents: Mapping[int, int | None], retries: int, least: int
) -> AgentPerformance:
    calls = [event for event in own if event.is_call and event.status != "open"]
    runs = [event for event in own if event.event_type == "agent"]
    units = runs or calls
    finished = [event for event in units if event.status not in _UNFINISHED]
    succeeded = [event.status == "ok" for event in finished]
    known = [event.cost_nanos for event in calls if event.cost_nanos is not None]
    costs = (
        _cost_by_run(calls, {event.key for event in runs}, parents)
        if runs
        else {event.key: event.cost_nanos or 0 for event in calls}
    )
    times = [event.latency_ms for event in finished if event.latency_ms is not None and event.status == "ok"]
    input_tokens = sum(event.input_tokens or 0 for event in calls)
    unpriced = sum(event.cost_nanos is None and (event.has_usage or event.status != "error") for event in calls)
    cost = Interval()
    if known and not unpriced:
        cost = cost_per_success([costs.get(event.key, 0) for event in finished], succeeded)
    return AgentPerformance(
        agent_id=agent,
        unit="runs" if runs else "calls",
        finished=len(finished),
        successes=sum(succeeded),
        unfinished=len(units) - len(finished),
        success_rate=wilson(sum(succeeded), len(finished)),
        latency_ms=median(times),
        latency_p95_ms=float(np.percentile(times, 95)) if times else None,
        cost_per_success=cost,
        cost_nanos=sum(known) if known else None,
        calls=len(calls),
        unpriced_calls=unpriced,
        retries=retries,
        cached_share=sum(event.cached_tokens or 0 for event in calls) / input_tokens if input_tokens else None,
        is_enough=len(finished) >= least,
    )


def _cost_by_run(
    calls: Iterable[AgentEvent], runs: Collection[int], parents: Mapping[int, int | None]
) -> dict[int, int]:
    """Return what the calls of an agent cost, by the run of it that each lies in."""
    found: dict[int, int] = {}
    for call in calls:
        above, seen = call.parent, set[int]()
        while above is not None and above not in runs and above not in seen:
            seen.add(above)
            above = parents.get(above)
        if above is not None and above in runs:
            found[above] = found.get(above, 0) + (call.cost_nanos or 0)
    return found
