"""What each kind of policy would have done to recorded calls: the rules of its work, on what the store knows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tc_core.ledger.prompts import PromptReader
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.waste import waste
from tc_core.meter import prices
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.period import Period
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import wait_for_parts
from tc_core.selection.policies.dry_run import MOST_CALLS, PolicyDryRun, calls_of, dry_run, of_period
from tc_core.selection.policies.policy import Policy
from tc_core.store.sql import SqlStore

TO = 0.5
"""A prompt is made as short as this share of what is too much, as the middleware does."""


def simulate(store: SqlStore, policy: Policy, period: Period) -> PolicyDryRun:
    """Return what a policy would have done to the recorded calls of a period."""
    wait_for_parts(store)
    calls = calls_of(store, policy, period)
    if policy.kind == "route":
        found = route(policy, calls)
    elif policy.kind == "trim":
        found = trim(policy, calls)
    elif policy.kind == "cache":
        found = cache(policy, calls, store)
    else:
        found = loop(policy, calls, store, period)
    return of_period(found, period)


def route(policy: Policy, calls: Sequence[TrackingEvent]) -> PolicyDryRun:
    """Price each call as if the other model had been asked; what that cannot take stays as it was."""
    to = policy.to or ""
    found = prices.look_up(to, None)
    window = None if found is None else found[1].context_window
    saved: dict[str, int | None] = {}
    too_long = charged = 0
    for call in calls:
        if window is not None and (call.input_tokens or 0) + (call.output_tokens or 0) > window:
            too_long += 1
        elif call.charges:
            charged += 1
        elif call.cost_nanos is not None and call.price_source != "cache":
            cost = _cost(call, call.usage, to)
            saved[call.event_id] = None if cost is None else call.cost_nanos - cost
    notes = [
        f"before outcomes prove it, {policy.floor:.0%} of the {policy.unit}s are routed, and save as much less".replace(
            "%", " %", 1
        )
    ]
    if saved and all(each is None for each in saved.values()):
        notes = [f"no price is known for {to!r}"]
    if too_long:
        notes.append(f"{_calls(too_long)} more tokens than {to} takes ({window:,}): routed all the same, to an error")
    if charged:
        notes.append(f"{_calls(charged)} charges beside tokens, which {to!r} may not offer: not counted")
    return dry_run(policy, calls, saved, notes)


def trim(policy: Policy, calls: Sequence[TrackingEvent]) -> PolicyDryRun:
    """Follow each conversation: where a prompt is too long it is cut, and what was cut away stays away."""
    cut: dict[tuple[str | None, str | None], int] = {}
    saved: dict[str, int | None] = {}
    for call in calls:
        most, tokens = _most(policy, call), call.input_tokens
        if most is None or tokens is None or call.price_source == "cache":
            continue
        whose = (call.session_id or call.root_id, call.agent_id)
        away = cut.get(whose, 0)
        if away >= tokens:  # another conversation, or one that was cut by the program itself
            away = 0
        is_cut = tokens - away >= most
        if is_cut:
            away = max(0, tokens - max(1, int(most * TO)))
        cut[whose] = away
        if away:
            usage = _shorter(call.usage, tokens - away, is_cut=is_cut)
            cost = _cost(call, usage, call.model or "")
            saved[call.event_id] = None if cost is None or call.cost_nanos is None else call.cost_nanos - cost
    notes = ["how much shorter a prompt can be made is taken for half of what is too long: what must stay may be more"]
    return dry_run(policy, calls, saved, notes if saved else [])


def cache(policy: Policy, calls: Sequence[TrackingEvent], store: SqlStore) -> PolicyDryRun:
    """Go through the calls in order, and answer those whose whole prompt was answered before in words alone."""
    reader, kept = PromptReader(store), dict[tuple[object, ...], int]()
    prompts = {}
    ids = [call.event_id for call in calls]
    for start in range(0, len(ids), 500):
        prompts.update(reader.of(ids[start : start + 500]))
    saved: dict[str, int | None] = {}
    unknown = 0
    for call in calls:
        prompt = prompts.get(call.event_id)
        if prompt is None:
            unknown += 1
            continue
        at_us = to_us(call.timestamp)
        key = (call.provider, call.model, prompt.end.id)
        until_us = kept.get(key)
        if until_us is not None and at_us < until_us and call.price_source != "cache":
            saved[call.event_id] = call.cost_nanos
        elif call.price_source == "cache":
            continue
        elif call.status == "ok" and prompt.answer and not any(node.is_tool_call for node in prompt.answer):
            kept[key] = at_us + round((call.latency_ms or 0) * 1000) + round((policy.ttl_s or 0) * 1e6)
    notes = []
    if saved and policy.temperature == "zero":
        notes.append(
            "temperatures are not recorded: only calls that ask for temperature 0 are answered, or with "
            "temperature=unset those too that say nothing of it"
        )
    if unknown:
        notes.append(f"of {unknown:,} of {len(calls):,} calls no prompt is known (docs/provenance.md says why)")
    return dry_run(policy, calls, saved, notes)


def loop(policy: Policy, calls: Sequence[TrackingEvent], store: SqlStore, period: Period) -> PolicyDryRun:
    """Look for loops as the detector does; the rounds behind the last that is allowed would not have been."""
    filters = {name: list(values) for name, values in policy.filters.items()}
    events = store.query_events(filters, period.start, period.end, limit=MOST_CALLS, descending=True)[::-1]
    limits = PatternLimits(loop_count=policy.rounds or 0)
    found = waste(store, events, ("agent_loop",), limits).patterns
    costs = {call.event_id: call.cost_nanos for call in calls}
    saved: dict[str, int | None] = {}
    for each in found:
        for event_id in _beyond(each, policy.rounds or 0):
            if event_id in costs:
                saved[event_id] = costs[event_id]
    notes = []
    if found:
        agents = "1 agent" if len(found) == 1 else f"{len(found):,} agents"
        notes.append(
            f"{agents} would have been stopped after the {_nth(policy.rounds or 0)} round; only further rounds of the "
            "same count as saved, not what came after them"
        )
    return replace(dry_run(policy, calls, saved, notes), acts=len(found))


def _beyond(pattern: Pattern, rounds: int) -> Sequence[str]:
    """Return the calls behind so many rounds: a call asks for a round, and the one after it is stopped."""
    return pattern.event_ids[rounds:]


def _most(policy: Policy, call: TrackingEvent) -> float | None:
    at = policy.at or 0.0
    if at > 1:
        return at
    found = prices.look_up(call.model or "", call.provider)
    window = None if found is None else found[1].context_window
    return None if window is None else at * window


def _shorter(usage: Usage, tokens: int, *, is_cut: bool) -> Usage:
    """Return the usage of a prompt with fewer tokens; right after it was cut the provider's cache knows none of it."""
    cached = 0 if is_cut else min(usage.cached_tokens or 0, tokens)
    written = None if usage.cache_write_tokens is None else min(usage.cache_write_tokens, tokens - cached)
    return usage._replace(
        input_tokens=tokens, cached_tokens=cached, cache_write_tokens=written, cache_write_1h_tokens=None
    )


def _cost(call: TrackingEvent, usage: Usage, model: str) -> int | None:
    charges: Mapping[str, float] | None = call.charges or None
    priced = prices.price_of(usage, model, service_tier=call.service_tier, at_us=to_us(call.timestamp), charges=charges)
    return None if priced is None else priced.cost_nanos


def _calls(count: int) -> str:
    return "1 call has" if count == 1 else f"{count:,} calls have"


def _nth(count: int) -> str:
    return {2: "second", 3: "third"}.get(count, f"{count}th")
