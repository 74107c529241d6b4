"""Recommendations from patterns: each cause of waste once, with what the actual events would have cost without it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from tc_core.ledger.prompts import shared
from tc_core.lineage.patterns.cache_cost import cost_of_miss
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.patterns.seen import Seen
from tc_core.meter.cache_rules import rule_for
from tc_core.model import money
from tc_core.model.recommendation import Recommendation

MONTH = timedelta(days=30)
LEAST_SPAN = timedelta(days=1)
MOST_EVENTS = 100
"""So many ids of events are named as evidence."""


class _Said(NamedTuple):
    title: str
    confidence: float
    reasoning: str


_SAID: Mapping[str, _Said] = {
    "duplicate": _Said(
        "Keep answers instead of asking for them again",
        0.9,
        "These calls sent a prompt that the same model had answered before, and paid for the answer again.",
    ),
    "near_duplicate": _Said(
        "Keep answers to questions that differ only in their instructions",
        0.6,
        "These calls asked what had been asked; only a changing part of the instructions made them new.",
    ),
    "retry_storm": _Said(
        "Cap retries and wait longer between them",
        0.8,
        "These calls failed one after another, and what was billed for them brought nothing.",
    ),
    "agent_loop": _Said(
        "End loops of agents",
        0.8,
        "These calls asked for what the agent had been told already, and were told the same.",
    ),
    "cache_break": _Said(
        "Keep the front of prompts as it was, so that the provider's cache has it",
        0.9,
        "These calls paid the full price for a front that the cache would have had.",
    ),
}


def of_patterns(patterns: Iterable[Pattern], span: timedelta) -> list[Recommendation]:
    """Return one recommendation for each cause that has wasted money; `span` is the time that the events cover.

    The patterns must be such that no event's cost is in two of them, as `exclusive` makes them: so are the savings.
    """
    groups: dict[tuple[str, str | None, str | None], list[Pattern]] = {}
    for each in patterns:
        if each.kind in _SAID and each.cost_nanos:
            cause = each.evidence.get("cause")
            if cause != "none_on_our_side":
                groups.setdefault((each.kind, cause, each.evidence.get("agent")), []).append(each)
    found = [_recommendation(kind, cause, agent, group, span) for (kind, cause, agent), group in groups.items()]
    return sorted(found, key=lambda each: (-(each.savings or 0), each.kind, each.title))


def _recommendation(
    kind: str, cause: str | None, agent: str | None, group: Sequence[Pattern], span: timedelta
) -> Recommendation:
    said = _SAID[kind]
    nanos = sum(each.cost_nanos or 0 for each in group)
    sure = sum(each.cost_nanos or 0 for each in group if each.evidence.get("in_one_run", True))
    events = [event_id for each in group for event_id, wasted in each.wasted_nanos.items() if wasted]
    whose = f" ({agent})" if agent else ""
    because = f" Cause: {group[0].evidence['because']}." if cause else ""
    return Recommendation(
        kind=kind,
        title=f"{said.title}{whose}",
        savings=money.to_dollars(nanos),
        savings_low=money.to_dollars(round(sure * said.confidence)),
        savings_high=money.to_dollars(nanos),
        confidence=said.confidence,
        evidence={
            "event_ids": events[:MOST_EVENTS],
            "events": len(events),
            "findings": len(group),
            **({"cause": cause} if cause else {}),
        },
        reasoning=f"{said.reasoning}{because} {group[0].advice}",
        monthly_savings=monthly(nanos, span),
    )


def monthly(nanos: int, span: timedelta) -> float | None:
    """Return what would be saved in 30 days at the rate of a period; None where that is shorter than a day."""
    return None if span < LEAST_SPAN else money.to_dollars(round(nanos * (MONTH / span)))


def of_unmarked_caches(calls: Iterable[Seen], taken: Mapping[str, int], span: timedelta) -> list[Recommendation]:
    """Return what marking prompts for the cache would have saved, where a provider caches only what is marked.

    `taken` is what of each event's cost is saved by others already. What is written to the cache is paid for as well,
    so that a conversation of one turn loses by it: it is priced in.
    """
    lines: dict[tuple[str, str | None, str | None], list[Seen]] = {}
    for each in calls:
        event = each.event
        rule = rule_for(event.served_model or event.model, event.provider)
        if rule is None or not rule.is_marked or each.prompt is None or not each.is_ok or event.cost_nanos is None:
            continue
        lines.setdefault((each.scope, event.agent_id, event.model), []).append(each)
    sums: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for (_scope, agent, model), line in lines.items():
        if any(each.event.cached_tokens or each.event.cache_write_tokens for each in line):
            continue  # marked already
        saved = _saved(line, taken)
        if saved:
            group = sums.setdefault((agent, model), {"nanos": 0, "event_ids": []})
            group["nanos"] += sum(saved.values())
            group["event_ids"] += list(saved)
    return [
        Recommendation(
            kind="mark_for_cache",
            title=f"Mark the prompts of {agent or model} for the provider's cache",
            savings=money.to_dollars(group["nanos"]),
            savings_low=money.to_dollars(group["nanos"] // 2),
            savings_high=money.to_dollars(group["nanos"]),
            confidence=0.7,
            evidence={"event_ids": group["event_ids"][:MOST_EVENTS], "events": len(group["event_ids"])},
            reasoning="This provider caches only what a request marks (cache_control), and none of these did, although "
            "each began with what the one before had sent. The price of writing to the cache is taken off.",
            current_model=model,
            monthly_savings=monthly(group["nanos"], span),
        )
        for (agent, model), group in sums.items()
        if group["nanos"] > 0
    ]


def _saved(line: Sequence[Seen], taken: Mapping[str, int]) -> dict[str, int]:
    """Return what each call of a conversation would have cost less; nothing where the whole would have cost more."""
    found: dict[str, int] = {}
    before: Seen | None = None
    for each in line:
        event, rule = each.event, rule_for(each.event.served_model or each.event.model, each.event.provider)
        if before is not None and before.prompt is not None and each.prompt is not None and rule is not None:
            common = shared(before.prompt.end, each.prompt.end)
            weight = 0 if common is None else common.prefix
            front = round(weight * (event.input_tokens or 0) / each.prompt.weight)
            pause_s = (each.start_us - before.start_us) / 1_000_000
            if front >= rule.least_tokens and pause_s <= (rule.kept_s or 0):
                left = (event.cost_nanos or 0) - taken.get(event.event_id, 0)
                found[event.event_id] = min(left, cost_of_miss(event, front) or 0)
        before = each
    return found
