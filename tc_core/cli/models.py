"""`token-calc models` and `token-calc reprice`: what models cost, and pricing what had no price."""

from datetime import UTC, date
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.tracker import CostTracker
from tc_core.meter import price_table
from tc_core.model import clock, period

MOST_MODELS = 40

FIRST_SOLD = date(2020, 6, 11)
"""The day from which the first provider sold tokens."""

app = typer.Typer(help="Look up what models cost.", no_args_is_help=True)

ProviderOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only of this provider, such as openai.", show_default=False)
]


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="TEXT", help="Words of the name.")],
    provider: ProviderOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """List models by name, with their prices today in US dollars per million tokens.

    Example: token-calc models search claude sonnet
    """
    with common.told():
        found = price_table.search(" ".join(words), provider)
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        if not found:
            common.fail(f"No model has {' '.join(words)!r} in its name.", common.NOT_FOUND)
        console = text.console()
        shown = Sheet(
            Column("provider"),
            Column("model", least=40),
            number("input"),
            number("cached", goes=2),
            number("output"),
            number("context", goes=1),
        )
        for each in found[:MOST_MODELS]:
            prices = [_short(each.prices.get(name, text.EMPTY)) for name in ("input", "cached", "output")]
            shown.add(each.provider, each.model, *prices, text.count(each.context_window))
        shown.print(console)
        if any(", above" in price for each in found[:MOST_MODELS] for price in each.prices.values()):
            console.print(Text("+ rises with the length of the prompt", style="dim"))
        if len(found) > MOST_MODELS:
            console.print(Text(f"and {len(found) - MOST_MODELS:,} more: give more words, or --provider", style="dim"))
        common.print_hint(f"token-calc models show {found[0].model}", "shows all its prices")


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model, as frameworks call it.")],
    provider: ProviderOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="The day of the call; default: today.", show_default=False),
    ] = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show how calls of a model are priced: its prices, and those of other days and service tiers.

    Example: token-calc models show openai/gpt-4o --at 2026-01-31
    """
    with common.told():
        moment = clock.now() if at is None else period.period(at, at, tz=UTC).start
        found = price_table.show(model, provider, moment)
        if moment is not None and moment.date() < FIRST_SOLD:
            common.fail(
                f"No price is known for {model} on {at}: models are sold by the token since 2020.", common.NOT_FOUND
            )
        if as_json:
            text.print_json(found.to_dict())
            return
        console = text.console()
        named = " ".join(filter(None, (found.provider, found.model)))
        console.print(Text(named, style="bold") + Text(f"  {found.name}" if found.name else "", style="dim"))
        since = f", since {found.since}" if found.since else ""
        console.print(f"US dollars per million tokens, by {found.source}{since}")
        if at is not None and not found.since and not found.history:
            console.print(
                Text(
                    f"The table knows one price alone, and not since when: nothing else is known of {at}.",
                    style="yellow",
                )
            )
        console.print()
        tiers = found.service_tiers or {}
        shown = Sheet(Column(), Column("standard" if tiers else "price"), *(Column(tier) for tier in tiers))
        for name, price in found.prices.items():
            shown.add(name, price, *(each.get(name, text.EMPTY) for each in tiers.values()))
        shown.print(console)
        console.print()
        if found.context_window:
            console.print(f"context    {found.context_window:,} tokens")
        console.print(f"tokens     {f'counted exactly, {found.encoding}' if found.encoding else 'no public tokenizer'}")
        for when, prices in found.history:
            written = "  ".join(f"{name} {price}" for name, price in prices.items())
            console.print(Text(f"{when:<20}", style="dim") + Text(written))


def reprice(
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="2026-01-31, this-month, ...; default: all.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day that counts.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also calls that have a price: for when a table was wrong.")
    ] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Price calls that had no price when they were recorded, by the prices that held when they were made.

    Example: token-calc reprice --since this-month
    """
    with common.told():
        done = CostTracker(common.open_store(store)).reprice(since, until, everything=everything, tz=common.zone(tz))
        if as_json:
            text.print_json(done.to_dict())
            return
        console = text.console()
        if not done.examined:
            console.print("No call lacks a price." if not everything else "No call is recorded there.")
            return
        if done.changed:
            change = text.usd(abs(done.cost_change_nanos))
            sign = "less" if done.cost_change_nanos < 0 else "more"
            console.print(f"{text.plural(done.changed, 'call')} priced anew: {change} {sign} than before.")
        else:
            console.print(f"No price has changed, of {text.plural(done.examined, 'call')} looked at.")
        if done.still_unpriced:
            console.print(Text(f"{text.plural(done.still_unpriced, 'call')} still unpriced.", style="yellow"))
            common.print_hint("token-calc costs --by model,provider", "shows of which models", store)
            console.print(Text("Prices of your own: `prices:` in token_calculator.yaml (docs/prices.md).", style="dim"))


def _short(price: str) -> str:
    """Write `3, above 200,000: 6` as `3 +`."""
    base, separator, _ = price.partition(", above")
    return f"{base} +" if separator else base
