"""Spans of time as people write them (90s, 30m, 2h, 7d), and money."""

import re
from datetime import timedelta

from tc_core.model import money

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MOST_DAYS = 366


def read_span(written: str) -> timedelta | None:
    """Return the span that a text means, None where it is none, or longer than a year.

    >>> read_span("2h")
    datetime.timedelta(seconds=7200)
    """
    found = re.fullmatch(r"\s*(\d+)\s*([smhd])\s*", written)
    if found is None or not 0 < int(found[1]) * UNITS[found[2]] <= MOST_DAYS * UNITS["d"]:
        return None
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def write_span(span: timedelta) -> str:
    """Write a span in its largest whole unit: `2h`."""
    seconds = int(span.total_seconds())
    unit, size = next((unit, size) for unit, size in reversed(UNITS.items()) if seconds % size == 0)
    return f"{seconds // size}{unit}"


def usd(dollars: float) -> str:
    """Write dollars with as many digits as they need.

    >>> [usd(4.126), usd(0.5), usd(0.00251), usd(0)]
    ['$4.13', '$0.50', '$0.00251', '$0.00']
    """
    nanos = money.to_nanos(dollars)
    places = 2 if nanos == 0 else max(2, min(9, 12 - len(str(abs(nanos)))))
    whole, _, digits = f"{money.to_decimal(nanos):,.{places}f}".partition(".")
    return f"${whole}.{digits[:2]}{digits[2:].rstrip('0')}"
