"""What the commands share: options, the store, and how they end."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, tzinfo
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from tc_core import settings
from tc_core.cli import text
from tc_core.errors import ConfigurationError, StorageError, TokenCalculatorError
from tc_core.model import period
from tc_core.model.gaps import left_the_store
from tc_core.runtime.recorders import open_storage
from tc_core.store.sql import SqlStore
from tc_core.store.storages import path_of

NOT_FOUND, WRONG_USE, UNUSABLE_STORE = 1, 2, 3
"""Exit codes, beside 0 for an answer."""

DEBUG = "TOKEN_CALC_DEBUG"
"""The variable that has errors come with their traceback."""

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="PATH_OR_URL", help="The store to read; default: as in your programs.", show_default=False
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE", help="2026-01-31, today, this-week, last-30-days, ...", show_default=False),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE", help="The last day that counts, in the same words.", show_default=False),
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Only these, or NAME!=VALUE, NAME=BEGINNING*; can be given again.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="Time zone of dates, such as Europe/Berlin; default: this machine's.",
        show_default=False,
    ),
]


def fail(message: str, code: int) -> NoReturn:
    """End the command with one sentence."""
    text.console(stderr=True).print(Text(message, style="red"))
    raise typer.Exit(code)


def check_formats(**wanted: bool) -> None:
    """End the command where more than one form of output is asked for; names are those of the arguments."""
    chosen = [f"--{name.removeprefix('as_')}" for name, is_chosen in wanted.items() if is_chosen]
    if len(chosen) > 1:
        fail(f"{' and '.join(chosen)} cannot be had at once: choose one.", WRONG_USE)


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of ours into one sentence and an exit code; with --debug they come whole."""
    try:
        yield
    except ImportError as error:  # an extra that is not installed; the message has the line that installs it
        if os.environ.get(DEBUG):
            raise
        fail(str(error), WRONG_USE)
    except ValueError as error:  # an argument that only the answer found to be wrong
        if os.environ.get(DEBUG):
            raise
        fail(str(error), WRONG_USE)
    except TokenCalculatorError as error:
        if os.environ.get(DEBUG):
            raise
        codes = {ConfigurationError: WRONG_USE, StorageError: UNUSABLE_STORE}
        fail(str(error), codes.get(type(error), NOT_FOUND))


def open_store(wanted: str | None) -> SqlStore:
    """Open a store for questions; one that does not exist is not made, but said."""
    where = wanted or settings.load().store
    path = path_of(where)
    if where in ("memory", ":memory:"):
        fail("A store in memory lives in its own process: ask it there, or record into a file.", WRONG_USE)
    if path is not None and not path.exists():
        fail(
            f"There is no store at {path}. Record one with `token-calc demo`, or with tc_core.instrument() in your "
            "program, or name another with --store.",
            NOT_FOUND,
        )
    store = open_storage(where)
    if not isinstance(store, SqlStore):
        fail(f"A {type(store).__name__} cannot be asked from here.", WRONG_USE)
    return store


def shown(where: str) -> str:
    """Return the path or URL of a store without what is secret in it."""
    if path_of(where) is not None or "://" not in where:
        return where
    from tc_core.store.engine.postgresql import without_secrets

    return without_secrets(where)


def is_missing(where: str) -> bool:
    """Tell whether a store would be a file that does not exist."""
    path = path_of(where)
    return path is not None and not path.exists()


def zone(name: str | None) -> tzinfo:
    """Return the time zone that was asked for, or this machine's."""
    return period.local_zone() if name is None else period.zone(name)


def print_hint(command: str, what: str, store: str | None = None) -> None:
    """Print a last line that says what to do next; it asks the same store."""
    console = text.console()
    option = "" if store is None else f" --store {shlex.quote(shown(store))}"
    said = f"Next: {command}{option}"
    between = "   " if len(said) + len(what) + 3 <= console.width else "\n      "
    console.print(Text(f"\n{said}{between}{what}", style="dim"))


def print_hint_for_nothing(source: SqlStore, store: str | None) -> None:
    """Below an answer without calls say where some are: in the store, or from the demo where it has none."""
    if source.runs(limit=1, single_calls=True):
        print_hint("token-calc costs", "shows what is recorded", store)
    else:
        print_hint("token-calc demo", "records a run to look at")


def print_removed(removed: Mapping[date, int], what: str, *, stderr: bool = False) -> None:
    """Say how many events have left the store, of the days in question."""
    if removed:
        console = text.console(stderr=stderr)
        said = f"{what}: {left_the_store(removed)} (`token-calc costs` still has their sums)."
        console.print(Text(said, style="yellow"))
