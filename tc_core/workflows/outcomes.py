"""How runs came out: an outcome is a small event under its run, so that it may be said at any time, from anywhere."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tc_core.model.event import TrackingEvent
from tc_core.store.base import StorageBackend

OUTCOME = "outcome"
"""The type of the event."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a run succeeded, and what that was worth, in whatever unit the user counts."""

    success: bool
    value: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"success": self.success, "value": self.value}


def save(storage: StorageBackend, workflow_id: str, event_id: str, outcome: Outcome) -> None:
    """Note how a run came out; ValueError for a value that is no finite number."""
    value = outcome.value
    if value is not None and not (type(value) in (int, float) and math.isfinite(value)):
        raise ValueError(f"the value of an outcome must be a number, not {value!r}")
    storage.save_event(
        TrackingEvent(
            event_type=OUTCOME,
            name="success" if outcome.success else "failure",
            parent_id=event_id,
            workflow_id=workflow_id,
            metadata=outcome.to_dict(),
        )
    )


def outcome_of(events: Iterable[TrackingEvent]) -> Outcome | None:
    """Return what was said last of how a run came out, among the events right below it."""
    said = [event for event in events if event.event_type == OUTCOME]
    if not said:
        return None
    latest = max(said, key=lambda event: event.timestamp)
    return Outcome(bool(latest.metadata.get("success")), latest.metadata.get("value"))
