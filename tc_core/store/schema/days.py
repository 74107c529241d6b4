"""Hours and days (UTC) as numbers, and back."""

from datetime import date

US_PER_HOUR = 3_600_000_000
US_PER_DAY = 24 * US_PER_HOUR

_DAY_ZERO = date(1970, 1, 1).toordinal()


def day_of(day: date | None) -> int | None:
    """Return the days from 1970 to a date."""
    return None if day is None else day.toordinal() - _DAY_ZERO


def date_of(day: int | None) -> date | None:
    """Return the date that is so many days after the first of 1970."""
    return None if day is None else date.fromordinal(day + _DAY_ZERO)
