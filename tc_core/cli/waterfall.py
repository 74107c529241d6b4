"""`token-calc waterfall`: where input tokens come from, and what was sent again."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.errors import LineageError
from tc_core.ledger import present
from tc_core.ledger.waterfall import Waterfall, WaterfallChange, WaterfallRow
from tc_core.lineage import find
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.store.sql import SqlStore

MOST_ROWS = 30
BAR = 12


def waterfall(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="`last`, a run or call by id or the end of one, or a name.", show_default=False
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this agent's calls.", show_default=False)
    ] = None,
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    is_single: Annotated[
        bool, typer.Option("--single", help="A row for each tool result, answer and message of its own.")
    ] = False,
    other: Annotated[
        str | None,
        typer.Option(
            "--compare", metavar="RUN", help="By how much each origin grew from this run or call.", show_default=False
        ),
    ] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show where input tokens come from: what was new, what was sent again, and what that cost.

    Example: token-calc waterfall last
    """
    with common.told():
        source = common.open_store(store)
        analyzer = ProvenanceAnalyzer(source)

        def ask(wanted: str | None) -> Waterfall:
            return analyzer.waterfall(
                event_id=None if wanted is None else _event_id(source, wanted),
                agent_id=agent,
                start_date=since,
                end_date=until,
                filters=filters_of(where or []),
                is_single=is_single,
                tz=common.zone(tz),
            )

        found = ask(what)
        if other is not None:
            before = ask(other)
            grown = analyzer.compare(before, found)
            if as_json:
                text.print_json(
                    {
                        "before": before.to_dict(),
                        "after": found.to_dict(),
                        "difference": [each.to_dict() for each in grown],
                    }
                )
            else:
                _print_difference(before, found, grown)
        elif as_json:
            text.print_json(found.to_dict())
        else:
            print_waterfall(found)
            if not is_single and any(row.origin_kind != "no_details" for row in found.rows):
                again = "token-calc waterfall" + "".join(f" {each}" for each in (what,) if each)
                common.print_hint(f"{again} --single", "names each tool result and message", store)


def print_waterfall(found: Waterfall) -> None:
    """Print the answer, and below it the origins."""
    console = text.console()
    console.print(present.headline(found))
    if not found.rows:
        return
    console.print()
    _sheet(found.rows[:MOST_ROWS]).print(console)
    if len(found.rows) > MOST_ROWS:
        console.print(Text(f"and {len(found.rows) - MOST_ROWS:,} more (--json has all)", style="dim"))
    for note in present.notes(found):
        console.print(Text(f"\n{note}", style="yellow"))


def _event_id(source: SqlStore, wanted: str) -> str:
    """Return the call that is meant by an id, else the root of the run that is."""
    try:
        event = find.event(source, wanted)
    except LineageError:
        return find.run_id(source, wanted)
    return event.event_id


def _sheet(rows: Sequence[WaterfallRow]) -> Sheet:
    sheet = Sheet(
        Column("origin", least=20),
        Column("event", goes=2, least=8),
        number("tokens"),
        number("sent", goes=3),
        number("first", goes=4),
        number("re-sent"),
        number("cost"),
        Column(goes=1, least=BAR),
    )
    decimals = text.column_decimals(row.cost_nanos for row in rows)
    widest = max((row.cost_nanos or 0) for row in rows) or 0
    most = max(row.tokens for row in rows)
    for row in rows:
        times = row.tokens / row.first_tokens if row.first_tokens else 0
        sheet.add(
            Text(row.name),
            Text((row.origin_id or "")[-8:], style="dim"),
            text.count(row.tokens),
            f"{times:,.1f}x" if times else text.EMPTY,
            text.count(row.first_tokens),
            text.count(row.resent_tokens),
            text.cost_text(row.cost_nanos, decimals),
            text.bar(row.cost_nanos or 0, widest, BAR) if widest else text.bar(row.tokens, most, BAR),
        )
    return sheet


def _print_difference(before: Waterfall, after: Waterfall, grown: Sequence[WaterfallChange]) -> None:
    console = text.console()
    line = Text(f"{text.count(before.total_tokens)} input tokens became {text.count(after.total_tokens)}", style="bold")
    line.append(f", {text.usd(before.total_cost_nanos)} became {text.usd(after.total_cost_nanos)}.")
    console.print(line)
    console.print()
    sheet = Sheet(Column("origin", least=20), number("tokens"), number("cost"))
    decimals = text.column_decimals(abs(each.cost_nanos) for each in grown)
    for each in grown[:MOST_ROWS]:
        sign = "-" if each.cost_nanos < 0 else "+"
        sheet.add(
            Text(each.name),
            f"{each.tokens:+,}",
            f"{sign}{text.usd(abs(each.cost_nanos), decimals=decimals)}",
        )
    sheet.print(console)
