"""Results of tools and passages that are sent again and again, by the waterfall."""

from collections.abc import Mapping, Sequence

from tc_core.costs.savings.idea import Group, Idea, Scope
from tc_core.ledger.waterfall import Waterfall, WaterfallRow

KEPT_SENDS = 2
"""So many sends of a result are what an agent needs in a session: one to read it, and one to answer from it."""


def ideas(groups: Sequence[Group], waterfalls: Mapping[Scope, Waterfall]) -> list[Idea]:
    """Return what leaving out old results would have saved; each content is a row of the waterfalls."""
    found = []
    for group in groups:
        waterfall = waterfalls.get(group.scope)
        rows = [
            row
            for row in (() if waterfall is None else waterfall.rows)
            if row.origin_kind in ("tool", "passage") and row.cost_nanos and row.tokens > KEPT_SENDS * row.first_tokens
        ]
        saved = sum(_beyond(row, KEPT_SENDS) for row in rows)
        if not saved:
            continue
        by_name: dict[str, int] = {}
        for row in rows:
            by_name[row.name] = by_name.get(row.name, 0) + row.tokens
        name = max(by_name, key=lambda each: by_name[each])
        sends = sum(row.tokens for row in rows) / max(1, sum(row.first_tokens for row in rows))
        found.append(
            Idea(
                kind="trimming",
                group=group,
                title=f"Cut old results of {name} from the prompts of {group.scope}",
                nanos=saved,
                low_nanos=round(saved * 0.5),
                high_nanos=sum(_beyond(row, 1) for row in rows),
                confidence=0.5,
                reasoning=(
                    f"What {name} returned was sent {sends:.1f} times in a session. Kept for {KEPT_SENDS} calls, and "
                    "then cut or summed up, its later sends would have cost nothing."
                ),
                evidence={
                    "results": len(rows),
                    "tokens": sum(row.tokens for row in rows),
                    "resent_tokens": sum(row.resent_tokens for row in rows),
                    "event_ids": [row.origin_id for row in sorted(rows, key=lambda row: -(row.cost_nanos or 0))[:5]],
                },
            )
        )
    return found


def _beyond(row: WaterfallRow, sends: int) -> int:
    """Return what of a row's cost came after so many sends in a session."""
    return (row.cost_nanos or 0) * max(0, row.tokens - sends * row.first_tokens) // row.tokens
