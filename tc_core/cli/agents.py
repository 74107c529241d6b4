"""`token-calc agents`: how well agents do, and how sure that is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.model import money

if TYPE_CHECKING:
    from tc_core.lineage.agents import AgentPerformance, Interval


def agents(
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    least: Annotated[
        int, typer.Option(metavar="N", min=1, help="So many finished runs are enough to compare an agent by.")
    ] = 10,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show how well each agent does: success, time and cost per success, with 95 % intervals.

    Example: token-calc agents --since last-30-days
    """
    with common.told():
        source = common.open_store(store)
        found = ProvenanceAnalyzer(source).agent_performance(
            since, until, filters=filters_of(where or []), least=least, tz=common.zone(tz)
        )
        if as_json:
            text.print_json([each.to_dict() for each in found])
        else:
            if not found:
                is_part = bool(since or until or where)
                text.console().print(f"No event of an agent is recorded{' there' if is_part else ''}.")
                common.print_hint_for_nothing(source, store)
                return
            _print(found, least, store)


def _print(found: "list[AgentPerformance]", least: int, store: str | None) -> None:
    console = text.console()
    console.print(text.one_line(_headline(found, least)))
    console.print()
    sheet = Sheet(
        Column("agent"),
        number("", goes=6),
        number("success"),
        Column("95 %", goes=4),
        number("time", goes=5),
        number("p95", goes=2),
        number("cost"),
        number("per success"),
        Column("95 %", goes=3),
        number("retries", goes=1),
        Column(least=20),
    )
    decimals = text.column_decimals(each.cost_nanos for each in found)
    for each in found:
        sheet.add(
            each.agent_id,
            text.plural(each.finished, each.unit.removesuffix("s")),
            _share(each.success_rate.value),
            _between(each.success_rate, _share),
            text.seconds(each.latency_ms.value),
            text.seconds(each.latency_p95_ms),
            text.cost_text(each.cost_nanos, decimals),
            _dollars(each.cost_per_success.value),
            _between(each.cost_per_success, _dollars),
            text.count(each.retries) if each.retries else "",
            _doubts(each, least),
        )
    sheet.print(console)
    common.print_hint("token-calc costs --by agent,model", "shows which models their money went to", store)


def _headline(found: "list[AgentPerformance]", least: int) -> str:
    enough = [each for each in found if each.is_enough]
    said = text.plural(len(found), "agent")
    if not enough:
        return f"{said}, none with {text.plural(least, 'finished run')} or more: too few to compare."
    worst = min(enough, key=lambda each: each.success_rate.value or 0)
    if worst.successes == worst.finished:
        return f"{said}; none of those with enough runs has failed."
    share = _share(worst.success_rate.value)
    return f"{said}; {worst.agent_id} fails most: {share} of {text.plural(worst.finished, worst.unit[:-1])} succeeded."


def _doubts(each: "AgentPerformance", least: int) -> Text:
    said = [
        "" if each.is_enough else f"fewer than {least}",
        f"{each.unfinished:,} unfinished" if each.unfinished else "",
        f"{each.unpriced_calls:,} unpriced" if each.unpriced_calls else "",
    ]
    return Text(", ".join(filter(None, said)), style="yellow")


def _between(interval: "Interval", write: Callable[[float | None], str]) -> Text:
    if interval.low is None:
        return Text()
    return Text(f"{write(interval.low)} to {write(interval.high)}", style="dim")


def _share(share: float | None) -> str:
    return "" if share is None else f"{round(100 * share)} %"


def _dollars(dollars: float | None) -> str:
    return "" if dollars is None else text.usd(money.to_nanos(dollars))
