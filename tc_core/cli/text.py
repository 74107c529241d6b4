"""How things are written: money, counts, times, bars; and the console they go to."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from tc_core.model.written import EMPTY, column_decimals, count, moment, percent, plural, seconds, signed, usd

__all__ = (
    "EMPTY",
    "bar",
    "column_decimals",
    "console",
    "cost_text",
    "count",
    "moment",
    "one_line",
    "percent",
    "plural",
    "print_json",
    "printable",
    "seconds",
    "signed",
    "usd",
)

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


def bar(part: int, whole: int, width: int = 12) -> str:
    """Draw a share."""
    eighths = round(8 * width * part / whole) if whole > 0 else 0
    full, rest = divmod(max(0, eighths), 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def cost_text(nanos: int | None, decimals: int, *, is_doubtful: bool = False) -> Text:
    """Write a cost in its colour: yellow where it is unknown or estimated, dim where it is nothing."""
    style = "yellow" if nanos is None or is_doubtful else "dim" if nanos == 0 else ""
    return Text(usd(nanos, decimals=decimals), style=style)


def print_json(value: Any) -> None:
    """Print JSON for machines."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))
