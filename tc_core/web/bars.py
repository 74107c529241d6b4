"""Costs over time, put together here for the bars that a page draws: buckets, series, and the marks of the axis."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from tc_core.costs.report import CostReport
from tc_core.costs.zones import name_in_zone
from tc_core.model import written

MOST_SERIES = 7
"""What costs less than the first ones is one series."""

MOST_BUCKETS = 400
_LONGEST = (("hour", timedelta(days=3)), ("day", timedelta(days=120)), ("week", timedelta(days=800)))


def unit_for(length: timedelta) -> str:
    """Return the unit of time in which so long a period is shown with some dozens of bars."""
    return next((unit for unit, longest in _LONGEST if length <= longest), "month")


def bars(found: CostReport, unit: str, by: str | None, tz: tzinfo, *, fits: bool = False) -> Mapping[str, Any] | None:
    """Return stacked bars of a report that is grouped by a unit of time, and by a name; None where it has no costs.

    With `fits` days of a long time are put together to weeks or months.
    """
    costs: dict[tuple[str, str], int] = {}
    asked, unit = unit, _fitting(found, unit) if fits else unit
    for group in found.groups:
        series = "" if by is None else group.key[by] or written.EMPTY
        bucket = str(group.key[asked])
        key = (
            bucket if unit == asked else name_in_zone(datetime.fromisoformat(bucket).replace(tzinfo=UTC), unit, UTC),
            series,
        )
        costs[key] = costs.get(key, 0) + (group.cost_nanos or 0)
    buckets = _filled(sorted({bucket for bucket, _ in costs}), unit, tz)
    if not any(costs.values()):
        return None
    sums: dict[str, int] = {}
    for (_, series), nanos in costs.items():
        sums[series] = sums.get(series, 0) + nanos
    ordered = sorted(sums, key=lambda each: (-sums[each], each))
    named, others = ordered[:MOST_SERIES], ordered[MOST_SERIES:]
    rows = [[costs.get((bucket, series), 0) for bucket in buckets] for series in named]
    if others:
        rows.append([sum(costs.get((bucket, series), 0) for series in others) for bucket in buckets])
    return made(unit, buckets, [*named, *([written.plural(len(others), "other")] if others else [])], rows)


def made(unit: str, buckets: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[int]]) -> Mapping[str, Any]:
    """Return bars as they are sent: of each name a row of nano-dollars; what comes behind the first is the rest."""
    totals = [sum(column) for column in zip(*rows, strict=True)]
    decimals = written.column_decimals(totals)
    series = [
        {
            "name": name,
            "value": list(row),
            "text": [written.usd(each, decimals=decimals) for each in row],
            "is_rest": place >= MOST_SERIES,
        }
        for place, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    return {
        "unit": unit,
        "buckets": list(buckets),
        "series": series,
        "total": [written.usd(each, decimals=decimals) for each in totals],
        "ticks": [{"value": each, "text": text} for each, text in _written_ticks(max(totals))],
    }


def _fitting(found: CostReport, unit: str) -> str:
    days = [str(group.key[unit]) for group in found.groups]
    if unit != "day" or not days:
        return unit
    wanted = unit_for(date.fromisoformat(max(days)) - date.fromisoformat(min(days)))
    return unit if wanted == "hour" else wanted


def _written_ticks(most: int) -> list[tuple[int, str]]:
    marks = ticks(most)
    decimals = next((places for places in range(2, 10) if not any(mark % 10 ** (9 - places) for mark in marks)), 9)
    return [(mark, written.usd(mark, decimals=decimals)) for mark in marks]


def ticks(most: int) -> list[int]:
    """Return marks of an axis from 0 on: round numbers, the last at or above `most`."""
    if most <= 0:
        return [0]
    step = 10 ** max(0, len(str(most)) - 1)
    for divisor in (10, 5, 4, 2, 1):
        each = max(1, step // divisor)
        if -(-most // each) <= 5:
            return [each * place for place in range(-(-most // each) + 1)]
    return [each * 2 * place for place in range(-(-most // (each * 2)) + 1)]


def _filled(buckets: Sequence[str], unit: str, tz: tzinfo) -> list[str]:
    """Put those between the first and the last in, also where nothing was spent."""
    if unit == "month" or not buckets:
        return _months(buckets)
    found: list[str] = []
    if unit == "hour":
        at, last = datetime.fromisoformat(buckets[0]), datetime.fromisoformat(buckets[-1])
        step = timedelta(hours=1)
        while at <= last and len(found) < MOST_BUCKETS:
            found.append(at.astimezone(tz).isoformat(timespec="minutes"))
            at += step
    else:
        day, end = _day(buckets[0], unit), _day(buckets[-1], unit)
        step = timedelta(days=7 if unit == "week" else 1)
        while day <= end and len(found) < MOST_BUCKETS:
            found.append(f"{day:%G-W%V}" if unit == "week" else f"{day:%Y-%m-%d}")
            day += step
    return found if {*buckets} <= {*found} else list(buckets)


def _day(bucket: str, unit: str) -> date:
    return datetime.strptime(f"{bucket}-1", "%G-W%V-%u").date() if unit == "week" else date.fromisoformat(bucket)


def _months(buckets: Sequence[str]) -> list[str]:
    if not buckets:
        return []
    year, month = map(int, buckets[0].split("-"))
    found = [buckets[0]]
    while found[-1] < buckets[-1] and len(found) < MOST_BUCKETS:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        found.append(f"{year:04}-{month:02}")
    return found
