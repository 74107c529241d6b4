"""A provider's prompt cache that nobody asked for, where prompts begin with what was just sent."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tc_core.costs.savings.idea import FEWEST_CALLS, MOST_NAMED, Group, Idea
from tc_core.ledger.prefixes import SharedPrefix
from tc_core.meter import prices
from tc_core.model.event import TrackingEvent, to_us


class CacheRule(NamedTuple):
    """What a cache that must be asked for allows."""

    beginnings: tuple[str, ...]
    """How the names of the models begin."""
    least_tokens: int
    lifetime_s: float


RULES = (
    CacheRule(("claude-haiku-4-5", "claude-opus-4-5", "claude-opus-4-6"), 4096, 300),
    CacheRule(("claude-opus-5", "claude-fable-5", "claude-mythos-5"), 512, 300),
    CacheRule(("claude-sonnet-4-6",), 2048, 300),  # sources say 1,024 and 2,048
    CacheRule(("claude-",), 1024, 300),
)
"""By providers' documentation of November 2026; the first that fits holds. Others cache by themselves."""

LIFETIME_S = max(rule.lifetime_s for rule in RULES)


def rule_of(call: TrackingEvent) -> CacheRule | None:
    """Return the rule for a call's model, None where nothing has to be asked for, or nothing is known."""
    found = prices.look_up(call.model or "", call.provider)
    name = (call.model or "") if found is None else found[1].id
    return next((rule for rule in RULES if name.startswith(rule.beginnings)), None)


def ideas(groups: Sequence[Group], prefixes: Mapping[str, SharedPrefix]) -> list[Idea]:
    """Return what the groups would have saved, had the front of their prompts been cached."""
    found = []
    for group in groups:
        rule = rule_of(group.calls[0])
        if rule is None or any(call.cached_tokens or call.cache_write_tokens for call in group.calls):
            continue  # where caching is on, what it misses is another question
        hits = [
            (call, prefixes[call.event_id])
            for call in group.calls
            if call.event_id in prefixes
            and prefixes[call.event_id].shared_tokens >= rule.least_tokens
            and (prefixes[call.event_id].age_s or 0) <= rule.lifetime_s
        ]
        if len(hits) < FEWEST_CALLS:
            continue
        read = [_saved(call, cached=prefix.shared_tokens, written=0) for call, prefix in hits]
        hit_ids = {call.event_id for call, _ in hits}
        size = round(sum(prefix.shared_tokens for _, prefix in hits) / len(hits))
        written = [
            _saved(call, cached=0, written=min(size, call.input_tokens or 0))
            for call in group.calls
            if call.event_id not in hit_ids and (call.input_tokens or 0) >= rule.least_tokens
        ]
        if any(each is None for each in (*read, *written)):
            continue
        saved = sum(each or 0 for each in (*read, *written))  # what is written costs more, so that it counts against it
        if saved <= 0:
            continue
        found.append(
            Idea(
                kind="caching",
                group=group,
                title=f"Have {group.scope.model} cache the front of the prompts of {group.scope}",
                nanos=saved,
                low_nanos=round(saved * 0.7),
                high_nanos=sum(each or 0 for each in read),
                confidence=0.8,
                reasoning=(
                    f"{len(hits):,} of {len(group.calls):,} prompts begin with about {size:,} tokens that were sent to "
                    f"the same model less than {round(rule.lifetime_s / 60)} minutes before, and none was read from a "
                    "cache: mark that front with cache_control."
                ),
                evidence={
                    "calls": len(hits),
                    "shared_tokens": sum(prefix.shared_tokens for _, prefix in hits),
                    "event_ids": [call.event_id for call, _ in hits[:MOST_NAMED]],
                },
            )
        )
    return found


def _saved(call: TrackingEvent, *, cached: int, written: int) -> int | None:
    """Return what a call would have cost less, or more (negative), with so much read from or written to a cache."""
    usage = call.usage._replace(cached_tokens=cached, cache_write_tokens=written)
    price = prices.price_of(
        usage,
        call.model or "",
        served_model=call.served_model,
        provider=call.provider,
        service_tier=call.service_tier,
        at_us=to_us(call.timestamp),
        charges=call.charges,
    )
    return None if price is None else (call.cost_nanos or 0) - price.cost_nanos
