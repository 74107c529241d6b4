"""What the ways to save share: the calls of one agent and one model, and what could be saved of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tc_core.model.event import TrackingEvent

SavingKind = Literal["cheaper_model", "caching", "batch", "trimming"]

FEWEST_CALLS = 5
"""So many calls of a kind are evidence."""

MOST_NAMED = 5
"""So many calls are named as evidence."""


class Scope(NamedTuple):
    """Whose calls, and of which model; None stands for calls outside agents and workflows."""

    who: str | None
    model: str

    def __str__(self) -> str:
        return self.who or "calls outside agents"


@dataclass(frozen=True, slots=True)
class Group:
    """The priced calls of a scope, in order of time."""

    scope: Scope
    calls: Sequence[TrackingEvent]

    @property
    def cost_nanos(self) -> int:
        """What they cost."""
        return sum(call.cost_nanos or 0 for call in self.calls)

    @property
    def some(self) -> list[str]:
        """The ids of the dearest, as evidence."""
        dearest = sorted(self.calls, key=lambda call: -(call.cost_nanos or 0))
        return [call.event_id for call in dearest[:MOST_NAMED]]


@dataclass(frozen=True, slots=True)
class Idea:
    """What could be saved of a group's cost, looked at alone."""

    kind: SavingKind
    group: Group
    title: str
    nanos: int
    low_nanos: int
    high_nanos: int
    confidence: float
    reasoning: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    suggested_model: str | None = None


def groups_of(calls: Sequence[TrackingEvent]) -> list[Group]:
    """Sort priced calls by agent, else workflow, and model."""
    found: dict[Scope, list[TrackingEvent]] = {}
    for call in calls:
        if call.cost_nanos and call.model and call.event_type == "llm_call":
            found.setdefault(Scope(call.agent_id or call.workflow_id, call.model), []).append(call)
    return [Group(scope, each) for scope, each in found.items()]
