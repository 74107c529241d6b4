"""What a cache that was missed has cost: the call as it was billed, and as it would have been."""

from tc_core.meter import prices
from tc_core.model.event import TrackingEvent, to_us


def cost_of_miss(event: TrackingEvent, lost: int) -> int | None:
    """Return by how much, in nano-dollars, a call would have been cheaper had `lost` more tokens come from the cache.

    None without a price, or where the table has none for cached tokens.
    """
    if event.cost_nanos is None or event.input_tokens is None:
        return None
    cached, written = event.cached_tokens or 0, event.cache_write_tokens or 0
    kept = max(0, written - lost)
    better = event.usage._replace(
        cached_tokens=min(event.input_tokens - kept, cached + lost),
        cache_write_tokens=kept if event.cache_write_tokens is not None else None,
        cache_write_1h_tokens=None if event.cache_write_1h_tokens is None else min(kept, event.cache_write_1h_tokens),
    )
    costs = [
        prices.price_of(
            usage,
            event.model or event.served_model or "",
            served_model=event.served_model,
            provider=event.provider,
            service_tier=event.service_tier,
            at_us=to_us(event.timestamp),
            charges=event.charges or None,
        )
        for usage in (event.usage, better)
    ]
    was, would_be = costs
    if was is None or would_be is None:
        return None
    saved = was.cost_nanos - would_be.cost_nanos
    if was.cost_nanos and was.cost_nanos != event.cost_nanos:  # a bill of the provider's own: in proportion
        saved = saved * event.cost_nanos // was.cost_nanos
    return min(max(0, saved), event.cost_nanos)
