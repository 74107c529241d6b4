"""`token-calc runs`: what ran, the latest first or the largest."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.events import SHORT_ID
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.runs import doubts, meant
from tc_core.lineage.tree import name_of
from tc_core.model.period import period
from tc_core.model.run import Run
from tc_core.store.sql import RUN_SORTS


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="How many.")] = 20,
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Only of this session.", show_default=False)
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="|".join(RUN_SORTS),
            help="The largest first, in place of the latest.",
            show_default=False,
        ),
    ] = None,
    single_calls: Annotated[bool, typer.Option("--all", help="Also model calls that stand alone.")] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """List the latest runs of agents, graphs and workflows.

    A run is meant by --filter where one of its events matches.

    Example: token-calc runs --since this-week --sort cost
    """
    with common.told():
        source, zone = common.open_store(store), common.zone(tz)
        asked = period(since, until, tz=zone)
        wanted = {"session_id": session} if session is not None else {}
        roots, having = meant(source, filters_of(where or []) | wanted, asked)

        def ask(*, single: bool) -> list[Run]:
            return source.runs(
                roots,
                limit=limit,
                single_calls=single,
                having=having,
                start_time=asked.start,
                end_time=asked.end,
                sort=sort,
            )

        found = ask(single=single_calls)
        shows_all = single_calls or not found
        if not found and not single_calls:
            found = ask(single=True)
        if as_json:
            text.print_json([run.to_dict() for run in found])
            return
        hidden = 0 if shows_all or roots else source.single_calls(having, asked.start, asked.end)
        _print_runs(found, zone, store, is_asked=bool(since or until or where or session), hidden=hidden)
        if len(found) < limit:
            common.print_removed(source.removals(), "Older runs are gone")


def _print_runs(found: Sequence[Run], tz: tzinfo, store: str | None, *, is_asked: bool, hidden: int) -> None:
    console = text.console()
    if not found:
        console.print("No run matches." if is_asked else "No runs recorded.")
        if is_asked:
            common.print_hint("token-calc runs", "lists the latest of all", store)
        else:
            common.print_hint("token-calc demo", "records one to look at")
        return
    sheet = Sheet(
        Column("run", least=SHORT_ID),
        Column("started", least=len("2026-01-31 12:00:00"), goes=4),
        Column("what"),
        number("calls", goes=3),
        number("tokens", goes=2),
        number("cost"),
        number("time", goes=1),
        Column(least=40),
    )
    decimals = text.column_decimals(run.totals.known_cost_nanos for run in found)
    for run in found:
        event, totals = run.event, run.totals
        sheet.add(
            Text(event.event_id[-SHORT_ID:], style="dim"),
            text.moment(event.timestamp, tz),
            name_of(event),
            text.count(totals.calls),
            text.count(totals.input_tokens + totals.output_tokens),
            text.cost_text(totals.known_cost_nanos, decimals, is_doubtful=bool(totals.estimated)),
            text.seconds(event.latency_ms),
            Text(doubts(run), style="yellow"),
        )
    sheet.print(console)
    if hidden:
        stand = "stands alone and is" if hidden == 1 else "stand alone and are"
        console.print(Text(f"{text.plural(hidden, 'model call')} {stand} not shown: --all shows them.", style="dim"))
    first = found[0].event.event_id[-SHORT_ID:]
    common.print_hint(f"token-calc tree {first}", "shows what it did", store)
