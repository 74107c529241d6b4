"""`token-calc db`: is the store sound, how large is it, and giving room back."""

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote_plus

import typer
from rich.text import Text

from tc_core import settings
from tc_core.budgets.tracker import BudgetTracker
from tc_core.cli import common, text
from tc_core.cli.progress import bar
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.errors import ConfigurationError, StorageError
from tc_core.model.period import period
from tc_core.runtime.store_keeper import StoreKeeper
from tc_core.store.engine.driver import VARIABLE, is_plain
from tc_core.store.keep.check import State
from tc_core.store.storages import path_of
from tc_core.web.sql import reads

app = typer.Typer(help="Check a store, see what takes its room, and give room back.", no_args_is_help=True)

MOST_READS = 50
REFUSED = 400
"""From this status on a question was not answered."""

_STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "fault": "red", "repaired": "cyan"}


@app.command()
def check(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Make wrong roll-ups anew, join events to their parents, forget dead marks."),
    ] = False,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Examine a store: every page, what rows refer to, roll-ups and budgets against events, spool marks, archives.

    The exit code is 1 when something is at fault. --repair mends what the store itself has all it takes for.

    Example: token-calc db check --repair
    """
    with common.told(), bar("Checking") as progress:
        opened = common.open_store(store)
        findings = StoreKeeper(opened).check(repair=repair, progress=progress)
        findings += BudgetTracker(opened).check(repair=repair)
    if as_json:
        text.print_json([asdict(finding) for finding in findings])
    else:
        console = text.console()
        for finding in findings:
            state = Text(f"{finding.state:10}", style=_STYLES[finding.state])
            console.print(state + Text(f"{finding.subject:18}", style="bold") + Text(finding.said))
    if any(finding.state == "fault" for finding in findings):
        raise typer.Exit(common.NOT_FOUND)


@app.command()
def vacuum(
    retention_days: Annotated[
        int | None,
        typer.Option(
            "--retention-days",
            metavar="DAYS",
            min=1,
            max=settings.MOST_DAYS,
            help="Default: as the settings say.",
            show_default=False,
        ),
    ] = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Let details go that are older than retention allows, and give the room back on the disk.

    Sums stay, and so do calls that have no price yet. SQLite writes its file anew, for which there must be room once
    more; programs that record go on meanwhile, and what they record waits in their spools.

    Example: token-calc db vacuum --retention-days 90
    """
    with common.told(), bar("Removing") as progress:
        done = StoreKeeper(common.open_store(store)).vacuum(retention_days, progress=progress)
    if as_json:
        text.print_json(done.to_dict())
        return
    before, after = _megabytes(done.bytes_before), _megabytes(done.bytes_after)
    removed = f"{text.plural(done.events, 'event')} and {text.plural(done.texts, 'text')} removed"
    text.console().print(f"{removed}; {before} before, {after} now.")


@app.command()
def migrate(store: common.StoreOption = None, as_json: common.JsonOption = False) -> None:
    """Bring a store to today's schema; whatever opens it does the same.

    Example: token-calc db migrate --store costs.db
    """
    with common.told():
        before, now = common.open_store(store).schema
    if as_json:
        text.print_json({"before": before, "now": now})
    elif before == now:
        text.console().print(f"The schema is {now}, the newest; nothing was to be done.")
    else:
        text.console().print(f"The schema was {before or 'none'} and is {now} now.")


@app.command()
def stats(store: common.StoreOption = None, as_json: common.JsonOption = False) -> None:
    """Show how large a store is, what takes the room, and what has left it.

    Example: token-calc db stats
    """
    with common.told():
        found = StoreKeeper(common.open_store(store)).stats()
    if as_json:
        text.print_json(found.to_dict())
        return
    console = text.console()
    per_event = "" if found.bytes_per_event is None else f", {found.bytes_per_event:,.0f} bytes each"
    console.print(
        f"{text.plural(found.events, 'event')} in {_megabytes(found.bytes)}{per_event}; schema {found.schema}."
    )
    if found.first_day is not None:
        console.print(
            f"Sums from {found.first_day} to {found.last_day}, details from {found.details_from or 'nowhere'} on."
        )
    if found.removed_events:
        days = text.plural(found.removed_days, "day")
        console.print(f"{text.plural(found.removed_events, 'event')} of {days} left the store.")
    if found.archive_files:
        files = text.plural(found.archive_files, "file")
        console.print(f"{text.plural(found.archived_events, 'event')} lie in {files} of archives.")
    console.print()
    tables = Sheet(Column("table"), number("rows"), number("bytes"))
    for each in found.tables:
        tables.add(each.name, text.count(each.rows), text.count(each.bytes))
    tables.print(console)
    if found.labels:
        console.print()
        labels = Sheet(Column("label"), number("values"))
        for label, values in found.labels.items():
            labels.add(label, text.count(values))
        labels.print(console)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@app.command()
def encrypt(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.", show_default=False)],
    store: common.StoreOption = None,
) -> None:
    """Make an encrypted copy of a SQLite store in a new file, with the key in TOKEN_CALC_STORAGE_KEY.

    The old file stays as it is: delete it once your programs record into the new one.

    Example: TOKEN_CALC_STORAGE_KEY=... token-calc db encrypt costs_encrypted.db --store token_calculator.db
    """
    with common.told():
        key = os.environ.pop(VARIABLE, "")  # else the plain store would be taken for an encrypted one
        if not key:
            raise ConfigurationError(f"{VARIABLE} is not set: put the new key into it, and keep it elsewhere too")
        path = path_of(store or settings.load().store)
        if path is not None and path.is_file() and path.stat().st_size and not is_plain(path):
            raise StorageError(f"{path} is encrypted already, or no store: name a plain one with --store")
        made = StoreKeeper(common.open_store(store)).encrypt(target, key)
        console = text.console()
        console.print(Text(f"{made} is encrypted.", style="bold"))
        console.print(Text("Who loses the key loses what is in it. The old file is as it was: delete it once unused."))


@app.command()
def readers(
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show who has read what in the explorer, and what it refused; the latest come last.

    Example: token-calc db readers --since today
    """
    with common.told():
        zone = common.zone(tz)
        asked = period(since, until, tz=zone)
        found = reads(common.open_store(store), asked.start, asked.end)
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        console = text.console()
        if not found:
            console.print("Nobody has read anything in the explorer there.")
            common.print_hint("token-calc serve", "opens it", store)
            return
        who = Counter(each.who for each in found)
        refused = sum(each.status >= REFUSED for each in found)
        line = Text(f"{text.plural(len(found), 'question')} from {text.plural(len(who), 'place')}", style="bold")
        line.append(f", {refused:,} not answered." if refused else ".", style="yellow" if refused else "")
        console.print(line)
        console.print()
        sheet = Sheet(Column("when"), Column("who"), Column("what"), number("answer"), Column("asked", least=12))
        for each in found[-MOST_READS:]:
            style = "yellow" if each.status >= REFUSED else ""
            sheet.add(
                text.moment(each.at, zone),
                each.who,
                each.what,
                Text(str(each.status), style=style),
                unquote_plus(each.asked),
            )
        sheet.print(console)
        if len(found) > MOST_READS:
            console.print(Text(f"and {len(found) - MOST_READS:,} before them (--json has all)", style="dim"))
