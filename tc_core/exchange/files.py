"""Which kind of file, and opening it: a path, a folder of Parquet files, or `-` for the standard streams."""

import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path
from typing import IO, Any, NamedTuple

from tc_core.errors import ConfigurationError
from tc_core.exchange import comma_separated, json_lines, parquet
from tc_core.exchange.fields import Line
from tc_core.model.recorded import Recorded

STANDARD = "-"
"""The name that stands for the standard output, or input."""

_SQLITE = b"SQLite format 3\0"


class Format(NamedTuple):
    """How events are written to a stream and read from it, and what the names of such files end with."""

    name: str
    endings: tuple[str, ...]
    is_text: bool
    write: Callable[[Any, Iterable[Recorded]], None]
    read: Callable[[Any, tzinfo], Iterable[Line]]


FORMATS = (
    Format("jsonl", (".jsonl", ".ndjson"), True, json_lines.write, json_lines.read),  # noqa: FBT003  # as named above
    Format("csv", (".csv",), True, comma_separated.write, comma_separated.read),  # noqa: FBT003
    Format("parquet", (".parquet",), False, parquet.write, parquet.read),  # noqa: FBT003
)
NAMES = tuple(format_.name for format_ in FORMATS)


def format_of(where: str | Path, wanted: str | None) -> Format:
    """Return the format that was asked for, else that of the file's ending; standard streams are JSON lines.

    Raises ConfigurationError where neither says, and for Parquet on a standard stream.
    """
    path = Path(where)
    if wanted is None and str(where) != STANDARD:
        found = [each for each in FORMATS if path.suffix.lower() in each.endings]
        if not found and path.is_dir():
            found = [each for each in FORMATS if each.name == "parquet"]
        if not found:
            raise ConfigurationError(f"the ending of {where} does not say how it is written: use {_choices()}")
        return found[0]
    named = [each for each in FORMATS if each.name == (wanted or "jsonl")]
    if not named:
        raise ConfigurationError(f"unknown format {wanted!r}: use {_choices()}")
    if str(where) == STANDARD and not named[0].is_text:
        raise ConfigurationError("Parquet needs a file of its own: name one in place of -")
    return named[0]


def write(where: str | Path, records: Iterable[Recorded], wanted: str | None = None) -> None:
    """Write records to a file, or to the standard output for `-`.

    A file is private to the user, and there only once it is whole. Raises ConfigurationError for a place that cannot be
    written.
    """
    format_ = format_of(where, wanted)
    if str(where) == STANDARD:
        sys.stdout.flush()
        with suppress(BrokenPipeError), _opened(sys.stdout.fileno(), format_, "w") as stream:
            format_.write(stream, records)
        return
    if not format_.is_text:
        parquet.require()
    path = Path(where).expanduser()
    if _is_database(path):
        raise ConfigurationError(f"{path} is a SQLite database, which an export would overwrite: name another file")
    is_device = path.exists() and not path.is_file()
    path = path if is_device else path.resolve()
    part = path if is_device else path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with _opened(part, format_, "w") as stream:
            format_.write(stream, records)
        if not is_device:
            part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if not is_device:
            part.unlink(missing_ok=True)


def is_kept_file(where: str | Path) -> bool:
    """Tell whether an export would overwrite a file that is no database, which is refused in any case."""
    path = Path(where).expanduser()
    return path.is_file() and path.stat().st_size > 0 and not _is_database(path)


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def read(where: str | Path, tz: tzinfo, wanted: str | None = None) -> Iterator[Line]:
    """Read a file, all Parquet files below a folder, or the standard input for `-`.

    Raises ConfigurationError for what cannot be read.
    """
    format_ = format_of(where, wanted)
    if str(where) == STANDARD:
        yield from _read(sys.stdin.fileno(), "the standard input", format_, tz)
        return
    path = Path(where).expanduser()
    if not path.is_dir():
        yield from _read(path, str(path), format_, tz)
        return
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise ConfigurationError(f"there is no Parquet file in {path}")
    for file in files:
        try:
            for line in _read(file, str(file), format_, tz):
                yield line._replace(problem=f"{line.problem} (in {file})") if line.problem else line
        except ConfigurationError as error:  # one file that is damaged, among many
            yield Line(0, None, str(error))


def _read(place: Path | int, name: str, format_: Format, tz: tzinfo) -> Iterator[Line]:
    try:
        with _opened(place, format_, "r") as stream:
            yield from format_.read(stream, tz)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name} cannot be read: it is not text in UTF-8") from error
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror or error}") from error


@contextmanager
def _opened(path: Path | int, format_: Format, mode: str) -> Iterator[IO[Any]]:
    is_path = isinstance(path, Path)
    if format_.is_text:
        with open(path, mode, encoding="utf-8", newline="", closefd=is_path, opener=_private) as text:
            yield text
    else:
        with open(path, f"{mode}b", closefd=is_path, opener=_private) as stream:  # may be a number
            yield stream


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _choices() -> str:
    return "--format " + ", ".join(NAMES[:-1]) + f" or {NAMES[-1]}"
