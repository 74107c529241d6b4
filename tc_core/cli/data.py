"""`token-calc export`, `import` and `archive`: what is recorded, out of the store and into it."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.new_store import kept_if_used
from tc_core.cli.progress import bar
from tc_core.exchange.files import STANDARD, is_kept_file
from tc_core.exchange.importing import ImportReport
from tc_core.model.period import period
from tc_core.runtime.recorders import open_storage
from tc_core.runtime.store_keeper import PREDECESSOR, StoreKeeper

MOST_PROBLEMS = 10

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="jsonl|csv|parquet",
        help="How the file is written; default: by its ending, jsonl for -.",
        show_default=False,
    ),
]


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write; - is the standard output.")],
    file_format: FormatOption = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="2026-01-31, this-month, ...; default: all.", show_default=False),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day that counts.", show_default=False)
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="NAME=VALUE", help="Only these; can be given again.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE where there is one.")] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Write events to a file: JSON lines, CSV or Parquet.

    Each event comes with everything that is known of it, its relations and its HTTP attempts. Parquet needs the extra
    parquet.

    Example: token-calc export events.parquet --since this-month --filter agent=writer
    """
    with common.told(), bar("Exporting") as progress:
        if not force and file != STANDARD and is_kept_file(file):
            common.fail(f"{file} exists: name another file, or --force to overwrite it.", common.WRONG_USE)
        source, zone = common.open_store(store), common.zone(tz)
        done = StoreKeeper(source).export_events(
            file,
            file_format,
            since=since,
            until=until,
            filters=filters_of(where or []),
            tz=zone,
            progress=progress,
        )
        asked = period(since, until, tz=zone)
        removed = {day: events for day, events in source.removals().items() if asked.has_some_of(day)}
    if as_json and file != STANDARD:
        text.print_json({"file": file, "events": done, "removed_events": sum(removed.values())})
        return
    if file != STANDARD:
        text.console().print(f"{text.plural(done, 'event')} written to {file}.")
    common.print_removed(removed, "Of its days", stderr=True)


def import_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The file to read, or a folder of Parquet files; - is the input.")
    ],
    file_format: FormatOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar=PREDECESSOR,
            help="The file is the SQLite file of this package.",
            show_default=False,
        ),
    ] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Bring events of a file into the store, which is made if need be.

    The same event again changes nothing. One that is recorded with other facts is refused and named, a line that holds
    no event is named by its number, and the rest goes on; the exit code is then 1. Times without an offset, which is
    all that the package token-calculator writes, are taken for times of --tz.

    Example: token-calc import usage.db --from token-calculator --tz Europe/Berlin
    """
    with common.told(), kept_if_used(store), bar("Importing") as progress:
        if source not in (None, PREDECESSOR) or (source and file_format):
            common.fail(f"--from is {PREDECESSOR}, and goes without --format.", common.WRONG_USE)
        keeper = StoreKeeper(open_storage(store))
        done = keeper.import_events(file, source or file_format, tz=common.zone(tz), progress=progress)
    if as_json:
        text.print_json(done.to_dict())
    else:
        _print_import(done, store)
    if not done.is_whole:
        raise typer.Exit(common.NOT_FOUND)


def archive(
    before: Annotated[str, typer.Option("--before", metavar="DATE", help="The first day that stays: 2026-01-31, ...")],
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="The folder to archive into; made if need be.")],
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Move the details of old events into Parquet files; their sums stay in the store.

    The files lie in folders by day (UTC), as DuckDB, Spark and pandas read them: DIR/day=2026-01-31/. A run goes as a
    whole, once its last event is from before DATE; calls without a price stay until they have one. When it is
    interrupted, nothing is lost and nothing is there twice once it is run again. Needs the extra parquet.

    Example: token-calc archive --before this-month --to archive
    """
    with common.told(), bar("Archiving") as progress:
        done = StoreKeeper(common.open_store(store)).archive(before, to, tz=common.zone(tz), progress=progress)
    if as_json:
        text.print_json({"events": done.events, "files": done.files})
        return
    console = text.console()
    if not done.events:
        console.print("Nothing is old enough to go.")
        return
    console.print(f"{text.plural(done.events, 'event')} moved into {text.plural(len(done.files), 'file')} in {to}.")
    common.print_hint("token-calc db vacuum", "gives their room on the disk back", store)


def _print_import(done: ImportReport, store: str | None) -> None:
    console = text.console()
    console.print(
        f"{text.plural(done.written, 'event')} imported, {done.unchanged:,} known before, "
        f"{text.plural(done.relations, 'relation')}."
    )
    left_out = [
        f"{text.plural(done.refused, 'event')} refused" if done.refused else "",
        f"{text.plural(done.malformed, 'line')} cannot be read" if done.malformed else "",
        f"{text.plural(done.lost_relations, 'relation')} left out" if done.lost_relations else "",
    ]
    said = ", ".join(part for part in left_out if part)
    if said:
        console.print(Text(f"{said}:", style="yellow"))
    for problem in done.problems[:MOST_PROBLEMS]:
        console.print(Text(f"  {problem}"))
    if len(done.problems) > MOST_PROBLEMS:
        console.print(Text(f"  and {len(done.problems) - MOST_PROBLEMS:,} more (--json names them)", style="dim"))
    if done.written:
        common.print_hint("token-calc costs --by day", "shows what they cost", store)
