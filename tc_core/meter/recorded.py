"""What a call that is recorded costs by the prices that are known now, for the day on which it was made."""

from collections.abc import Sequence
from typing import Any

from tc_core.meter import prices
from tc_core.model.event import TrackingEvent, to_us
from tc_core.model.ports import CostPart, Priced


def price_of(event: TrackingEvent) -> Priced | None:
    """Price a recorded call; None where no price is known, or for a kind that it used."""
    name = event.model or event.served_model
    return None if name is None else prices.price_of(event.usage, name, **_facts(event))


def price_at(event: TrackingEvent, at_us: int) -> Priced | None:
    """Price a recorded call as if it had been made at another moment (microseconds UTC)."""
    name = event.model or event.served_model
    return None if name is None else prices.price_of(event.usage, name, **_facts(event) | {"at_us": at_us})


def parts_of(event: TrackingEvent) -> list[CostPart]:
    """Return the lines of which the cost of a recorded call would be the sum."""
    name = event.model or event.served_model
    return [] if name is None or not event.is_call else prices.cost_parts(event.usage, name, **_facts(event))


def total(parts: Sequence[CostPart]) -> int | None:
    """Return the sum of some lines in nano-dollars; None where one of them has no price."""
    nanos = [part.cost_nanos for part in parts if part.cost_nanos is not None]
    return sum(nanos) if len(nanos) == len(parts) else None


def _facts(event: TrackingEvent) -> dict[str, Any]:
    return {
        "served_model": event.served_model,
        "provider": event.provider,
        "service_tier": event.service_tier,
        "at_us": to_us(event.timestamp),
        "charges": event.charges,
    }
