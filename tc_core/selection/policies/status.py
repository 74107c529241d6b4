"""How policies stand, and who has changed them: what `PolicyManager` answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tc_core.costs.scenarios import dollars
from tc_core.selection.policies import sql
from tc_core.selection.policies.evidence import Counts, is_not_worse
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.sql import Sums

NO_SUMS, NO_COUNTS = Sums(), Counts()


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """How a policy stands: `state` is `on`, `undone`, `rolled back`, or `off` for one that was never applied.

    `acted` and `kept` are what became of the calls that it changed, and of those that it was about and left as they
    were; `routed` and `as_before` how many runs of each came out well, of those that outcomes are known of.
    """

    policy: Policy
    state: str
    since: datetime | None = None
    acted: Sums = NO_SUMS
    kept: Sums = NO_SUMS
    routed: Counts = NO_COUNTS
    as_before: Counts = NO_COUNTS

    @property
    def is_on(self) -> bool:
        """Whether it holds."""
        return self.state == sql.ON

    @property
    def is_proven(self) -> bool:
        """Whether outcomes prove that what is routed is not worse, by more than the margin."""
        return is_not_worse(*self.as_before, *self.routed, self.policy.margin or 0.0)

    @property
    def saved(self) -> float | None:
        """What it has saved since it is on, in US dollars."""
        return dollars(self.acted.saved_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "policy": self.policy.to_dict(),
            "state": self.state,
            "since": self.since and self.since.isoformat(),
            "acted": self.acted._asdict(),
            "kept": self.kept._asdict(),
            "routed": self.routed._asdict(),
            "as_before": self.as_before._asdict(),
            "is_proven": self.is_proven,
            "saved": self.saved,
        }


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One line of the log: `kind` is applied, changed, undone or rolled back."""

    at: datetime
    name: str
    kind: str
    by: str
    why: str | None
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "at": self.at.isoformat(), "details": dict(self.details)}
