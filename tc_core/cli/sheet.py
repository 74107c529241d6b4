"""Tables that fit the terminal: numbers are never cut, names give way first, and what matters least is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from tc_core.cli.text import one_line

GAP = 2
"""Blanks between two columns."""

LEAST = 4
"""So much of a name is kept however narrow the terminal is."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and how it behaves where there is no room for everything.

    A number stands to the right and is never cut. Names are cut to `least` cells. Columns with `goes` are left out, the
    lowest first, before names are cut further. One that `hangs` is not cut, but then written on a line below its row.
    """

    heading: str = ""
    is_number: bool = False
    least: int = 16
    goes: int = 0
    hangs: bool = False


def number(heading: str, *, goes: int = 0) -> Column:
    """Return a column of numbers."""
    return Column(heading, is_number=True, goes=goes)


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[Text, ...]
    lead: Text
    """What stands before a cell that hangs below."""


class Sheet:
    """Rows under columns; those in which nothing stands are not shown."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._rows: list[_Row] = []

    def add(self, *cells: Text | str, lead: Text | None = None) -> None:
        """Add a row."""
        self._rows.append(_Row(tuple(map(one_line, cells)), lead or Text("  ")))

    def print(self, console: Console) -> None:
        """Print all rows, as wide as the console allows."""
        for line in self.lines(console.width):
            console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def lines(self, width: int) -> Iterator[Text]:
        """Yield the heading, if there is one, and the rows, each at most `width` cells wide where that is possible."""
        widths = self._widths(width)
        headings = [Text(column.heading, style="bold") for column in self._columns]
        if any(headings):
            yield self._line(headings, widths)
        for row in self._rows:
            yield self._line(row.cells, widths)
            for index, column in enumerate(self._columns):
                if column.hangs and index not in widths and row.cells[index]:
                    yield row.lead + row.cells[index]

    def _widths(self, width: int) -> dict[int, int]:
        widths = {
            index: max([Text(column.heading).cell_len, *(row.cells[index].cell_len for row in self._rows)])
            for index, column in enumerate(self._columns)
            if any(row.cells[index] for row in self._rows)
        }
        names = [index for index, column in enumerate(self._columns) if not column.is_number and not column.hangs]
        least = {index: self._columns[index].least for index in names}
        leaving = sorted((index for index in widths if self._columns[index].goes), key=self._goes)
        while _total(widths) - _spare(widths, least) > width and leaving:
            widths.pop(leaving.pop(0))
        if _total(widths) - _spare(widths, least) > width:
            least = dict.fromkeys(least, LEAST)
        while _total(widths) > width and _spare(widths, least):
            widest = max((index for index in least if index in widths), key=lambda i: widths[i] - least[i])
            widths[widest] -= 1
        return widths

    def _goes(self, index: int) -> int:
        return self._columns[index].goes

    def _line(self, cells: Sequence[Text], widths: dict[int, int]) -> Text:
        parts = []
        for index, size in widths.items():
            part = cells[index].copy()
            part.truncate(size, overflow="ellipsis")
            blanks = Text(" " * (size - part.cell_len))
            parts.append(blanks + part if self._columns[index].is_number else part + blanks)
        line = Text(" " * GAP).join(parts)
        line.rstrip()
        return line


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _spare(widths: dict[int, int], least: dict[int, int]) -> int:
    """Return by how much the names together can be cut."""
    return sum(max(0, widths[index] - size) for index, size in least.items() if index in widths)
