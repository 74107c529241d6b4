"""What one of something costs: a user, a session, a conversation, a run, one that went well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from tc_core.costs import names
from tc_core.costs.reading import CostReader
from tc_core.costs.zones import TIME_UNITS, totals_in_zone
from tc_core.model import money
from tc_core.model.period import Period
from tc_core.model.ports import Filters, GroupKey

Counted = tuple[int, int, int | None, int]
"""How many units, their calls, what these cost, and how many calls there are in all."""

NONE: Counted = (0, 0, None, 0)

OF_RUNS = ("run", "success")
"""Units that are no values of a name: runs, and those that ended well."""


@dataclass(frozen=True, slots=True)
class CostPer:
    """What one `unit` costs: the cost over how many there are, None where there are none or no call has a price.

    Only the cost of the `covered_calls` counts, those of a user, a session and so on; what failed is in the cost of
    what went well. `calls` is how many calls there are in all.
    """

    unit: str
    count: int
    cost: float | None
    cost_nanos: int | None
    covered_calls: int
    calls: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def count_units(
    reader: CostReader,
    unit: str,
    period: Period,
    group_by: Sequence[str],
    filters: Filters,
    tz: tzinfo,
) -> Mapping[GroupKey, Counted]:
    """Return of each group how many units it has, their calls, what these cost, and how many calls there are."""
    if unit in TIME_UNITS:
        raise ValueError(f"cannot tell a cost per {unit}: group by it, or give a name such as user or session")
    name = "root_id" if unit in OF_RUNS else names.whole(unit)
    if unit == "conversation" and reader.totals([name], None, period.start, period.end).keys() <= {(None,)}:
        name = "session_id"  # which is what frameworks call a conversation
    found = totals_in_zone(reader, period, list(dict.fromkeys((*group_by, name))), filters, tz)
    place = list(dict.fromkeys((*group_by, name))).index(name)
    kept: dict[GroupKey, Counted] = {}
    well = reader.went_well(period) if unit == "success" else None
    for key, totals in found.items():
        group = key if name in group_by else key[:place]
        number, covered, cost, calls = kept.get(group, NONE)
        has_one = key[place] is not None and totals.calls > 0
        known = totals.known_cost_nanos
        kept[group] = (
            number + (has_one and (well is None or key[place] in well)),
            covered + (totals.calls if has_one else 0),
            cost if known is None or not has_one else (cost or 0) + known,
            calls + totals.calls,
        )
    return kept


def made(unit: str, found: Counted) -> CostPer:
    """Say it in dollars; what failed is in the cost of what went well."""
    number, covered, nanos, calls = found
    each = None if nanos is None or not number else round(nanos / number)
    return CostPer(unit, number, None if each is None else money.to_dollars(each), each, covered, calls)
