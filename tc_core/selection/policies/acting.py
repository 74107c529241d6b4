"""A policy at work in a process: what each kind has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.part import Decision, Followed, Request
from tc_core.selection.policies.sql import Applied


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of a request that it is about: `arm` 1 where it acts, 0 where it keeps it as it is."""

    arm: int
    decision: Decision | None = None


class Acting(ABC):
    """A policy that is on."""

    def __init__(self, applied: Applied) -> None:
        self.applied, self.policy, self.salt = applied, applied.policy, applied.salt

    @abstractmethod
    def decide(self, request: Request) -> Verdict | None:
        """Say what becomes of a request; None for one that it has no say in."""

    def followed(self, event_id: EventId, what: Followed) -> bool:
        """Take note of what a host has made of a request; tell whether the policy acts by that."""
        return False

    def withdraw(self, event_id: EventId) -> None:  # noqa: B027  # most kinds have nothing to do
        """Forget a request that is not made after all."""

    def rename(self, event_id: EventId, other: EventId) -> None:  # noqa: B027  # most kinds have nothing to do
        """Take note that the event of a request has another id; `followed` comes with the first one."""

    def ended(self, event_id: EventId, record: EventRecord) -> None:  # noqa: B027  # most kinds have nothing to do
        """Take note of how a call has ended, on the writer's thread."""

    def take_saved(self) -> int:
        """Return what was saved since this was last asked, in nano-dollars, beside what the ends of calls say."""
        return 0
