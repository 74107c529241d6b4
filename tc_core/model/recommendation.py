"""A recommendation: what would save money, how much, and how that is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What would have saved money, in US dollars of the calls that were looked at.

    `savings` lies between `savings_low` and `savings_high`, the same by more and less careful assumptions;
    `monthly_savings` is what it comes to in 30 days. `confidence` runs from 0 to 1. `evidence` holds the figures and
    the ids of some of the calls. `quality_delta` is by how much answers get better or worse, in percent, None where
    nobody has measured that. Fields that do not apply are None.
    """

    kind: str
    title: str
    savings: float
    savings_low: float
    savings_high: float
    confidence: float
    evidence: Mapping[str, Any] = field(default_factory=dict)
    reasoning: str = ""
    suggested_model: str | None = None
    current_model: str | None = None
    monthly_savings: float | None = None
    quality_delta: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"evidence": dict(self.evidence)}
