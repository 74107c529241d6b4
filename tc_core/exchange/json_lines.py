"""JSON lines: one event in each line, unset fields left out."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, tzinfo
from typing import IO, Any

from tc_core.exchange.fields import Line, Row, lines, to_row
from tc_core.model.recorded import Recorded


def write(stream: IO[str], records: Iterable[Recorded]) -> None:
    """Write records to a text stream."""
    for record in records:
        plain = {name: value for name, value in to_row(record).items() if value is not None and value not in ({}, [])}
        stream.write(dumps(plain) + "\n")


def read(stream: IO[str], tz: tzinfo) -> Iterable[Line]:
    """Read a text stream line by line; empty lines are skipped."""
    return lines(_rows(stream), tz)


def dumps(value: Any) -> str:
    """Write compact JSON in ASCII, which also keeps lone surrogates."""
    return json.dumps(value, separators=(",", ":"), default=_written)


def loads(text: str) -> Any:
    """Read JSON; raise ValueError for what is none."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _rows(stream: IO[str]) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = loads(line.removeprefix("\ufeff") if number == 1 else line)
        except ValueError as error:
            yield number, f"is not JSON: {error}"
        else:
            yield number, row if isinstance(row, dict) else "is not a JSON object"


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
