"""A dry run: what a policy would have done to the recorded calls of a period, each priced again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tc_core.costs.replay import is_counted
from tc_core.costs.scenarios import dollars
from tc_core.model.event import TrackingEvent
from tc_core.model.period import Period
from tc_core.selection.policies.policy import Policy
from tc_core.store.sql import SqlStore

MOST_CALLS = 100_000
"""So many of the latest calls are looked at."""
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class PolicyDryRun:
    """What a policy would have saved of a period.

    `calls` are those that it is about, `acts` those that it would have changed. `cost_nanos` is what the calls have
    cost, None where none has a price; `saved_nanos` what it would have been less. `event_ids` are some of the calls
    that it would have changed; `notes` say what there is to doubt.
    """

    policy: Policy
    calls: int
    acts: int
    cost_nanos: int | None
    saved_nanos: int | None
    days: int
    start: datetime | None = None
    end: datetime | None = None
    event_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def saved(self) -> float | None:
        """What would have been saved, in US dollars."""
        return dollars(self.saved_nanos)

    @property
    def cost(self) -> float | None:
        """What the calls have cost, in US dollars."""
        return dollars(self.cost_nanos)

    @property
    def monthly_saved(self) -> float | None:
        """What that comes to in 30 days like those of the period."""
        return None if self.saved is None or not self.days else self.saved * 30 / self.days

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "policy": self.policy.to_dict(),
            "calls": self.calls,
            "acts": self.acts,
            "cost": self.cost,
            "cost_nanos": self.cost_nanos,
            "saved": self.saved,
            "saved_nanos": self.saved_nanos,
            "monthly_saved": self.monthly_saved,
            "days": self.days,
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "event_ids": list(self.event_ids),
            "notes": list(self.notes),
        }


def calls_of(store: SqlStore, policy: Policy, period: Period) -> list[TrackingEvent]:
    """Return the recorded calls that a policy is about, in order of time."""
    filters: dict[str, Any] = {name: list(values) for name, values in policy.filters.items()}
    filters["event_type"] = "llm_call"
    if policy.model is not None:
        filters["model"] = policy.model
    found = store.query_events(filters, period.start, period.end, limit=MOST_CALLS, descending=True)[::-1]
    return [call for call in found if call.status != "open" and is_counted(call)]


def dry_run(
    policy: Policy,
    calls: Sequence[TrackingEvent],
    saved: dict[str, int | None],
    notes: Sequence[str] = (),
) -> PolicyDryRun:
    """Return what came of a dry run; `saved` is by event what each changed call would have saved, None unknown."""
    priced = [call.cost_nanos for call in calls if call.cost_nanos is not None]
    known = [nanos for nanos in saved.values() if nanos is not None]
    said = list(notes)
    if len(priced) < len(calls):
        lacking = len(calls) - len(priced)
        said.append(f"{lacking:,} of {len(calls):,} calls {'has' if lacking == 1 else 'have'} no price: not counted")
    dearest = sorted(saved, key=lambda event_id: -(saved[event_id] or 0))
    return PolicyDryRun(
        policy,
        calls=len(calls),
        acts=len(saved),
        cost_nanos=sum(priced) if priced else (None if calls else 0),
        saved_nanos=sum(known) if known or not saved else None,
        days=len({call.timestamp.date() for call in calls}),
        event_ids=tuple(dearest[:MOST_NAMED]),
        notes=tuple(said),
    )


def of_period(found: PolicyDryRun, period: Period) -> PolicyDryRun:
    """Say of which period a dry run is."""
    return replace(found, start=period.start, end=period.end)
