"""Periods as people say them, resolved to half-open spans of UTC."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tc_core.errors import ConfigurationError
from tc_core.foreign import let_pass
from tc_core.model import clock

NAMED = "today, yesterday, this-week, last-week, this-month, last-month, this-year, last-year or last-N-days"

_LAST_DAYS = re.compile(r"last-([1-9]\d{0,4})-days?")


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to, not including, `end`; both aware, None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    def has_some_of(self, day: date) -> bool:
        """Tell whether a part of a day (UTC) lies in it."""
        begin = datetime.combine(day, time(), UTC)
        return (self.end is None or begin < self.end) and (self.start is None or begin + timedelta(days=1) > self.start)


def zone(name: str | tzinfo) -> tzinfo:
    """Return the time zone `name`, as the IANA data base calls it.

    Raises ConfigurationError for an unknown name.
    """
    if isinstance(name, tzinfo):
        return name
    try:
        return UTC if name.upper() in ("UTC", "ETC/UTC") else ZoneInfo(name)  # sums by days of UTC are at hand
    except (AttributeError, ZoneInfoNotFoundError, ValueError, OSError) as error:
        let_pass(error)
        raise ConfigurationError(f"unknown time zone {name!r}: use a name like 'Europe/Berlin' or 'UTC'") from error


def local_zone() -> tzinfo:
    """Return this machine's time zone, with its daylight saving where the zone's name can be found."""
    link = Path("/etc/localtime")
    written = os.environ.get("TZ") or (str(link.resolve()).partition("zoneinfo/")[2] if link.is_symlink() else "")
    try:
        return zone(written.lstrip(":")) if written else UTC
    except ConfigurationError:
        return datetime.now().astimezone().tzinfo or UTC


def period(
    start: str | date | None, end: str | date | None, *, tz: tzinfo = UTC, now: datetime | None = None
) -> Period:
    """Resolve a start and an end; a whole day or a named period at the end is included.

    Both may be a datetime (naive: in `tz`), a date, text like `2024-01-31` or `2024-01-31T12:30`, or a
    named period. A named start without an end means that whole period. Raises ConfigurationError
    for text that is none of these and for a start that does not lie before the end.
    """
    now = (now or clock.now()).astimezone(tz)
    try:
        first = _span(start, tz, now) if start is not None else None
        last = _span(end, tz, now) if end is not None else None
        return _between(start, first, end, last)
    except OverflowError as error:
        said = " to ".join(str(each) for each in (start, end) if each is not None)
        raise ConfigurationError(f"the period {said} lies beyond what dates can say: name a nearer one") from error


def _between(start: str | date | None, first: Period | None, end: str | date | None, last: Period | None) -> Period:
    begin = first.start if first else None
    if last is not None:
        finish = last.end
    else:
        finish = first.end if first and isinstance(start, str) and not start[:1].isdigit() else None
    in_utc = [None if moment is None else moment.astimezone(UTC) for moment in (begin, finish)]  # raises OverflowError
    if in_utc[0] is not None and in_utc[1] is not None and in_utc[0] >= in_utc[1]:
        raise ConfigurationError(f"the period is empty: {start} does not lie before {end}")
    return Period(begin, finish)


def _span(text: str | date, tz: tzinfo, now: datetime) -> Period:
    if isinstance(text, datetime):
        moment = text.replace(tzinfo=tz) if text.tzinfo is None else text
        return Period(moment, moment)
    if isinstance(text, date):
        return _days(text, text + timedelta(days=1), tz)
    if not isinstance(text, str):
        raise _unknown(text)
    return _written(text, tz, now) if text[:1].isdigit() else _named(text, tz, now.date())


def _written(text: str, tz: tzinfo, now: datetime) -> Period:
    try:
        if len(text) <= len("2024-01-31"):
            return _span(date.fromisoformat(text), tz, now)
        return _span(datetime.fromisoformat(text), tz, now)
    except ValueError as error:
        raise _unknown(text) from error


def _named(text: str, tz: tzinfo, today: date) -> Period:
    name = words_of(text).replace(" ", "-")
    tomorrow = today + timedelta(days=1)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    january = today.replace(month=1, day=1)
    named = {
        "today": (today, tomorrow),
        "yesterday": (today - timedelta(days=1), today),
        "this-week": (monday, monday + timedelta(days=7)),
        "last-week": (monday - timedelta(days=7), monday),
        "this-month": (first, _next_month(first)),
        "last-month": ((first - timedelta(days=1)).replace(day=1), first),
        "this-year": (january, january.replace(year=today.year + 1)),
        "last-year": (january.replace(year=today.year - 1), january),
    }
    if name in named:
        return _days(*named[name], tz)
    if match := _LAST_DAYS.fullmatch(name):
        return _days(tomorrow - timedelta(days=int(match[1])), tomorrow, tz)
    raise _unknown(text)


def words_of(name: str) -> str:
    """Return the words of a named period, which may also be written as in a sentence: `last 30 days`.

    >>> words_of("Last-30-days") == words_of("in the last 30 days") == "last 30 days"
    True
    """
    said = " ".join(name.lower().replace("-", " ").split())
    return said.removeprefix("in ").removeprefix("the ")


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def _days(start: date, end: date, tz: tzinfo) -> Period:
    return Period(midnight(start, tz), midnight(end, tz))


def midnight(day: date, tz: tzinfo) -> datetime:
    """Return the first moment of a day in a zone."""
    return datetime(day.year, day.month, day.day, tzinfo=tz)


def _unknown(text: object) -> ConfigurationError:
    return ConfigurationError(f"cannot read {text!r} as a date: use 2024-01-31, 2024-01-31T12:30, {NAMED}")
