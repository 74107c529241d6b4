"""`token-calc forecast`: what the coming days, or next month, will cost."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.forecasts.forecast import Forecast, MonthlyForecast
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
            _print_backtest(tested.days, tested.error, tested.naive_error, tested.coverage, len(tested.rows))
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
    console.print(_title(found))
    if found.total is not None:
        console.print()
        _sheet(found).print(console)
        off = "" if found.backtest_error is None else f", off by {found.backtest_error:.0%} in back-tests"
        said = f"By {found.method}, from {text.plural(found.history_days, 'day')}{off}."
        console.print(Text(f"\n{said.replace('%', ' %')}"))
    for note in found.notes:
        console.print(Text(f"Note: {note}.", style="yellow"))


def _title(found: Forecast) -> Text:
    when = (
        f"in {found.month}"
        if isinstance(found, MonthlyForecast)
        else f"in {text.plural(len(found.daily), 'day')} from {found.first_day}"
    )
    if found.total is None:
        return Text("There is nothing to forecast from.")
    line = Text()
    line.append(_usd(found.total), style="bold")
    line.append(f" {when}, {_between(found)}.")
    if isinstance(found, MonthlyForecast) and found.this_month is not None:
        line.append(f"  This month: {_usd(found.this_month)}, of it {_usd(found.spent)} spent.")
    return line


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


def _print_backtest(days: int, error: float | None, naive: float | None, coverage: float | None, origins: int) -> None:
    if error is None or coverage is None:
        said = f"The history is too short to forecast {text.plural(days, 'day')} of it: {14 + days} days are needed."
        text.console().print(Text(said, style="yellow"))
        return
    line = Text(f"{error:.0%} off".replace("%", " %"), style="bold")
    line.append(f" on average, in {text.plural(origins, 'forecast')} of {text.plural(days, 'day')} of the past")
    if naive is not None:
        line.append(f"; taking the last 28 days again: {naive:.0%}".replace("%", " %"))
    line.append(f". {coverage:.0%} lay in their interval (aim: 80 %).".replace("%.", "%.").replace("% lay", " % lay"))
    text.console().print(line)


def _between(found: Forecast) -> str:
    return f"{found.interval:.0%} sure between {_usd(found.low)} and {_usd(found.high)}".replace("%", " %")


def _nanos(weeks: Sequence[Sequence[float]]) -> list[int | None]:
    return [money.to_nanos(sum(week)) for week in weeks]


def _usd(dollars: float | None) -> str:
    return text.usd(None if dollars is None else money.to_nanos(dollars))
