"""A smaller model of the same maker: the actual calls, priced again."""

import statistics
from collections.abc import Sequence

from tc_core.costs.savings.idea import FEWEST_CALLS, Group, Idea
from tc_core.meter import prices
from tc_core.model.event import TrackingEvent, to_us

SMALLER: dict[str, tuple[str, ...]] = {
    "gpt-3.5-turbo": ("gpt-4o-mini",),
    "gpt-4": ("gpt-4o", "gpt-4o-mini", "gpt-4.1-mini"),
    "gpt-4-turbo": ("gpt-4o", "gpt-4o-mini", "gpt-4.1-mini"),
    "gpt-4o": ("gpt-4o-mini", "gpt-4.1-mini"),
    "gpt-4.1": ("gpt-4.1-mini", "gpt-4.1-nano"),
    "gpt-4.1-mini": ("gpt-4.1-nano",),
    "gpt-5": ("gpt-5-mini", "gpt-5-nano"),
    "gpt-5-mini": ("gpt-5-nano",),
    "gpt-5.1": ("gpt-5-mini", "gpt-5-nano"),
    "o1": ("o3", "o4-mini"),
    "o3": ("o4-mini",),
    "claude-3-opus-latest": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "claude-opus-4-0": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "claude-opus-4-1": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "claude-opus-4-5": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "claude-sonnet-4-0": ("claude-haiku-4-5",),
    "claude-sonnet-4-5": ("claude-haiku-4-5",),
    "claude-3-5-sonnet": ("claude-haiku-4-5",),
    "gemini-2.5-pro": ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
    "gemini-2.5-flash": ("gemini-2.5-flash-lite",),
}
"""Smaller siblings of models by the price table's names, the nearest first (looked up in November 2026).

All of them call tools and read images. Those that think are siblings of those that think.
"""

REASONING = ("gpt-5", "o1", "o3", "o4", "claude-haiku-4-5", "claude-sonnet-4", "claude-opus-4", "gemini-2.5")
"""Beginnings of the names of models that can think before they answer."""

LEAST_SHARE = 0.1
"""Saving less of a cost than this is not worth another model."""

SHORT_ANSWER = 300
"""Tokens up to which an answer is a short one."""

_MORE_OUTPUT = 1.25  # a smaller model may be wordier,
_GOES_BACK = 0.1  # and so many calls may have to go to the larger one again


def ideas(groups: Sequence[Group]) -> list[Idea]:
    """Return for each group the smaller model that saves most for how sure it is."""
    used = {(group.scope.who, _table_name(group.calls[0])): group for group in groups}
    found = []
    for group in groups:
        if len(group.calls) >= FEWEST_CALLS:
            options = [_idea(group, model, used) for model in SMALLER.get(_table_name(group.calls[0]) or "", ())]
            fitting = [each for each in options if each is not None]
            if fitting:
                found.append(max(fitting, key=lambda idea: idea.nanos * idea.confidence))
    return found


def _idea(group: Group, model: str, used: dict[tuple[str | None, str | None], Group]) -> Idea | None:
    """Price the calls of a group again, as if another model had been asked; None where it does not fit or save."""
    found = prices.look_up(model, None)
    window = None if found is None else found[1].context_window
    if window is None or not all(_fits(call, model, window) for call in group.calls):
        return None
    repriced = [_cost(call, model) for call in group.calls]
    wordier = [_cost(call, model, output=_MORE_OUTPUT) for call in group.calls]
    known = [each for each in repriced if each is not None]
    careful = [each for each in wordier if each is not None]
    if len(known) < len(repriced) or len(careful) < len(wordier):
        return None
    cost = group.cost_nanos
    saved = cost - sum(known)
    if saved < cost * LEAST_SHARE:
        return None
    low = max(0, round(cost - sum(careful) - _GOES_BACK * cost))
    confidence, why = _confidence(
        group, used.get((group.scope.who, model)), is_used=model in {name for _, name in used}
    )
    return Idea(
        kind="cheaper_model",
        group=group,
        title=f"Try {model} in place of {group.scope.model} for {group.scope}",
        nanos=saved,
        low_nanos=low,
        high_nanos=saved,
        confidence=confidence,
        reasoning=(
            f"The same {len(group.calls):,} calls would have cost {round(100 * sum(known) / cost)} % at {model}, whose "
            f"context holds the longest of them. {why} How good its answers are nobody has measured: try it on "
            "some first."
        ),
        evidence={
            "calls": len(group.calls),
            "cost_nanos": cost,
            "repriced_nanos": sum(known),
            "longest_input": max(call.input_tokens or 0 for call in group.calls),
            "event_ids": group.some,
        },
        suggested_model=model,
    )


def _fits(call: TrackingEvent, model: str, window: int) -> bool:
    """Tell whether a model has room for a call, and can do what the call shows."""
    if (call.input_tokens or 0) + (call.output_tokens or 0) > window:
        return False
    if call.audio_input_tokens or call.audio_output_tokens or call.charges:
        return False
    return not call.reasoning_tokens or model.startswith(REASONING)


def _cost(call: TrackingEvent, model: str, *, output: float = 1.0) -> int | None:
    usage = call.usage._replace(output_tokens=round((call.output_tokens or 0) * output))
    tier = call.service_tier
    price = prices.price_of(usage, model, service_tier=tier, at_us=to_us(call.timestamp))
    return None if price is None else price.cost_nanos


def _confidence(group: Group, same: Group | None, *, is_used: bool) -> tuple[float, str]:
    """Return how sure it is that the smaller model will do, and why."""
    confidence, why = 0.3, ""
    if same is not None and len(same.calls) >= FEWEST_CALLS and _errors(same) <= _errors(group):
        confidence, why = 0.7, f"{group.scope} has asked it {len(same.calls):,} times already, without more errors."
    elif is_used:
        confidence, why = 0.4, "It is in use elsewhere in this store."
    if statistics.median(call.output_tokens or 0 for call in group.calls) <= SHORT_ANSWER:
        confidence += 0.1
        why = f"{why} The answers are short.".strip()
    return round(confidence, 2), why


def _errors(group: Group) -> float:
    return sum(call.status == "error" for call in group.calls) / len(group.calls)


def _table_name(call: TrackingEvent) -> str | None:
    found = prices.look_up(call.model or "", call.provider)
    return None if found is None else found[1].id
