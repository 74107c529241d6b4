"""CSV: a header and one event in each row; cells that hold several things are JSON.

A text cell that a spreadsheet would run as a formula gets a quote (') in front; so does one that begins with a quote,
and an empty text, which is not the same as none. Reading takes one quote away, so nothing is lost.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import IO, Any

from tc_core.errors import ConfigurationError
from tc_core.exchange.fields import FIELDS, Kind, Line, Row, lines, to_row
from tc_core.exchange.json_lines import dumps, loads
from tc_core.model.recorded import Recorded

QUOTE = "'"
_QUOTED = ("=", "+", "-", "@", "\t", "\r", "\n", QUOTE)


def write(stream: IO[str], records: Iterable[Recorded]) -> None:
    """Write a header and records to a text stream opened with newline=""."""
    writer = csv.writer(stream, lineterminator="\r\n")  # with both in it, cells that hold either are quoted
    writer.writerow(FIELDS)
    for record in records:
        writer.writerow([_cell(value, FIELDS[name]) for name, value in to_row(record).items()])


def read(stream: IO[str], tz: tzinfo) -> Iterable[Line]:
    """Read a text stream opened with newline="", whose columns may come in any order.

    Raises ConfigurationError for a header that names what is no field, or lacks `event_id` or `timestamp`.
    """
    return lines(_rows(stream), tz)


def _rows(stream: IO[str]) -> Iterator[tuple[int, Row | str]]:
    reader = csv.reader(stream, strict=True)
    try:
        with _cells_of_any_size():
            header = next(reader, None)
    except csv.Error as error:
        raise ConfigurationError(f"the first line is not CSV: {error}") from error
    if header is None:
        return
    if header and header[0].startswith("\ufeff"):  # as Excel begins its files
        header[0] = header[0].removeprefix("\ufeff")
    _check_header(header)
    while True:
        start = reader.line_num + 1
        try:
            with _cells_of_any_size():
                cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, f"is not CSV: {error}"
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            yield start, f"has {len(cells)} cells where the header has {len(header)}"
            continue
        yield start, _row(header, cells)


def _row(header: list[str], cells: list[str]) -> Row | str:
    try:
        return {name: _value(name, cell, FIELDS[name]) for name, cell in zip(header, cells, strict=True)}
    except ValueError as error:
        return str(error)


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in FIELDS]
    missing = [name for name in ("event_id", "timestamp") if name not in header]
    if unknown or missing:
        said = f"{unknown[0]!r} is no field of an event" if unknown else f"it lacks {' and '.join(missing)}"
        raise ConfigurationError(f"the first line of a CSV file must name its columns, but {said}")


def _cell(value: Any, kind: Kind) -> object:
    if value is None or (kind == "json" and not value):
        return ""
    if kind == "json":
        return dumps(value)
    if kind in ("moment", "date"):
        return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value.isoformat()
    if kind == "text" and (not value or value.startswith(_QUOTED)):
        return QUOTE + value
    return repr(value) if kind == "float" else value


def _value(name: str, cell: str, kind: Kind) -> Any:
    if not cell:
        return None
    try:
        if kind == "json":
            return loads(cell)
        if kind == "int":
            return int(cell)
        if kind == "float":
            return float(cell)
    except ValueError as error:
        wanted = {"json": "JSON", "int": "a whole number", "float": "a number"}[kind]
        raise ValueError(f"{name} must be {wanted}, not {cell[:80]!r}") from error
    return cell.removeprefix(QUOTE) if kind == "text" else cell


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Lift the limit of the csv module, which is one for the whole process, for as long as a row is read."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
