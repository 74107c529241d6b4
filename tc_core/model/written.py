"""How figures are written, in the terminal and in the browser alike: money, counts, shares, times."""

from collections.abc import Iterable
from datetime import datetime, tzinfo
from decimal import Decimal

from tc_core.model import money

EMPTY = "–"  # noqa: RUF001  # a dash stands for nothing

SHORT_ID = 8
"""Digits at the end of an id that tell it from others: its beginning is the time."""

MARKS = {"error": "✗", "cancelled": "✗", "closed": "◌", "abandoned": "?", "open": "…"}
"""How an event ended, where that was not well."""


def usd(nanos: int | None, *, decimals: int | None = None) -> str:
    """Write nano-dollars with as many digits as they need: `$4.13`, `$0.0412`, `$0.00000105`."""
    if nanos is None:
        return EMPTY
    places = _decimals(nanos) if decimals is None else decimals
    if 0 < nanos * 2 < 10 ** (9 - places):  # it would look like nothing
        return f"<${Decimal(1).scaleb(-places):f}"
    return f"${money.to_decimal(nanos):,.{places}f}"


def column_decimals(costs: Iterable[int | None]) -> int:
    """Return how many decimals a column has, whose points stand in one line.

    They show two digits of its smallest cost, but no more than five of its largest.
    """
    known = [nanos for nanos in costs if nanos] or [money.NANOS_PER_DOLLAR]
    return min(_decimals(min(known), digits=2), max(3, _decimals(max(known), digits=5)))


def count(number: float | None) -> str:
    """Write a count with thousands."""
    return EMPTY if number is None else f"{number:,}"


def percent(part: int, whole: int) -> str:
    """Write a share; nothing where there is no whole."""
    return f"{round(100 * part / whole)} %" if whole else ""


def seconds(milliseconds: float | None) -> str:
    """Write a duration."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {rest} s"


def moment(at: datetime, tz: tzinfo) -> str:
    """Write a time to the second."""
    return f"{at.astimezone(tz):%Y-%m-%d %H:%M:%S}"


def signed(nanos: int, *, decimals: int | None = None) -> str:
    """Write a change of a cost: `+$0.12`, `-$3.40`, `$0.00`."""
    if not nanos:
        return usd(0, decimals=decimals)
    return f"{'+' if nanos > 0 else '-'}{usd(abs(nanos), decimals=decimals)}"


def plural(number: int, noun: str) -> str:
    """Write `1 call`, `2 calls`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _decimals(nanos: int, digits: int = 3) -> int:
    """Return the decimals that show so many digits other than leading zeros: at least two, at most nine."""
    if nanos == 0:
        return 2
    leading_zeros = 9 - len(str(abs(nanos)))  # behind the point; negative for whole dollars
    return max(2, min(9, leading_zeros + digits))
