"""The batch tier, at half the price for most, where nobody waits for an answer."""

from collections import Counter
from collections.abc import Container, Sequence
from datetime import UTC, datetime

from tc_core.costs.savings.idea import MOST_NAMED, Group, Idea
from tc_core.meter import prices
from tc_core.model.event import TrackingEvent, to_us

FEWEST = 20
"""So many calls are worth a batch."""

LEAST_SHARE = 0.9
"""So many of the calls of an agent must be such that nobody waits."""

_NEWEST_US = to_us(datetime(2100, 1, 1, tzinfo=UTC))
_ALREADY = frozenset({"batch", "flex"})


def ideas(groups: Sequence[Group], continued: Container[str]) -> list[Idea]:
    """Return the groups whose calls could have been asked in batches: a day may go by until they are answered.

    `continued` are the ids of calls that later ones go on from, or whose answers were read: those are waited for.
    """
    found = []
    for group in groups:
        patient = [call for call in group.calls if _can_wait(call, continued)]
        if len(patient) < max(FEWEST, LEAST_SHARE * len(group.calls)):
            continue
        priced = [(call, _in_batch(call)) for call in patient]
        saved = [(call.cost_nanos or 0) - cost for call, cost in priced if cost is not None]
        if len(saved) < len(priced) or sum(saved) <= 0:
            continue
        busiest, at_once = Counter(f"{call.timestamp:%Y-%m-%d %H}" for call in patient).most_common(1)[0]
        found.append(
            Idea(
                kind="batch",
                group=group,
                title=f"Ask {group.scope.model} for {group.scope} by the batch API",
                nanos=sum(saved),
                low_nanos=round(sum(saved) * 0.9),
                high_nanos=sum(saved),
                confidence=0.6,
                reasoning=(
                    f"{len(patient):,} of {len(group.calls):,} calls are in no session, and no later call goes on from "
                    "them, so that nobody seems to wait. A batch is answered within a day, at the price of that tier."
                ),
                evidence={
                    "calls": len(patient),
                    "busiest_hour": busiest,
                    "calls_in_it": at_once,
                    "event_ids": [call.event_id for call in patient[:MOST_NAMED]],
                },
            )
        )
    return found


def _can_wait(call: TrackingEvent, continued: Container[str]) -> bool:
    is_talk = call.session_id is not None or "user_id" in call.labels or "conversation_id" in call.labels
    return not is_talk and call.service_tier not in _ALREADY and call.event_id not in continued


def _in_batch(call: TrackingEvent) -> int | None:
    """Return what a call would cost in a batch; None where the table does not know that tier.

    The table learned of batches late: the share of the newest prices is taken.
    """
    standard, batch = (_newest(call, tier) for tier in (None, "batch"))
    return None if standard is None or batch is None or not standard else (call.cost_nanos or 0) * batch // standard


def _newest(call: TrackingEvent, tier: str | None) -> int | None:
    price = prices.price_of(
        call.usage,
        call.model or "",
        served_model=call.served_model,
        provider=call.provider,
        service_tier=tier,
        at_us=_NEWEST_US,
        charges=call.charges,
    )
    return None if price is None else price.cost_nanos
