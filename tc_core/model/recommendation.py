"""A recommendation: what to change, what that would have saved, and why it is thought so."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to change, and what it would have saved of the money in question, in US dollars.

    `savings` is what the actual events would have cost less; `savings_low` and `savings_high` say how sure that is.
    `confidence` runs from 0 to 1. `evidence` has the ids of events and the figures that it rests on. `monthly_savings`
    is the same for 30 days at the rate of the period, None where that is too short to say. `quality_delta` is the
    expected change of quality, None where nothing is known of it. Models are named where it is about them, and
    `time_saved_ms` is how much sooner a run would have ended, where it is about time.
    """

    kind: str
    title: str
    savings: float | None = None
    savings_low: float | None = None
    savings_high: float | None = None
    confidence: float = 1.0
    evidence: Mapping[str, Any]
    reasoning: str
    suggested_model: str | None = None
    current_model: str | None = None
    monthly_savings: float | None = None
    quality_delta: float | None = None
    time_saved_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**plain, "evidence": dict(self.evidence)}
