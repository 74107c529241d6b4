"""`token-calc top`: what costs most, by each of the things that people ask for."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.cost_sheet import print_report
from tc_core.cli.events import SHORT_ID
from tc_core.cli.filters import filters_of, names_of, print_unknown, unknown, written
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs import names, reading
from tc_core.costs.headline import no_calls, title_line, when
from tc_core.costs.report import SORTS, CostReport, Question, answer
from tc_core.lineage.tree import name_of
from tc_core.model.period import Period, period
from tc_core.store.sql import SqlStore

BOARDS = ("agent_id", "workflow", "model", "user_id", "session_id")
"""What is shown where nothing is asked for."""


def top(
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="NAMES", help="One table by these; default: several.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1_000, help="How many of each.")] = 5,
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    sort: Annotated[str, typer.Option("--sort", metavar="|".join(SORTS), help="By what.")] = "cost",
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what costs most: agents, workflows, models, users, sessions, and the dearest runs.

    The others are one line, so that each table is the whole.

    Example: token-calc top --since this-week -n 3
    """
    with common.told():
        source, zone = common.open_store(store), common.zone(tz)
        reader = reading.reader_of(source)
        asked, filters = period(since, until, tz=zone), filters_of(where or [])
        boards = [names_of(by)] if by is not None else [[name] for name in BOARDS]
        found = [
            (board, answer(reader, asked, Question(board, filters, zone, top=limit, sort=sort))) for board in boards
        ]
        told = [
            (board, report)
            for board, report in found
            if by is not None or any(value is not None for group in report.groups for value in group.key.values())
        ]
        if as_json:
            text.print_json({",".join(board): report.to_dict() for board, report in told})
            return
        whole, said = found[0][1], when(since, until)
        if whole.total_calls:
            title = title_line(whole, f" {said}" if said else "")
            _print(source, told, title, asked, limit, has_runs=by is None and not filters)
        else:
            text.console().print(no_calls(said, written(filters)))
        print_unknown(unknown(reader, (*(name for board, _ in found for name in board if by), *filters), asked))
        if whole.total_calls:
            common.print_hint("token-calc recommend", "says what would save money", store)
        else:
            common.print_hint_for_nothing(source, store)


def _print(
    source: SqlStore,
    told: list[tuple[list[str], CostReport]],
    title: Text,
    asked: Period,
    limit: int,
    *,
    has_runs: bool,
) -> None:
    console = text.console()
    for place, (board, report) in enumerate(told):
        heading = Text(" and ".join(names.short(name) for name in board) + "s", style="bold")
        print_report(report, board, title=title if not place else Text("\n").append_text(heading))
    runs = source.runs(limit=limit, sort="cost", start_time=asked.start, end_time=asked.end) if has_runs else []
    if runs:
        console.print(Text("\nruns\n", style="bold"))
        sheet = Sheet(Column("run", least=SHORT_ID), Column("what"), number("calls"), number("tokens"), number("cost"))
        decimals = text.column_decimals(run.totals.known_cost_nanos for run in runs)
        for run in runs:
            totals = run.totals
            sheet.add(
                Text(run.event.event_id[-SHORT_ID:], style="dim"),
                name_of(run.event),
                text.count(totals.calls),
                text.count(totals.input_tokens + totals.output_tokens),
                text.cost_text(totals.known_cost_nanos, decimals, is_doubtful=bool(totals.estimated)),
            )
        sheet.print(console)
