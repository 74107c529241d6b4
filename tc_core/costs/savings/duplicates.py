"""Calls that had been answered before: the same prompt to the same model again, by the analyzer of patterns."""

from collections.abc import Mapping, Sequence

from tc_core.costs.savings.idea import MOST_NAMED, Group, Idea


def ideas(groups: Sequence[Group], wasted_nanos: Mapping[str, int]) -> list[Idea]:
    """Return what keeping answers would have saved; `wasted_nanos` is what each repeated call has cost in vain."""
    found = []
    for group in groups:
        again = [call for call in group.calls if call.event_id in wasted_nanos]
        saved = sum(wasted_nanos[call.event_id] for call in again)
        if not saved:
            continue
        calls = "1 call" if len(again) == 1 else f"{len(again):,} calls"
        found.append(
            Idea(
                kind="duplicates",
                group=group,
                title=f"Keep the answers of {group.scope.model} to {group.scope}",
                nanos=saved,
                low_nanos=round(saved * 0.9),
                high_nanos=saved,
                confidence=0.9,
                reasoning=(
                    f"{calls} sent a prompt that the same model had answered a short time before: have the framework "
                    "cache it, or hand the first answer on. Samples that are drawn on purpose look the same."
                ),
                evidence={"calls": len(again), "event_ids": [call.event_id for call in again[:MOST_NAMED]]},
            )
        )
    return found
