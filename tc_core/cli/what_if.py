"""`token-calc what-if`: what the recorded calls would have cost, had something been different."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, progress, text
from tc_core.cli.filters import filters_of, names_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.scenarios import Scenario, ScenarioGroup, ScenarioResult
from tc_core.errors import ConfigurationError

MOST_GROUPS = 40


def what_if(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="OLD=NEW", help="Another model in one's place; can be given again.", show_default=False
        ),
    ] = None,
    volume: Annotated[float, typer.Option(metavar="TIMES", help="So many times as many calls.")] = 1.0,
    prompt_tokens: Annotated[float, typer.Option(metavar="TIMES", help="So many times as many input tokens.")] = 1.0,
    cache_hit_rate: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="This share (0 to 1) of the input read from the cache.", show_default=False),
    ] = None,
    price_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="By the prices of this day.", show_default=False)
    ] = None,
    batch: Annotated[bool, typer.Option("--batch", help="All through the providers' batch interface.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="NAMES", help="Dimensions or labels, with commas.")] = "model",
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Replay the recorded calls, each with its own tokens, through a change, and price them.

    Example: token-calc what-if --model gpt-4o=gpt-4o-mini --volume 10
    """
    from tc_core.costs.forecasts.forecaster import CostForecaster  # numpy, for those who ask

    with common.told():
        names = names_of(by)
        scenario = Scenario(
            volume=volume,
            model_map=_models(model or []),
            prompt_tokens=prompt_tokens,
            cache_hit_rate=cache_hit_rate,
            price_date=price_date,
            batch=batch,
            filters=filters_of(where or []),
        )
        forecaster = CostForecaster(common.open_store(store))
        with progress.bar("Replaying calls") as on_progress:
            found = forecaster.scenario_model(
                scenario, start_date=since, end_date=until, by=names, tz=common.zone(tz), progress=on_progress
            )
        if as_json:
            text.print_json(found.to_dict())
            return
        _print(found, names)
        if not found.calls:
            common.print_hint("token-calc costs", "shows what is recorded", store)


def _models(written: Sequence[str]) -> dict[str, str]:
    found = {}
    for each in written:
        old, separator, new = each.partition("=")
        if not separator or not old.strip() or not new.strip():
            raise ConfigurationError(f"cannot read the model {each!r}: use --model OLD=NEW")
        found[old.strip()] = new.strip()
    return found


def _print(found: ScenarioResult, names: Sequence[str]) -> None:
    console = text.console()
    console.print(_title(found))
    if found.groups:
        console.print()
        _sheet(found, names).print(console)
        if len(found.groups) > MOST_GROUPS:
            console.print(Text(f"and {len(found.groups) - MOST_GROUPS:,} more (--json has all)", style="dim"))
    for place, note in enumerate(found.notes):
        console.print(Text(("" if place else "\n") + f"Note: {note}.", style="yellow"))


def _title(found: ScenarioResult) -> Text:
    if not found.calls:
        return Text("No call that was answered is recorded there: nothing to replay.")
    line = Text()
    line.append(_usd(found.cost_after), style="bold")
    line.append(f" instead of {_usd(found.cost_before)}")
    if _is_of_all(found) and found.change is not None and found.cost_before:
        line.append(f" ({_change(found.change, found.cost_before)})")
    line.append(f", for {text.plural(found.calls, 'call')} of {text.plural(found.days, 'day')}.")
    if not _is_of_all(found):
        line.append(f"  {_of_both(found)}", style="yellow")
    elif found.monthly_change:
        kind = "more" if found.monthly_change > 0 else "less"
        line.append(f"  {_usd(abs(found.monthly_change))} {kind} in 30 days.")
    return line


def _sheet(found: ScenarioResult, names: Sequence[str]) -> Sheet:
    sheet = Sheet(
        *(Column(name.removesuffix("_id")) for name in names),
        number("calls"),
        number("was"),
        number("would be"),
        number("from", goes=1),
        number("to", goes=1),
        number("change"),
    )
    shown = found.groups[:MOST_GROUPS]
    decimals = text.column_decimals(
        each for group in shown for each in (group.cost_before_nanos, group.cost_after_nanos)
    )
    for group in shown:
        sheet.add(
            *(Text(group.key[name] or text.EMPTY, style="" if group.key[name] else "dim") for name in names),
            text.count(group.calls),
            text.cost_text(group.cost_before_nanos, decimals, is_doubtful=bool(group.unpriced_before)),
            text.cost_text(group.cost_after_nanos, decimals, is_doubtful=bool(group.unpriced_after)),
            _usd(group.low, decimals),
            _usd(group.high, decimals),
            ""
            if group.change is None or not group.cost_before or not _is_of_all(group)
            else _change(group.change, group.cost_before),
        )
    return sheet


def _of_both(found: ScenarioResult) -> str:
    if found.change is None:
        return "No call has a price both before and after."
    change = f"{_usd(abs(found.change))} {'more' if found.change > 0 else 'less'}" if found.change else "no change"
    return f"Of calls with a price both before and after: {change}."


def _is_of_all(found: ScenarioResult | ScenarioGroup) -> bool:
    """Whether the same calls have a price before and after, so that the two sums can be compared."""
    if found.cost_before is None or found.cost_after is None or found.change is None:
        return found.cost_before is found.cost_after
    return abs(found.cost_after - found.cost_before - found.change) <= 1e-9 * max(1, abs(found.cost_after))


def _change(change: float, before: float) -> str:
    share = change / before
    return f"{share + 1:,.1f}x" if share >= 1 else f"{share:+.0%}".replace("%", " %")


def _usd(dollars: float | None, decimals: int | None = None) -> str:
    return text.usd(None if dollars is None else round(dollars * 1e9), decimals=decimals)
