"""`token-calc compare`: what changed from one period to another, and why."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, names_of, print_unknown, unknown
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs import compare as comparing
from tc_core.costs import names, reading
from tc_core.costs.compare import Comparison, GroupChange
from tc_core.costs.drivers import Driver
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.store.sql import SqlStore

MOST_GROUPS = 15
MOST_ORIGINS = 5

_WORDS = {"price": "price", "volume": "volume", "tokens_per_call": "tokens per call", "model_mix": "model mix"}


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
        first, second = (comparing.as_period(_span(each), zone) for each in (before, after))
        if not whole:
            first = comparing.same_part(first, second)
        filters, group_by = filters_of(where or []), names_of(by)
        found = comparing.compare(reader, source, first, second, by=group_by, filters=filters, tz=zone)
        if as_json:
            text.print_json(found.to_dict())
            return
        _print(found, before, after, group_by)
        print_unknown(unknown(reader, (*group_by, *filters), second))
        _print_origins(source, found)
        common.print_hint(
            f"token-calc costs --since {after.partition('..')[0]}", "shows what the later one cost", store
        )


def _span(written: str) -> str | tuple[str | None, str | None]:
    """Read `A..B` as a start and an end."""
    start, separator, end = written.partition("..")
    return (start or None, end or None) if separator else written


def _print(found: Comparison, before: str, after: str, by: list[str]) -> None:
    console = text.console()
    console.print(_title(found, before, after))
    if not found.before.total_calls and not found.after.total_calls:
        return
    console.print(Text("\nWhy\n", style="bold"))
    sheet = Sheet(Column(), number(""), Column(least=60))
    decimals = text.column_decimals(abs(driver.cost_nanos) for driver in found.drivers)
    for driver in found.drivers:
        sheet.add(_WORDS[driver.kind], _signed(driver.cost_nanos, decimals), driver.explanation)
    sheet.print(console)
    if found.groups:
        console.print()
        _groups(found, by).print(console)
        if len(found.groups) > MOST_GROUPS:
            console.print(Text(f"and {len(found.groups) - MOST_GROUPS:,} more (--json shows all)", style="dim"))


def _title(found: Comparison, before: str, after: str) -> Text:
    then, now = found.before, found.after
    if not then.total_calls and not now.total_calls:
        return Text(f"No calls {_said(after)}, and none {_said(before)}.")
    line = Text(text.usd(now.total_cost_nanos), style="bold")
    line.append(f" {_said(after)} in {text.plural(now.total_calls, 'call')}, ")
    line.append(f"{text.usd(then.total_cost_nanos)} {_said(before)} in {text.plural(then.total_calls, 'call')}: ")
    if then.total_cost_nanos is None or now.total_cost_nanos is None:
        line.append("not to be compared, since no price is known")
    elif not found.difference_nanos:
        line.append("the same")
    elif found.ratio is None:
        line.append(_signed(found.difference_nanos))
    else:
        share = f"{abs(found.ratio - 1):.0%}".replace("%", " %")
        line.append(f"{_signed(found.difference_nanos)}, {share} {'more' if found.ratio >= 1 else 'less'}")
    line.append(".")
    unpriced = [each.unpriced_calls for each in (then, now)]
    if any(unpriced):
        line.append(f"  Unpriced and left out: {unpriced[0]:,} and {unpriced[1]:,} calls.", style="yellow")
    return line


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
            else _signed(group.difference_nanos, decimals),
            _mostly(group),
        )
    return sheet


def _mostly(group: GroupChange) -> str:
    first: Driver = group.drivers[0]
    return f"{_WORDS[first.kind]}: {first.explanation}" if first.cost_nanos else ""


def _print_origins(source: SqlStore, found: Comparison) -> None:
    """Where calls take more tokens, say which part of the prompts has grown."""
    driver = next((each for each in found.drivers if each.kind == "tokens_per_call"), None)
    grown = [group for group in found.groups if group.key.get("agent_id")]
    if driver is None or driver.cost_nanos <= 0 or not grown:
        return
    group = max(grown, key=lambda each: next(d.cost_nanos for d in each.drivers if d.kind == "tokens_per_call"))
    agent, analyzer = group.key["agent_id"], ProvenanceAnalyzer(source)
    spans = [(each.start, each.end) for each in (found.before, found.after)]
    sides = [analyzer.waterfall(agent_id=agent, start_date=start, end_date=end) for start, end in spans]
    changes = [each for each in analyzer.compare(sides[0], sides[1]) if each.cost_nanos > 0][:MOST_ORIGINS]
    if not changes:
        return
    console = text.console()
    console.print(Text(f"\nWhat the prompts of {agent} have more of\n", style="bold"))
    sheet = Sheet(Column("origin"), number("tokens"), number("cost"))
    decimals = text.column_decimals(each.cost_nanos for each in changes)
    for each in changes:
        sheet.add(each.name, f"{each.tokens:+,}", _signed(each.cost_nanos, decimals))
    sheet.print(console)


def _signed(nanos: int, decimals: int | None = None) -> str:
    if not nanos:
        return text.usd(0)
    return f"{'+' if nanos > 0 else '-'}{text.usd(abs(nanos), decimals=decimals)}"


def _said(period: str) -> str:
    return period.replace("..", " to ") if period[:1].isdigit() else period.replace("-", " ")
