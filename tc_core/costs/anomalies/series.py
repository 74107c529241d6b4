"""Costs as series: one for each value of what is grouped by, side by side in buckets of equal length."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

import numpy as np

from tc_core.costs.anomalies.anomaly import Bucket
from tc_core.costs.weekdays import Floats
from tc_core.costs.zones import totals_in_zone
from tc_core.model import money
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period, midnight
from tc_core.model.ports import AggregateReader, Filters, GroupKey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_MOST_UNPRICED = 0.5
"""Where more of a bucket's calls than this share have no price, its cost is not known."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Days of a time zone, or hours of UTC, one after the other from `first` on."""

    unit: Bucket
    first: date
    count: int
    tz: tzinfo

    def start(self, place: int) -> datetime:
        """Return the first moment of a bucket, in UTC."""
        if self.unit == "hour":
            return midnight(self.first, UTC) + place * HOUR
        return midnight(self.first + place * DAY, self.tz).astimezone(UTC)

    def day(self, day: date) -> datetime:
        """Return the first moment of a day, in UTC."""
        return midnight(day, UTC if self.unit == "hour" else self.tz).astimezone(UTC)

    def place(self, moment: datetime) -> int:
        """Return which bucket a moment lies in."""
        if self.unit == "hour":
            return (moment.astimezone(UTC) - midnight(self.first, UTC)) // HOUR
        return (moment.astimezone(self.tz).date() - self.first).days

    def named(self, name: str) -> int:
        """Return which bucket is called so in a report."""
        if self.unit == "hour":
            return self.place(datetime.fromisoformat(name))
        return (date.fromisoformat(name) - self.first).days


@dataclass(frozen=True, slots=True)
class Series:
    """Costs in US dollars and calls (series x buckets) of each key; a cost that is not known is NaN."""

    buckets: Buckets
    keys: Sequence[GroupKey]
    costs: Floats
    calls: Floats
    whole_from: int = 0
    """From this bucket on no event has left the store."""


def read(reader: AggregateReader, by: Sequence[str], filters: Filters, buckets: Buckets, end: datetime) -> Series:
    """Read the costs of some buckets, up to `end`, of every key that has calls in them."""
    zone = UTC if buckets.unit == "hour" else buckets.tz
    period = Period(buckets.start(0), end)
    gaps = Gaps()
    found = totals_in_zone(reader, period, (buckets.unit, *by), filters, zone, gaps=gaps)
    rows: dict[GroupKey, int] = {}
    for _, *values in found:
        rows.setdefault(tuple(values), len(rows))
    costs, calls = np.zeros((len(rows), buckets.count)), np.zeros((len(rows), buckets.count))
    for (name, *values), totals in found.items():
        at = rows[tuple(values)], buckets.named(str(name))
        is_known = totals.unpriced <= _MOST_UNPRICED * totals.calls
        costs[at] = money.to_dollars(totals.cost_nanos) if is_known else np.nan
        calls[at] = totals.calls
    whole_from = 0
    for day in gaps.days:  # some of its events are gone: what it cost is not known
        first, after = (buckets.place(midnight(each, UTC)) for each in (day, day + DAY))
        costs[:, max(first, 0) : max(after + (zone is not UTC), 0)] = np.nan
        whole_from = max(whole_from, after + 1)
    return Series(buckets, list(rows), costs, calls, whole_from)


def first_day(reader: AggregateReader, filters: Filters, tz: tzinfo) -> date | None:
    """Return the first day on which anything was recorded, or None."""
    found = totals_in_zone(reader, Period(), ("day",), filters, tz)
    return min((date.fromisoformat(str(name)) for (name,) in found), default=None)
