"""Policies that the recorded calls of a period suggest: what each kind would have saved there, by its dry run."""

import re
from collections.abc import Iterator, Sequence

from tc_core.costs.savings import cheaper_models
from tc_core.costs.savings.idea import Scope, groups_of
from tc_core.model.event import TrackingEvent
from tc_core.model.period import Period
from tc_core.selection.policies.dry_run import MOST_CALLS, PolicyDryRun
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.simulation import simulate
from tc_core.store.sql import SqlStore

LEAST_SHARE = 0.005
"""Saving less than this share of the cost of the period is not worth a policy."""
LONG = 8_000
"""From so many tokens on prompts are proposed to be trimmed, or from a half of the longest where none is as long."""
MOST_OF_A_KIND = 5
OUTSIDE = "outside agents"


def proposals(store: SqlStore, period: Period) -> list[PolicyDryRun]:
    """Return policies that would have saved something, those of each kind that saved most first."""
    calls = store.query_events({"event_type": "llm_call"}, period.start, period.end, limit=MOST_CALLS, descending=True)
    calls = [call for call in calls[::-1] if call.status != "open"]
    spent = sum(call.cost_nanos or 0 for call in calls)
    found: list[PolicyDryRun] = []
    for kind in (_routes(calls), _caches(calls), _loops(calls), _trims(calls)):
        runs = [simulate(store, policy, period) for policy in kind]
        worth = [each for each in runs if each.acts and (each.saved_nanos or 0) >= max(1, LEAST_SHARE * spent)]
        found += sorted(worth, key=lambda each: -(each.saved_nanos or 0))[:MOST_OF_A_KIND]
    return sorted(found, key=lambda each: -(each.saved_nanos or 0))


def _routes(calls: Sequence[TrackingEvent]) -> Iterator[Policy]:
    for idea in cheaper_models.ideas(groups_of(calls)):
        whose, to = idea.group.scope, idea.suggested_model
        if to is not None:
            name = _name("route", whose.who or OUTSIDE, to)
            yield Policy(
                name=name, kind="route", filters=_filters(idea.group.calls[0], whose), model=whose.model, to=to
            )


def _caches(calls: Sequence[TrackingEvent]) -> Iterator[Policy]:
    for filters, who in _whose(calls):
        yield Policy(name=_name("cache", who), kind="cache", filters=filters)


def _loops(calls: Sequence[TrackingEvent]) -> Iterator[Policy]:
    for filters, who in _whose(calls):
        yield Policy(name=_name("loop", who), kind="loop", filters=filters)


def _trims(calls: Sequence[TrackingEvent]) -> Iterator[Policy]:
    for filters, who in _whose(calls):
        longest = max((call.input_tokens or 0 for call in calls if _who(call) == who), default=0)
        if longest >= LONG:
            yield Policy(name=_name("trim", who), kind="trim", filters=filters, at=LONG)


def _whose(calls: Sequence[TrackingEvent]) -> list[tuple[dict[str, str | None], str]]:
    """Return the agents, else workflows, that have made calls, each with the filters for it."""
    found: dict[str, dict[str, str | None]] = {}
    for call in calls:
        who = _who(call)
        if who not in found:
            found[who] = _filters(call, Scope(call.agent_id or call.workflow_id, ""))
    return [(filters, who) for who, filters in found.items()]


def _who(call: TrackingEvent) -> str:
    return call.agent_id or call.workflow_id or OUTSIDE


def _filters(call: TrackingEvent, whose: Scope) -> dict[str, str | None]:
    if whose.who is None:
        return {"agent_id": None}
    return {"agent_id" if call.agent_id is not None else "workflow_id": whose.who}


def _name(*parts: str) -> str:
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-").lower() for part in parts)
