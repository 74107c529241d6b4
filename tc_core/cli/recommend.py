"""`token-calc recommend`: what would save money."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, print_unknown, unknown
from tc_core.costs import reading
from tc_core.costs.headline import when
from tc_core.costs.tracker import CostTracker
from tc_core.model import money
from tc_core.model.period import period
from tc_core.model.recommendation import Recommendation


def recommend(
    top_k: Annotated[int, typer.Option("--top", "-n", metavar="N", min=1, max=1_000, help="How many.")] = 5,
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="From when on calls count.")] = "last-30-days",
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Recommend what would save money: a smaller model, a cache, batches, shorter prompts.

    Every figure is of calls that were made, priced again. No saving is counted twice.

    Example: token-calc recommend --filter agent=researcher
    """
    with common.told():
        source, filters = common.open_store(store), filters_of(where or [])
        zone = common.zone(tz)
        tracker = CostTracker(source)
        found = tracker.get_recommendations(top_k, start_date=since, end_date=until, filters=filters, tz=zone)
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        console = text.console()
        if not found:
            calls = tracker.get_costs(since, until, filters=filters, tz=zone).total_calls
            said = f" {when(since, until)}"
            console.print(
                f"Nothing is known that would save, of {text.plural(calls, 'call')}{said}: too few of a kind, or none "
                "that could be had for less."
                if calls
                else f"No calls{said}{' that match' if filters else ''}: nothing to save."
            )
            print_unknown(unknown(reading.reader_of(source), filters, period(since, until, tz=zone)))
            common.print_hint("token-calc costs --by agent,model", "shows what calls cost", store)
            return
        cost = tracker.get_costs(since, until, filters=filters, tz=zone).total_cost_nanos
        saved = sum(money.to_nanos(each.savings or 0) for each in found)
        line = Text(text.usd(saved), style="bold")
        line.append(f" of {text.usd(cost)} {when(since, until)} could have been saved, in {len(found)} ways.")
        console.print(line)
        for place, each in enumerate(found, start=1):
            _print(each, place)
        _print_next(found, store)


def _print(each: Recommendation, place: int) -> None:
    console = text.console()
    saved, low, high = (
        text.usd(money.to_nanos(dollars or 0)) for dollars in (each.savings, each.savings_low, each.savings_high)
    )
    console.print(Text(f"\n{place}. {each.title}", style="bold"))
    monthly = text.usd(money.to_nanos(round(each.monthly_savings or 0, 9)))
    figures = Text(f"   saves {saved} ({low} to {high}), {monthly} in 30 days")
    figures.append(f"   confidence {each.confidence:.0%}".replace("%", " %"), style="dim")
    console.print(figures)
    console.print(Text(f"   {each.reasoning}"))


def _print_next(found: list[Recommendation], store: str | None) -> None:
    named = [id_ for each in found for id_ in each.evidence.get("event_ids", ()) if id_]
    if named:
        common.print_hint(f"token-calc show {named[0]}", "shows the first of the calls behind it", store)
