"""What a provider states beside its counts: the cost that it bills, and the kind of processing that is paid for."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tc_core.model import money
from tc_core.model.event import MOST_COST_NANOS

Fields = Mapping[str, Any]

_STANDARD = frozenset({"", "default", "auto", "standard", "on_demand", "unspecified", "not_available"})
_PREFIXES = ("service_tier_", "traffic_type_", "on_demand_")
_XAI_TICKS_PER_NANO = 10
_EVERYWHERE = frozenset({"", "global", "not_available"})


def billed_nanos(part: Fields, faults: list[str]) -> int | None:
    """Return the cost that the provider or router itself states, in nano-dollars; None where it states none.

    OpenRouter states it as `cost`, and of calls on the user's own key only its fee, beside which the maker's price is
    told; Perplexity with its parts; xAI in ticks of 0.1 nano-dollars; LiteLLM on the answer. A zero of LiteLLM's is a
    model that it does not know.
    """
    usage = part["usage"]
    ticks = usage.get("cost_in_usd_ticks")
    if type(ticks) is int and ticks >= 0:
        return _bounded(Decimal(ticks) / _XAI_TICKS_PER_NANO / money.NANOS_PER_DOLLAR, faults)
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if cost is None:
        return _nanos(part.get("response_cost"), faults) or None
    nanos = _nanos(cost, faults)
    if nanos is None or usage.get("is_byok") is not True:
        return nanos
    details = usage.get("cost_details")
    upstream = details.get("upstream_inference_cost") if isinstance(details, dict) else None
    of_maker = _nanos(upstream, faults)
    return None if of_maker is None else nanos + of_maker


def service_tier(part: Fields) -> str | None:
    """Return the kind of processing in small letters (`flex`, `priority`, `batch`, `fast`, ...); None for standard."""
    usage = part["usage"]
    if usage.get("speed") == "fast":
        return "fast"
    for told in (part.get("service_tier"), *map(usage.get, _TIERS)):
        if told is not None and (tier := _tier(told)) is not None:
            return tier
    return None


_TIERS = ("service_tier", "serviceTier", "traffic_type", "trafficType")


def inference_geo(part: Fields) -> str | None:
    """Return the region to which Anthropic bound the call, which costs more; None for anywhere."""
    geo = part["usage"].get("inference_geo")
    return geo if isinstance(geo, str) and geo not in _EVERYWHERE else None


def _tier(told: object) -> str | None:
    if type(told) is str and told in _STANDARD:
        return None
    if not isinstance(told, str) or not told.replace("_", "").replace("-", "").isalnum():
        return None
    tier = told.lower()
    for prefix in _PREFIXES:
        tier = tier.removeprefix(prefix)
    return None if tier in _STANDARD else tier


def _nanos(cost: object, faults: list[str]) -> int | None:
    if cost is None:
        return None
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not abs(cost) < MOST_COST_NANOS:
        faults.append("cost is no cost")  # what is not a number is not below that either
        return None
    return _bounded(Decimal(repr(cost)), faults)


def _bounded(dollars: Decimal, faults: list[str]) -> int | None:
    nanos = money.to_nanos(dollars)
    if 0 <= nanos <= MOST_COST_NANOS:
        return nanos
    faults.append("cost is no cost")
    return None
