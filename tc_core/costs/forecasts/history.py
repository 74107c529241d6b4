"""Daily costs of the past, as forecasts are made from: whole days, without gaps, up to the last midnight."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

import numpy as np

from tc_core.costs.weekdays import Floats
from tc_core.costs.zones import totals_in_zone
from tc_core.model import money
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period, midnight
from tc_core.model.ports import AggregateReader, Filters

MOST_DAYS = 3 * 365
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class History:
    """Costs in US dollars of the days from `first_day` on; a day without known prices is like its weekday before."""

    first_day: date
    costs: Floats
    calls: int
    priced: int
    unpriced: int
    removed: int
    """How many events of these days have left the store, so that days may seem too cheap."""

    @property
    def next_day(self) -> date:
        """The day after the last one."""
        return self.first_day + len(self.costs) * DAY


def read(reader: AggregateReader, filters: Filters, now: datetime, tz: tzinfo) -> History:
    """Read what was spent until the midnight before `now`."""
    today = now.astimezone(tz).date()
    earliest = today - MOST_DAYS * DAY
    span, gaps = Period(midnight(earliest, tz), midnight(today, tz)), Gaps()
    found = totals_in_zone(reader, span, ("day",), filters, tz, gaps=gaps)
    days = {date.fromisoformat(str(name)): totals for (name,), totals in found.items() if totals.calls}
    first = min(days, default=today)
    costs = np.zeros((today - first).days)
    for day, totals in days.items():
        is_known = totals.unpriced * 2 <= totals.calls
        costs[(day - first).days] = money.to_dollars(totals.cost_nanos) if is_known else np.nan
    for place in np.flatnonzero(np.isnan(costs)):
        costs[place] = costs[place - 7] if place >= 7 else 0.0
    return History(
        first,
        costs,
        sum(totals.calls for totals in days.values()),
        sum(totals.priced for totals in days.values()),
        sum(totals.unpriced for totals in days.values()),
        gaps.events,
    )
