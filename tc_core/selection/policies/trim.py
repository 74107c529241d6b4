"""Trim: long prompts are made shorter before they are sent, as `ConversationMonitor` does it, where the host can."""

from tc_core.model.ids import EventId
from tc_core.model.part import Decision, Followed, Request
from tc_core.selection.policies.acting import Acting, Verdict
from tc_core.selection.policies.sql import Applied


class Trim(Acting):
    """Has the host make prompts shorter; only the host knows whether one was too long."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied)
        self._verdict = Verdict(0, Decision(compress_at=self.policy.at))

    def decide(self, request: Request) -> Verdict | None:
        """Ask for a shorter prompt where it is too long."""
        return self._verdict if request.can_shorten else None

    def followed(self, event_id: EventId, what: Followed) -> bool:
        """Tell whether a prompt is made shorter."""
        return what.is_shortened
