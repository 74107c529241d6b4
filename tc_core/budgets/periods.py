"""The periods of budgets: half-open, from the first instant of a local date up to that of another one.

A period is known by its local label (`2026-10-25`, `2026-W44`, `2026-10`), so that processes with different tables of
time zones mean the same one. A call belongs to the period in which it began.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from tc_core.model.event import from_us, to_us
from tc_core.model.period import period as dates
from tc_core.model.period import zone

CALENDAR = ("hour", "day", "week", "month", "quarter", "year")
EACH = ("run", "session", "workflow")
"""Periods that are no time: each run, session or workflow has the amount for itself."""
TOTAL = "total"

_ALIASES = {f"{name}ly": name for name in CALENDAR} | {"daily": "day", "per-run": "run", "forever": TOTAL}
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_ROLLING = re.compile(r"last-([1-9]\d{0,5})-(minute|hour|day|week)s?")
_STEPS = 100
"""A rolling window moves on by so many steps in its length: it is never shorter than asked for, and a step longer."""

Written = str | timedelta | tuple[str | date, str | date]
"""A period as users give it."""


class Span(NamedTuple):
    """One period of a budget, in microseconds UTC; None is unbounded."""

    label: str
    start_us: int | None
    end_us: int | None

    def has(self, at_us: int) -> bool:
        """Tell whether a moment lies in it."""
        return (self.start_us is None or self.start_us <= at_us) and (self.end_us is None or at_us < self.end_us)


def canonical(period: Written, tz: tzinfo) -> str:
    """Return how a period is kept; raise ValueError for what is none, ConfigurationError for dates that are none."""
    if isinstance(period, timedelta):
        return _rolling_of(period)
    if isinstance(period, tuple):
        start, end = period
        return _fixed(start, end, tz)
    if not isinstance(period, str):
        raise ValueError(f"cannot read {period!r} as a period: {_WORDS}")
    text = _ALIASES.get(period.lower(), period.lower())
    if text in (*CALENDAR, *EACH, TOTAL) or _ROLLING.fullmatch(text):
        return text.removesuffix("s") if text.endswith("s") and _ROLLING.fullmatch(text) else text
    start, separator, end = period.partition("..")
    if separator:
        return _fixed(start, end, tz)
    raise ValueError(f"cannot read {period!r} as a period: {_WORDS}")


_WORDS = (
    "use hour, day, week, month, quarter, year, last-7-days, 2026-01-01..2026-03-31, run, session, workflow or total"
)


def is_rolling(period: str) -> bool:
    """Tell whether a period is a window that moves on."""
    return _ROLLING.fullmatch(period) is not None


def is_each(period: str) -> bool:
    """Tell whether each run, session or workflow has the amount for itself."""
    return period in EACH


def spans(period: str, tz_name: str) -> Callable[[int], Span | None]:
    """Return what tells the period that has a moment (microseconds UTC); None for one outside of a fixed range.

    The last answer is kept: nearly all moments that are asked about lie in the same period.
    """
    tz = zone(tz_name)
    if is_rolling(period):
        return lambda _at_us: Span("rolling", None, None)
    if period == TOTAL:
        return lambda _at_us: Span(TOTAL, None, None)
    if "/" in period:
        start, _, end = period.partition("/")
        fixed = Span("range", *(to_us(datetime.fromisoformat(each)) if each else None for each in (start, end)))
        return lambda at_us: fixed if fixed.has(at_us) else None
    known: list[Span] = []

    def find(at_us: int) -> Span:
        if not (known and known[0].has(at_us)):
            known[:] = [calendar(at_us, period, tz)]
        return known[0]

    return find


def calendar(at_us: int, period: str, tz: tzinfo) -> Span:
    """Return the calendar period that has a moment."""
    at = from_us(at_us)
    if period == "hour":
        local = at.astimezone(tz)
        start = at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return Span(f"{start:%Y-%m-%dT%H:%M}Z", to_us(start), to_us(start + timedelta(hours=1)))
    first = _first_day(at.astimezone(tz).date(), period)
    start = _begins(first, tz)
    if at < start:  # the clock goes back over midnight: this date began before, and the day before comes again
        first = _first_day(first - timedelta(days=1), period)
        start = _begins(first, tz)
    end = _begins(_next(first, period), tz)
    if at >= end:  # the same, seen from the other side
        first = _next(first, period)
        start, end = end, _begins(_next(first, period), tz)
    return Span(_label(first, period), to_us(start), to_us(end))


def window(period: str, now_us: int) -> Span:
    """Return a rolling window as it is now; it begins at a step, so it is up to one longer than asked for."""
    length = _length_us(period)
    step = max(length // _STEPS, 1_000_000)
    return Span("rolling", (now_us - length) // step * step, None)


def _length_us(period: str) -> int:
    found = _ROLLING.fullmatch(period)
    if found is None:
        raise ValueError(f"{period!r} is no rolling window")
    return int(found[1]) * _UNITS[found[2]] * 1_000_000


def _rolling_of(length: timedelta) -> str:
    minutes = length / timedelta(minutes=1)
    if minutes < 1 or minutes != int(minutes):
        raise ValueError(f"a rolling window must be whole minutes, not {length}")
    return f"last-{int(minutes)}-minute"


def _fixed(start: str | date, end: str | date, tz: tzinfo) -> str:
    found = dates(start or None, end or None, tz=tz)
    return "/".join("" if each is None else each.astimezone(UTC).isoformat() for each in (found.start, found.end))


def _begins(day: date, tz: tzinfo) -> datetime:
    """Return the first instant that has this local date or a later one."""
    at = datetime.combine(day, time(), tz).astimezone(UTC)  # the first of two midnights; in a gap, the gap's end
    while at.astimezone(tz).date() < day:  # a day that does not exist (Apia, 2011-12-30), or no midnight
        at += timedelta(minutes=15)
    return at


def _first_day(day: date, period: str) -> date:
    if period == "day":
        return day
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "month":
        return day.replace(day=1)
    if period == "quarter":
        return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    return date(day.year, 1, 1)


def _next(day: date, period: str) -> date:
    if period in ("day", "week"):
        return day + timedelta(days=1 if period == "day" else 7)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _label(first: date, period: str) -> str:
    if period == "day":
        return first.isoformat()
    if period == "week":
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02}"
    if period == "month":
        return f"{first:%Y-%m}"
    return f"{first.year}-Q{(first.month + 2) // 3}" if period == "quarter" else str(first.year)
