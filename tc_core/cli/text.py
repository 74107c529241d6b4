"""How things are written: money, counts, times, bars; and the console they go to."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from tc_core.model import money

EMPTY = "–"  # noqa: RUF001  # a dash stands for nothing
WIDTH_OF_A_PIPE = 100_000
"""No line is broken for a program that reads on."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SYMBOLS = {code: chr(0x2400 + code) for code in range(32)} | {127: "\u2421"} | dict.fromkeys(range(128, 160), "\ufffd")
_SYMBOLS_IN_LINES = {code: symbol for code, symbol in _SYMBOLS.items() if chr(code) != "\n"}


class _Console(Console):
    """A console that shows what would command it, such as an escape sequence in a recorded name, as symbols."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = (_shown(each, _SYMBOLS_IN_LINES) if isinstance(each, (str, Text)) else each for each in objects)
        super().print(*shown, **options)


def console(*, stderr: bool = False) -> Console:
    """Return a console: coloured and as wide as a terminal, plain and without line breaks when piped."""
    made = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width, made.no_color = WIDTH_OF_A_PIPE, True
    return made


def one_line(said: Text | str) -> Text:
    """Return a text in which line breaks and other control characters are symbols, each as wide as one character."""
    return _shown(said, _SYMBOLS)


def printable(said: Text | str) -> Text:
    """Return a text in which control characters but line breaks are symbols."""
    return _shown(said, _SYMBOLS_IN_LINES)


def _shown(said: Text | str, symbols: Mapping[int, str]) -> Text:
    shown = Text(said) if isinstance(said, str) else said.copy()
    shown.plain = shown.plain.translate(symbols)
    return shown


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


def bar(part: int, whole: int, width: int = 12) -> str:
    """Draw a share."""
    eighths = round(8 * width * part / whole) if whole > 0 else 0
    full, rest = divmod(max(0, eighths), 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


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


def plural(number: int, noun: str) -> str:
    """Write `1 call`, `2 calls`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cost_text(nanos: int | None, decimals: int, *, is_doubtful: bool = False) -> Text:
    """Write a cost in its colour: yellow where it is unknown or estimated, dim where it is nothing."""
    style = "yellow" if nanos is None or is_doubtful else "dim" if nanos == 0 else ""
    return Text(usd(nanos, decimals=decimals), style=style)


def print_json(value: Any) -> None:
    """Print JSON for machines."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _decimals(nanos: int, digits: int = 3) -> int:
    """Return the decimals that show so many digits other than leading zeros: at least two, at most nine."""
    if nanos == 0:
        return 2
    leading_zeros = 9 - len(str(abs(nanos)))  # behind the point; negative for whole dollars
    return max(2, min(9, leading_zeros + digits))
