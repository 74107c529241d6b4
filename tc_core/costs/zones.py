"""Sums by the hours, days, weeks and months of a time zone, exact for every zone.

Stores sum by hours of UTC, and know no weeks: these are put together from days. Nearly every hour lies whole in one day
of a zone, so its sums just go there; an hour that does not (zones off by half or quarter hours) is asked for again in
smaller pieces.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from tc_core.model.gaps import Gaps
from tc_core.model.period import Period
from tc_core.model.ports import AggregateReader, Filters, GroupKey
from tc_core.model.totals import MEASURES, Totals

TIME_UNITS = ("month", "week", "day", "hour")

_HOUR = timedelta(hours=1)
# Nearly all offsets are multiples of the first; the last is for those that somebody has made up.
_STEPS = tuple(timedelta(seconds=seconds) for seconds in (900, 60, 30, 1))


def totals_in_zone(
    reader: AggregateReader,
    period: Period,
    group_by: Sequence[str],
    filters: Filters,
    tz: tzinfo,
    *,
    gaps: Gaps | None = None,
) -> dict[GroupKey, Totals]:
    """Return the sums of each group; time units in `group_by` are those of `tz`, `gaps` is as in `totals`."""
    units = [name for name in group_by if name in TIME_UNITS]
    if "week" in filters:
        raise ValueError("filters cannot name a week: limit the period with start and end instead")
    if not units or (tz is UTC and "week" not in units):
        return reader.totals(group_by, filters, period.start, period.end, gaps=gaps)
    if tz is UTC and not {"hour", "day"} & {*units}:
        return _weeks(reader, period, group_by, filters, gaps)
    if any(unit in filters for unit in TIME_UNITS):
        raise ValueError("filters by hour, day or month are in UTC: limit the period with start and end instead")
    others = [name for name in group_by if name not in TIME_UNITS]
    groups: dict[GroupKey, Totals] = {}
    for start, values, totals in _pieces(reader, period, units, others, filters, tz, gaps):
        named = dict(zip(others, values, strict=True)) | {unit: name_in_zone(start, unit, tz) for unit in units}
        total = groups.setdefault(tuple(named[name] for name in group_by), Totals())
        total.add(getattr(totals, measure) for measure in MEASURES)
    return {key: total for key, total in groups.items() if total != Totals()}


def _weeks(
    reader: AggregateReader, period: Period, group_by: Sequence[str], filters: Filters, gaps: Gaps | None
) -> dict[GroupKey, Totals]:
    """Put the weeks of UTC, and months beside them, together from days, which roll-ups have."""
    others = [name for name in group_by if name not in TIME_UNITS]
    groups: dict[GroupKey, list[Totals]] = {}
    by_day = reader.totals(("day", *others), filters, period.start, period.end, gaps=gaps)
    for (day, *values), totals in by_day.items():
        start = datetime.fromisoformat(str(day)).replace(tzinfo=UTC)
        named = dict(zip(others, values, strict=True))
        key = tuple(name_in_zone(start, name, UTC) if name in TIME_UNITS else named[name] for name in group_by)
        groups.setdefault(key, []).append(totals)
    return {key: Totals.of(parts) for key, parts in groups.items()}


def name_in_zone(moment: datetime, unit: str, tz: tzinfo) -> str:
    """Name the hour, day, week (of ISO 8601: from Monday) or month of a zone that a moment lies in."""
    local = moment.astimezone(tz)
    if unit == "hour":
        return local.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes")
    return local.strftime({"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[unit])


def _pieces(
    reader: AggregateReader,
    period: Period,
    units: Sequence[str],
    others: list[str],
    filters: Filters,
    tz: tzinfo,
    gaps: Gaps | None,
) -> Iterator[tuple[datetime, GroupKey, Totals]]:
    """Yield sums of spans that each lie in one hour, day or month of the zone."""
    by_hour = reader.totals(("hour", *others), filters, period.start, period.end, gaps=gaps)
    split: set[datetime] = set()
    for (hour, *values), totals in by_hour.items():
        start = datetime.fromisoformat(str(hour))
        if _is_whole(start, units, tz):
            yield start, tuple(values), totals
        else:
            split.add(start)
    for start in sorted(split):
        step = _step(start, tz)
        for number in range(_HOUR // step):
            begin = max(start + number * step, period.start or start)
            end = min(start + (number + 1) * step, period.end or start + _HOUR)
            if begin < end:
                for key, totals in reader.totals(others, filters, begin, end, gaps=gaps).items():
                    yield begin, key, totals


def _is_whole(start: datetime, units: Sequence[str], tz: tzinfo) -> bool:
    """Tell whether an hour of UTC lies whole in one of each unit of the zone."""
    last = start + _HOUR - _STEPS[-1]
    if start.astimezone(tz).utcoffset() != last.astimezone(tz).utcoffset():
        return False
    return all(name_in_zone(start, unit, tz) == name_in_zone(last, unit, tz) for unit in units)


def _step(start: datetime, tz: tzinfo) -> timedelta:
    """Return a length that divides an hour of UTC so that each piece lies in one hour of the zone."""
    offsets = [moment.astimezone(tz).utcoffset() or timedelta() for moment in (start, start + _HOUR - _STEPS[-1])]
    return next(step for step in _STEPS if all(offset % step == timedelta() for offset in offsets))
