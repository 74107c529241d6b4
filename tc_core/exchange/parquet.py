"""Parquet: typed columns that DuckDB, Spark and pandas read; labels, metadata, relations and attempts are JSON text.

Money is int64 nano-dollars beside a float of dollars, times are microseconds UTC. pyarrow comes with the extra
`parquet`.
"""

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from tc_core.errors import ConfigurationError
from tc_core.exchange.fields import FIELDS, Kind, Line, Row, lines, to_row
from tc_core.exchange.json_lines import dumps, loads
from tc_core.model.recorded import Recorded

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP = 10_000
_JSON = tuple(name for name, kind in FIELDS.items() if kind == "json")
PARTITION = "day"
"""The column that only the names of an archive's folders hold."""


def write(stream: BinaryIO, records: Iterable[Recorded]) -> None:
    """Write records to a binary stream, some thousands at a time."""
    arrow, parquet = _pyarrow()
    schema = _schema(arrow)
    records = iter(records)
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        while rows := [_plain(record) for record in islice(records, ROW_GROUP)]:
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))


def read(stream: BinaryIO, tz: tzinfo) -> Iterable[Line]:
    """Read a binary stream row by row; raise ConfigurationError for what is no Parquet file of events."""
    return lines(_rows(stream), tz)


def require() -> None:
    """Raise ImportError, with the line that installs it, when pyarrow is not there."""
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'token-calculator-suite[parquet]'") from error
    return pyarrow, pyarrow.parquet


def _schema(arrow: Any) -> "pyarrow.Schema":
    types: dict[Kind, Any] = {
        "text": arrow.string(),
        "int": arrow.int64(),
        "float": arrow.float64(),
        "moment": arrow.timestamp("us", tz="UTC"),
        "date": arrow.date32(),
        "json": arrow.string(),
    }
    return arrow.schema([(name, types[kind]) for name, kind in FIELDS.items()])


def _plain(record: Recorded) -> dict[str, Any]:
    row = to_row(record)
    for name in _JSON:
        row[name] = dumps(row[name]) if row[name] else None
    return row


def _rows(stream: BinaryIO) -> Iterator[tuple[int, Row | str]]:
    arrow, parquet = _pyarrow()
    number = 0
    try:
        for batch in parquet.ParquetFile(stream).iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number += 1
                yield number, _read(row)
    except arrow.ArrowException as error:
        raise ConfigurationError(f"this is no Parquet file that can be read: {error}") from error


def _read(row: dict[str, Any]) -> Row | str:
    row.pop(PARTITION, None)
    for name in _JSON:
        if row.get(name):
            try:
                row[name] = loads(row[name])
            except ValueError as error:
                return f"{name} must be JSON: {error}"
    return row
