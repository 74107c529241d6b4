"""A run: one entry into a workflow, an agent or a chain, with everything below it."""

from dataclasses import dataclass
from typing import Any

from tc_core.model import money
from tc_core.model.event import TrackingEvent
from tc_core.model.totals import Totals


@dataclass(frozen=True, slots=True)
class Run:
    """A root event, the sums over its tree, and how many events that has."""

    event: TrackingEvent
    totals: Totals
    events: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        cost = self.totals.known_cost_nanos
        return {
            **self.event.to_dict(),
            "cost": None if cost is None else money.to_dollars(cost),
            "cost_nanos": cost,
            "calls": self.totals.calls,
            "unpriced_calls": self.totals.unpriced,
            "estimated_calls": self.totals.estimated,
            "failed_calls": self.totals.errors,
            "input_tokens": self.totals.input_tokens,
            "output_tokens": self.totals.output_tokens,
            "events": self.events,
        }
