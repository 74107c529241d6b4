"""`token-calc forecast`: what the coming days, or next month, will cost."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.forecasts.forecast import Forecast
from tc_core.costs.forecasts.present import backtest_line, headline, method
from tc_core.model import money

BAR = 24


def forecast(
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this agent's calls.", show_default=False)
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="The next so many days, instead of this month and the next.", show_default=False
        ),
    ] = None,
    where: common.FilterOption = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="auto: the better one in back-tests.")] = "auto",
    with_backtest: Annotated[bool, typer.Option("--backtest", help="Show how forecasts of the past did.")] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Forecast what calls will cost, with the interval in which 8 of 10 such forecasts come true.

    Example: token-calc forecast --agent researcher
    """
    from tc_core.costs.forecasts.forecaster import CostForecaster  # numpy, for those who ask

    with common.told():
        forecaster, zone = CostForecaster(common.open_store(store)), common.zone(tz)
        filters = {**filters_of(where or []), **({} if agent is None else {"agent_id": agent})}
        if with_backtest:
            tested = forecaster.backtest(days or 28, filters=filters, tz=zone, method=method)
            if as_json:
                text.print_json(tested.to_dict())
                return
            text.console().print(backtest_line(tested))
            return
        found: Forecast
        if days is None:
            found = forecaster.forecast_monthly(filters=filters, tz=zone, method=method)
        else:
            found = forecaster.forecast(days, filters=filters, tz=zone, method=method)
        if as_json:
            text.print_json(found.to_dict())
            return
        _print(found)
        if found.total is not None:
            common.print_hint("token-calc forecast --backtest", "shows how far such forecasts were off", store)


def _print(found: Forecast) -> None:
    console = text.console()
    console.print(headline(found))
    if found.total is not None:
        console.print()
        _sheet(found).print(console)
        console.print(Text(f"\n{method(found)}"))
    for note in found.notes:
        console.print(Text(f"Note: {note}.", style="yellow"))


def _sheet(found: Forecast) -> Sheet:
    sheet = Sheet(Column("week from"), number("days"), number("cost"), Column(goes=1, least=BAR))
    weeks = [found.daily[start : start + 7] for start in range(0, len(found.daily), 7)]
    largest = max((sum(week) / len(week) for week in weeks), default=0.0)
    decimals = text.column_decimals(_nanos(weeks))
    for place, week in enumerate(weeks):
        share = round(1000 * sum(week) / len(week) / largest) if largest else 0
        sheet.add(
            f"{found.first_day + timedelta(days=7 * place):%Y-%m-%d}",
            str(len(week)),
            text.usd(money.to_nanos(sum(week)), decimals=decimals),
            text.bar(share, 1000, BAR),
        )
    return sheet


def _nanos(weeks: Sequence[Sequence[float]]) -> list[int | None]:
    return [money.to_nanos(sum(week)) for week in weeks]
