"""`token-calc compare`: what changed from one period to another, and why."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, names_of, print_unknown, unknown
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs import compare as comparing
from tc_core.costs import names, reading
from tc_core.costs.compare import Comparison
from tc_core.store.sql import SqlStore
from tc_core.workflows import changes as told

MOST_GROUPS = 15


def compare(
    before: Annotated[
        str, typer.Argument(metavar="PERIOD_A", help="last-week, 2026-01-31, 2026-01-01..2026-01-31")
    ] = "last-week",
    after: Annotated[str, typer.Argument(metavar="PERIOD_B", help="The later period.")] = "this-week",
    by: Annotated[str, typer.Option("--by", metavar="NAMES", help="Within what the reasons are told.")] = "agent",
    where: common.FilterOption = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="All of PERIOD_A, also where PERIOD_B is not over yet; else as much of it."),
    ] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what changed from one period to another, and why: price, volume, tokens per call or model mix.

    The reasons sum to the difference exactly.

    Example: token-calc compare last-month this-month --by agent
    """
    with common.told():
        source, zone = common.open_store(store), common.zone(tz)
        reader = reading.reader_of(source)
        first, second = (comparing.as_period(told.span(each), zone) for each in (before, after))
        if not whole:
            first = comparing.same_part(first, second)
        filters, group_by = filters_of(where or []), names_of(by)
        found = comparing.compare(reader, source, first, second, by=group_by, filters=filters, tz=zone)
        if as_json:
            text.print_json(found.to_dict())
            return
        text.console().print(told.headline(found, before, after, filters, zone))
        if found.before.total_calls or found.after.total_calls:
            _print(found, group_by)
        print_unknown(unknown(reader, (*group_by, *filters), second))
        _print_origins(source, found)
        if found.before.total_calls or found.after.total_calls:
            since = after.partition("..")[0]
            common.print_hint(f"token-calc costs --since {since}", "shows what the later one cost", store)
        else:
            common.print_hint_for_nothing(source, store)


def _print(found: Comparison, by: list[str]) -> None:
    console = text.console()
    has_costs = None not in (found.before.total_cost_nanos, found.after.total_cost_nanos)
    if has_costs or any(driver.cost_nanos for driver in found.drivers):
        _print_reasons(found, console)
    if found.groups:
        console.print()
        _groups(found, by).print(console)
        if len(found.groups) > MOST_GROUPS:
            console.print(Text(f"and {len(found.groups) - MOST_GROUPS:,} more (--json shows all)", style="dim"))


def _print_reasons(found: Comparison, console: Console) -> None:
    console.print(Text("\nWhy\n", style="bold"))
    sheet = Sheet(Column(), number(""), Column(least=60))
    decimals = text.column_decimals(abs(driver.cost_nanos) for driver in found.drivers)
    for driver in found.drivers:
        sheet.add(told.WORDS[driver.kind], text.signed(driver.cost_nanos, decimals=decimals), driver.explanation)
    sheet.print(console)


def _groups(found: Comparison, by: list[str]) -> Sheet:
    sheet = Sheet(
        *(Column(names.short(name)) for name in by),
        number("before"),
        number("after"),
        number("change"),
        Column("mostly", least=24),
    )
    shown = found.groups[:MOST_GROUPS]
    costs = [nanos for group in shown for nanos in (group.before.cost_nanos, group.after.cost_nanos)]
    decimals = text.column_decimals(costs)
    for group in shown:
        sheet.add(
            *(Text(group.key[name] or text.EMPTY, style="" if group.key[name] else "dim") for name in by),
            text.cost_text(group.before.cost_nanos, decimals),
            text.cost_text(group.after.cost_nanos, decimals),
            text.EMPTY
            if None in (group.before.cost_nanos, group.after.cost_nanos)
            else text.signed(group.difference_nanos, decimals=decimals),
            told.mostly(group),
        )
    return sheet


def _print_origins(source: SqlStore, found: Comparison) -> None:
    """Where calls take more tokens, say which part of the prompts has grown."""
    agent, changes = told.origins(source, found)
    if not changes:
        return
    console = text.console()
    console.print(Text(f"\nWhat the prompts of {agent} have more of\n", style="bold"))
    sheet = Sheet(Column("origin"), number("tokens"), number("cost"))
    decimals = text.column_decimals(each.cost_nanos for each in changes)
    for each in changes:
        sheet.add(each.name, f"{each.tokens:+,}", text.signed(each.cost_nanos, decimals=decimals))
    sheet.print(console)
