"""How forecasts are told to people: the sentence that answers, how it was made, and how such ones did."""

from rich.text import Text

from tc_core.costs.forecasts.forecast import Backtest, Forecast, MonthlyForecast
from tc_core.model import money, written


def headline(found: Forecast) -> Text:
    """Return the sentence that answers what is to come."""
    when = (
        f"in {found.month}"
        if isinstance(found, MonthlyForecast)
        else f"in {written.plural(len(found.daily), 'day')} from {found.first_day}"
    )
    if found.total is None:
        return Text("There is nothing to forecast from.")
    line = Text()
    line.append(_usd(found.total), style="bold")
    line.append(f" {when}, {_between(found)}.")
    if isinstance(found, MonthlyForecast) and found.this_month is not None:
        line.append(f"  This month: {_usd(found.this_month)}, of it {_usd(found.spent)} spent.")
    return line


def method(found: Forecast) -> str:
    """Say how a forecast was made, and how far such ones were off."""
    off = "" if found.backtest_error is None else f", off by {found.backtest_error:.0%} in back-tests"
    return f"By {found.method}, from {written.plural(found.history_days, 'day')}{off}.".replace("%", " %")


def backtest_line(found: Backtest) -> Text:
    """Return the sentence that says how forecasts of the past did."""
    error, naive, coverage = found.error, found.naive_error, found.coverage
    if error is None or coverage is None:
        needed = written.plural(found.days, "day")
        said = f"The history is too short to forecast {needed} of it: {14 + found.days} days are needed."
        return Text(said, style="yellow")
    line = Text(f"{error:.0%} off".replace("%", " %"), style="bold")
    of_days = written.plural(found.days, "day")
    line.append(f" on average, in {written.plural(len(found.rows), 'forecast')} of {of_days} of the past")
    if naive is not None:
        line.append(f"; taking the last 28 days again: {naive:.0%}".replace("%", " %"))
    line.append(f". {coverage:.0%} lay in their interval (aim: 80 %).".replace("%.", "%.").replace("% lay", " % lay"))
    return line


def _between(found: Forecast) -> str:
    return f"{found.interval:.0%} sure between {_usd(found.low)} and {_usd(found.high)}".replace("%", " %")


def _usd(dollars: float | None) -> str:
    return written.usd(None if dollars is None else money.to_nanos(dollars))
