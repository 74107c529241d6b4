"""What results show in a notebook: a sentence and a table as HTML, and a picture as SVG. No script, no outside request.

All names are text: what would be markup is escaped. The picture follows the notebook's own colour of text.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

MOST_ROWS = 50
_NAME_WIDTH, _FIGURE_WIDTH, _BAR_HEIGHT, _GAP = 230, 100, 18, 8
_NAME_CHARACTERS = 34
_COLUMNS_HEIGHT, _FOOT = 180, 22
_BLUE, _ORANGE = "#4a80bf", "#d08537"
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a picture: its value, below zero to the left, and how that is written; `part` is a part of it."""

    name: str
    value: float
    written: str
    part: float = 0.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a result shows: a sentence, a table whose first `names` columns are names, and bars or columns."""

    sentence: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Sequence[Bar]
    names: int = 1
    form: Literal["bars", "columns"] = "bars"
    legend: str = ""
    """What the part of a bar is, written below."""


class InNotebook(ABC):
    """A result that a notebook shows as a table, and that draws itself."""

    __slots__ = ()

    @abstractmethod
    def _shown(self) -> Shown: ...

    def _repr_html_(self) -> str:
        return to_html(self._shown())

    def to_svg(self, width: int = 720) -> str:
        """Return a picture as SVG, so many pixels wide: `IPython.display.SVG(data=report.to_svg())` shows it."""
        shown = self._shown()
        return _columns(shown, width) if shown.form == "columns" else _bars(shown, width)


def to_html(shown: Shown) -> str:
    """Return a sentence and a table as HTML."""
    parts = [f"<p>{_text(shown.sentence)}</p>"]
    if shown.rows:
        head = "".join(_cell("th", label, is_name=at < shown.names) for at, label in enumerate(shown.columns))
        body = "".join(
            f"<tr>{''.join(_cell('td', text, is_name=at < shown.names) for at, text in enumerate(row))}</tr>"
            for row in shown.rows[:MOST_ROWS]
        )
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    rest = len(shown.rows) - MOST_ROWS
    if rest > 0:
        parts.append(f"<p>and {rest:,} more</p>")
    return f"<div>{''.join(parts)}</div>"


def _cell(tag: str, text: str, *, is_name: bool) -> str:
    side = "left" if is_name else "right"
    return f'<{tag} dir="auto" style="text-align:{side};font-variant-numeric:tabular-nums">{_text(text)}</{tag}>'


def _bars(shown: Shown, width: int) -> str:
    bars = shown.bars[:MOST_ROWS]
    room = max(width - _NAME_WIDTH - _FIGURE_WIDTH, 50)
    lowest = min([0.0, *(bar.value for bar in bars)])
    span = max([0.0, *(bar.value for bar in bars)]) - lowest or 1.0
    zero = _NAME_WIDTH - lowest / span * room
    step = _BAR_HEIGHT + _GAP
    drawn = []
    for at, bar in enumerate(bars):
        top, length = at * step + _GAP, abs(bar.value) / span * room
        left = zero if bar.value >= 0 else zero - length
        middle = top + _BAR_HEIGHT / 2
        drawn.append(_name(bar.name, _NAME_WIDTH - 8, middle))
        drawn.append(_rectangle(left, top, length, _BAR_HEIGHT, _BLUE if bar.value >= 0 else _ORANGE))
        if bar.part and bar.value:
            drawn.append(_rectangle(left, top, length * bar.part / bar.value, _BAR_HEIGHT, _ORANGE))
        drawn.append(_figure(bar.written, _NAME_WIDTH + room + _FIGURE_WIDTH - 4, middle))
    height = len(bars) * step + _GAP
    if shown.legend:
        drawn.append(_name(shown.legend, _NAME_WIDTH, height + _FOOT / 2, anchor="start"))
        height += _FOOT
    return _picture(shown.sentence, width, height, drawn)


def _columns(shown: Shown, width: int) -> str:
    bars = shown.bars
    most = max([0.0, *(bar.value for bar in bars)]) or 1.0
    each = width / max(len(bars), 1)
    drawn = []
    for at, bar in enumerate(bars):
        height = max(bar.value, 0.0) / most * (_COLUMNS_HEIGHT - _FOOT)
        title = f"<title>{_text(f'{bar.name}: {bar.written}')}</title>"
        box = _rectangle(at * each + each * 0.1, _COLUMNS_HEIGHT - height, each * 0.8, height, _BLUE, title)
        drawn.append(box)
    if bars:
        foot = _COLUMNS_HEIGHT + _FOOT / 2 + 2
        highest = max(bars, key=lambda bar: bar.value)
        drawn.append(_name(bars[0].name, 4, foot, anchor="start"))
        drawn.append(_name(bars[-1].name, width - 4, foot))
        drawn.append(_name(f"up to {highest.written}", 4, _FOOT / 2, anchor="start"))
    return _picture(shown.sentence, width, _COLUMNS_HEIGHT + _FOOT, drawn)


def _picture(sentence: str, width: int, height: float, drawn: Sequence[str]) -> str:
    said = _text(sentence)
    box = f'viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{said}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor">{"".join(drawn)}</svg>'
    )


def _rectangle(left: float, top: float, width: float, height: float, fill: str, inside: str = "") -> str:
    place = f'x="{left:.2f}" y="{top:.2f}" width="{width:.2f}" height="{height:.2f}"'
    return f'<rect {place} fill="{fill}">{inside}</rect>'


def _name(text: str, at: float, middle: float, anchor: str = "end") -> str:
    short = text if len(text) <= _NAME_CHARACTERS else f"{text[: _NAME_CHARACTERS - 1]}…"
    said = f"<title>{_text(text)}</title>{_text(short)}"
    return f'<text x="{at:.2f}" y="{middle:.2f}" text-anchor="{anchor}" dominant-baseline="middle">{said}</text>'


def _figure(text: str, at: float, middle: float) -> str:
    return f'<text x="{at:.2f}" y="{middle:.2f}" text-anchor="end" dominant-baseline="middle">{_text(text)}</text>'


def _text(text: str) -> str:
    return escape(_UNSEEN.sub("\ufffd", text))
