"""What pages are sent: tables as columns, sentences as pieces with a tone; figures are written as the CLI does."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from tc_core.model import written

TONES = {"bold": "strong", "yellow": "doubt", "red": "over", "bold red": "over", "dim": "nothing", "green": "good"}
"""Styles of the terminal, and what they mean in the browser."""


def said(text: Text | str) -> list[list[str]]:
    """Return a sentence as pieces: what it says, and its tone (or nothing)."""
    if isinstance(text, str):
        return [[text, ""]]
    edges = sorted({0, len(text.plain), *(edge for span in text.spans for edge in (span.start, span.end))})
    pieces = []
    for start, end in itertools.pairwise(edges):
        styles = [str(span.style) for span in text.spans if span.start <= start and end <= span.end]
        pieces.append([text.plain[start:end], next((TONES[each] for each in reversed(styles) if each in TONES), "")])
    return pieces


class Table:
    """A table as columns; each has a label, a kind (`name`, `number`, `share`), its texts, and what it is sorted by."""

    def __init__(self, *, label: str) -> None:
        self._label = label
        self._columns: list[dict[str, Any]] = []

    def names(
        self,
        label: str,
        values: Iterable[str | None],
        *,
        links: Sequence[str | None] | None = None,
        tones: Sequence[str] | None = None,
        is_wide: bool = False,
        is_whole: bool = False,
        goes: int = 0,
    ) -> None:
        """Add a column of names; `links` are addresses inside the explorer.

        One that is wide takes what room there is, one that is whole (dates, ids) is never cut, and with `goes` a narrow
        page leaves it out; from 9 on also one that is not wide.
        """
        texts = [written.EMPTY if value is None else value for value in values]
        column: dict[str, Any] = {"label": label, "kind": "name", "text": texts}
        if links is not None:
            column["link"] = list(links)
        if tones is not None:
            column["tone"] = list(tones)
        if is_wide:
            column["wide"] = True
        if is_whole:
            column["whole"] = True
        if goes:
            column["goes"] = goes
        self._columns.append(column)

    def numbers(
        self,
        label: str,
        values: Iterable[float | None],
        texts: Iterable[str] | None = None,
        *,
        tones: Sequence[str] | None = None,
        goes: int = 0,
    ) -> None:
        """Add a column of numbers; `texts` is how they are written. With `goes` a narrow page leaves it out."""
        numbers = list(values)
        column: dict[str, Any] = {
            "label": label,
            "kind": "number",
            "value": numbers,
            "text": [written.count(each) for each in numbers] if texts is None else list(texts),
        }
        if tones is not None:
            column["tone"] = list(tones)
        if goes:
            column["goes"] = goes
        self._columns.append(column)

    def money(
        self,
        label: str,
        nanos: Sequence[int | None],
        doubtful: Sequence[bool] | None = None,
        *,
        decimals: int | None = None,
    ) -> None:
        """Add a column of costs whose points stand in one line; unknown and doubtful ones are marked as such."""
        decimals = written.column_decimals(nanos) if decimals is None else decimals
        doubts = doubtful or [False] * len(nanos)
        tones = [
            "doubt" if each is None or doubt else "nothing" if each == 0 else ""
            for each, doubt in zip(nanos, doubts, strict=True)
        ]
        self.numbers(label, nanos, [written.usd(each, decimals=decimals) for each in nanos], tones=tones)

    def shares(
        self, label: str, parts: Sequence[int | None], whole: int, *, tones: Sequence[str] | None = None
    ) -> None:
        """Add a column of shares of a whole, which are drawn as bars; of what is not known, none is said."""
        column: dict[str, Any] = {
            "label": label,
            "kind": "share",
            "value": [part / whole if whole and part is not None else 0 for part in parts],
            "text": ["" if part is None else written.percent(part, whole) for part in parts],
        }
        if tones is not None:
            column["tone"] = list(tones)
        self._columns.append(column)

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain JSON values."""
        rows = len(self._columns[0]["text"]) if self._columns else 0
        return {"label": self._label, "rows": rows, "columns": self._columns}
