"""Route: calls of one model go to a cheaper one, of few runs at first, and of more as outcomes prove that it does."""

from collections import OrderedDict, deque
from hashlib import blake2b

from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.model.part import Decision, Request
from tc_core.selection.policies.acting import Acting, Verdict
from tc_core.selection.policies.evidence import Counts, share
from tc_core.selection.policies.sql import Applied, Unit

MOST_REMEMBERED = 10_000


class Route(Acting):
    """Sends runs to the cheaper model: which, a keyed hash of the run says, so that all processes agree."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied)
        self.share = self.policy.floor or 0.0
        self.units: deque[Unit] = deque()
        """Runs that were assigned, and that the store does not know of yet."""
        self._arms: OrderedDict[str, int] = OrderedDict()

    def decide(self, request: Request) -> Verdict | None:
        """Send the call to the cheaper model where its run is assigned to that."""
        if request.model != self.policy.model or not request.can_swap:
            return None
        unit = self._unit(request)
        if unit is None:
            return None
        arm = self._arms.get(unit)
        if arm is None:
            arm = self._assigned(unit)
        return Verdict(arm, Decision(model=self.policy.to) if arm else None)

    def learn(self, kept: Counts, routed: Counts) -> None:
        """Route as many runs as their outcomes allow."""
        self.share = share(kept, routed, floor=self.policy.floor or 0.0, margin=self.policy.margin or 0.0)

    def take_units(self) -> list[Unit]:
        """Return the runs that were assigned since this was last asked."""
        found = []
        while self.units:
            found.append(self.units.popleft())
        return found

    def _unit(self, request: Request) -> str | None:
        if self.policy.unit == "session":
            return request.scope.session_id
        root: EventId | None = request.root_id or request.event_id
        return None if root is None else ids.to_text(root)

    def _assigned(self, unit: str) -> int:
        arm = self._arms[unit] = int(place(self.salt, unit) < self.share)
        if len(self._arms) > MOST_REMEMBERED:
            self._arms.popitem(last=False)
        self.units.append(Unit(self.salt, unit, arm, clock.wall_ns() // 1000))
        return arm


def place(salt: str, unit: str) -> float:
    """Return where a run stands between 0 and 1: assigned are those below the share."""
    digest = blake2b(unit.encode("utf-8", "surrogatepass"), key=bytes.fromhex(salt), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
