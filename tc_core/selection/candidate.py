"""A candidate: a model that was looked at, what the calls would have cost with it, and why it is kept or dropped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tc_core.model import money
from tc_core.model.recommendation import Recommendation
from tc_core.selection.facts import ModelFacts
from tc_core.selection.quality import Quality

MAY_THINK = "may think before it answers, which costs output tokens that these calls do not have"
"""A doubt about a model in place of one that does not."""


class Dropped(NamedTuple):
    """Why a candidate is dropped: by which requirement, or by what the calls need; and in words."""

    by: str
    why: str


class Latency(NamedTuple):
    """What half of the calls, and 95 of 100, do not exceed; `calls` is None where the user states it."""

    p50_ms: float
    p95_ms: float
    calls: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCandidate:
    """A model, as an answer to the question.

    `cost_nanos` is what the same calls would have cost in nano-dollars, None where it has no price for them.
    `used_by` is `agent` where the agent asks it already, `store` where another does. `is_on_front` is None where the
    quality is unknown, so that nothing can be said of it. `dropped` is empty for one that is kept.
    """

    model: str
    facts: ModelFacts
    cost_nanos: int | None
    saved_nanos: int | None
    is_current: bool = False
    used_by: str | None = None
    error_share: float | None = None
    quality: Quality | None = None
    latency: Latency | None = None
    is_on_front: bool | None = None
    dropped: tuple[Dropped, ...] = ()
    doubts: tuple[str, ...] = field(default=())

    @property
    def is_kept(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.dropped

    @property
    def reason(self) -> str:
        """Why it was kept or dropped, in words."""
        if self.dropped:
            return "; ".join(each.why for each in self.dropped)
        said = "the current model" if self.is_current else "fits"
        return "; ".join((said, *self.doubts))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "model": self.model,
            "provider": self.facts.provider,
            "is_current": self.is_current,
            "is_kept": self.is_kept,
            "is_on_front": self.is_on_front,
            "cost": None if self.cost_nanos is None else money.to_dollars(self.cost_nanos),
            "cost_nanos": self.cost_nanos,
            "savings": None if self.saved_nanos is None else money.to_dollars(self.saved_nanos),
            "quality": None if self.quality is None else self.quality.to_dict(),
            "latency_ms": None if self.latency is None else self.latency._asdict(),
            "longest_input": self.facts.longest_input,
            "longest_output": self.facts.longest_output,
            "modalities": None if self.facts.modalities is None else sorted(self.facts.modalities),
            "tools": self.facts.tools,
            "regions": None if self.facts.regions is None else sorted(self.facts.regions),
            "used_by": self.used_by,
            "dropped_by": [each.by for each in self.dropped],
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecommendation(Recommendation):
    """A recommendation of a model, with all the models that were looked at, those that fit and cost least first.

    `suggested_model` is None where no model is worth changing to; `reasoning` then says why. `quality_delta` is the
    difference of two qualities from 0 to 1 of the same source.
    """

    candidates: tuple[ModelCandidate, ...] = ()
    requirements: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alternatives(self) -> list[ModelCandidate]:
        """Those that fit, beside the suggested and the current one."""
        return [
            each
            for each in self.candidates
            if each.is_kept and not each.is_current and each.model != self.suggested_model
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        # a class with slots is made anew, so that super() without arguments would not find it
        plain = Recommendation.to_dict(self)
        return plain | {
            "candidates": [each.to_dict() for each in self.candidates],
            "requirements": dict(self.requirements),
        }
