"""`token-calc recommend`: what would save money."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, print_unknown, unknown
from tc_core.costs import reading
from tc_core.costs.savings import present
from tc_core.costs.tracker import CostTracker
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
        console, asked = text.console(), (since, until, bool(filters))
        if not found:
            console.print(present.title(found, tracker.get_costs(since, until, filters=filters, tz=zone), *asked))
            print_unknown(unknown(reading.reader_of(source), filters, period(since, until, tz=zone)))
            common.print_hint("token-calc costs --by agent,model", "shows what calls cost", store)
            return
        console.print(present.title(found, tracker.get_costs(since, until, filters=filters, tz=zone), *asked))
        for place, each in enumerate(found, start=1):
            _print(each, place)
        _print_next(found, store)


def _print(each: Recommendation, place: int) -> None:
    console = text.console()
    console.print(Text(f"\n{place}. {each.title}", style="bold"))
    figures = Text(f"   {present.figures(each)}")
    figures.append(f"   confidence {each.confidence:.0%}".replace("%", " %"), style="dim")
    console.print(figures)
    console.print(Text(f"   {each.reasoning}"))


def _print_next(found: list[Recommendation], store: str | None) -> None:
    named = [id_ for each in found for id_ in each.evidence.get("event_ids", ()) if id_]
    if named:
        common.print_hint(f"token-calc show {named[0]}", "shows the first of the calls behind it", store)
