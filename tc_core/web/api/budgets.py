"""Budgets: how each stands and when it runs out, who changed it; and what is to come, with how such forecasts did."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.text import Text

from tc_core.budgets import present
from tc_core.budgets.status import BudgetStatus, elapsed_share
from tc_core.budgets.tracker import BudgetTracker
from tc_core.costs import reading
from tc_core.costs.forecasts import present as foretold
from tc_core.costs.forecasts.forecast import Forecast
from tc_core.costs.report import Question, answer
from tc_core.errors import TokenCalculatorError
from tc_core.model import clock, money, written
from tc_core.model.period import Period, midnight
from tc_core.web.asked import Asked
from tc_core.web.bars import made
from tc_core.web.table import Table, said

DAYS_BACK = 56
MOST_PERIODS = 12
USUAL_BACKTEST_DAYS = 28


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows."""
    tracker = BudgetTracker(asked.store)
    found = tracker.list()
    is_over = any(each.is_over for each in found)
    style = "bold red" if is_over else "bold"
    return {
        "sentence": said(Text(present.headline(found), style=style)),
        "notes": [note] if (note := present.awaited(found)) else [],
        "budgets": [_budget(each, asked) for each in found],
        "forecast": _forecast(asked),
        "command": asked.command("budget", "status", options=("tz",)),
        "forecast_command": asked.command("forecast", options=("filter", "tz")),
    }


def plain(asked: Asked) -> Any:
    """Return what `token-calc budget status --json` prints."""
    return [each.to_dict() for each in BudgetTracker(asked.store).list()]


def history(asked: Asked) -> Mapping[str, Any]:
    """Return who changed one budget, when and why, and how its periods went; one that never was is an error."""
    tracker, name = BudgetTracker(asked.store), asked.text("budget")
    changes = tracker.history(name)
    table = Table(label=f"Changes of {name}")
    table.names("when", [written.moment(each.at, asked.zone) for each in changes], is_whole=True)
    table.names("what", [each.kind for each in changes])
    table.names("by", [each.by for each in changes], goes=2)
    table.names("why", [each.why for each in changes], goes=1)
    table.names("details", [present.details(each.details) for each in changes], is_wide=True)
    is_set = name is not None and any(each.name == name for each in tracker.list())
    if name is not None and not changes and not is_set:
        raise TokenCalculatorError(f"No budget {name!r} was ever set: `token-calc budget status` shows which are.")
    periods = tracker.periods(name)[-MOST_PERIODS:] if name is not None and is_set else []
    return {
        "changes": table.to_dict(),
        "periods": _periods(name or "", periods).to_dict(),
        "command": asked.command("budget", "history", *([name] if name else [])),
    }


def backtest(asked: Asked) -> Mapping[str, Any]:
    """Return how forecasts of the past did."""
    from tc_core.costs.forecasts.forecaster import CostForecaster

    days = asked.number("days", USUAL_BACKTEST_DAYS, 366)
    found = CostForecaster(asked.store).backtest(days, filters=asked.filters, tz=asked.zone)
    rows = found.rows
    table = Table(label="Forecasts of the past, and what came")
    table.names("from", [f"{row.first_day:%Y-%m-%d}" for row in rows], is_whole=True)
    figures = {
        "forecast": [money.to_nanos(row.total) for row in rows],
        "low": [money.to_nanos(row.low) for row in rows],
        "high": [money.to_nanos(row.high) for row in rows],
        "came": [money.to_nanos(row.actual) for row in rows],
    }
    decimals = written.column_decimals(nanos for column in figures.values() for nanos in column)
    for label, nanos in figures.items():
        table.money(label, nanos, decimals=decimals)
    verdicts = ["in the interval" if row.is_covered else "below" if row.actual < row.low else "above" for row in rows]
    table.names("which was", verdicts, tones=["" if row.is_covered else "doubt" for row in rows])
    return {"sentence": said(foretold.backtest_line(found)), "table": table.to_dict()}


def _budget(found: BudgetStatus, asked: Asked) -> Mapping[str, Any]:
    part, elapsed = present.share(found), elapsed_share(found, clock.now())
    unit = "" if found.unit == "usd" else f" {found.unit}"
    reserved = found.reserved / found.amount if found.amount else 0.0
    return {
        "name": found.name,
        "tone": {"red": "over", "yellow": "doubt", "": ""}[present.style(found)],
        "period": present.period(found),
        "counts": present.about(found),
        "kind": "hard" if found.hard else "soft",
        "spent": f"{present.amount(found.spent, found.unit)} of {present.amount(found.amount, found.unit)}{unit}",
        "left": f"{present.amount(found.remaining, found.unit)}{unit} left",
        "reserved": f"{present.amount(found.reserved, found.unit)} reserved" if found.reserved else "",
        "estimated": f"{present.amount(found.estimated, found.unit)} of it estimated" if found.estimated else "",
        "share": part,
        "share_text": f"{100 * part:.0f} %",
        "reserved_share": reserved,
        "elapsed": elapsed,
        "elapsed_text": "" if elapsed is None else f"{100 * elapsed:.0f} % of its time gone by",
        "runs_out": _runs_out(found, asked),
    }


def _runs_out(found: BudgetStatus, asked: Asked) -> str:
    if found.is_over or found.runs_out_at is None:
        return ""
    at = present.when(found.runs_out_at, asked.zone)
    between = found.runs_out_between
    if between is None:
        return f"runs out {at}"
    first, last = (present.when(each, asked.zone) for each in between)
    return f"runs out {at}, 80 % sure between {first} and {last}"


def _periods(name: str, found: Sequence[BudgetStatus]) -> Table:
    table = Table(label=f"Periods of {name}")
    table.names("period", [each.key for each in found])
    for label, amounts in (("spent", [each.spent for each in found]), ("of", [each.amount for each in found])):
        units = [each.unit for each in found]
        texts = [present.amount(amount, unit) for amount, unit in zip(amounts, units, strict=True)]
        table.numbers(label, amounts, texts, tones=["over" if each.is_over else "" for each in found])
    shares = [round(1000 * present.share(each)) for each in found]
    table.shares("share", shares, 1000, tones=["over" if each.is_over else "" for each in found])
    return table


def _forecast(asked: Asked) -> Mapping[str, Any]:
    from tc_core.costs.forecasts.forecaster import CostForecaster  # numpy, for those who ask

    tz = asked.zone
    forecaster = CostForecaster(asked.store)
    found = forecaster.forecast_monthly(filters=asked.filters, tz=tz)
    return {
        "sentence": said(foretold.headline(found)),
        "method": foretold.method(found) if found.total is not None else "",
        "notes": [f"{note[:1].upper()}{note[1:]}." for note in found.notes],
        "bars": _days(asked, [*([found.rest] if found.rest else []), found]) if found.total is not None else None,
    }


def _days(asked: Asked, parts: Sequence[Forecast]) -> Mapping[str, Any] | None:
    """Return the days behind us, and those that are forecast, as bars."""
    tz, today = asked.zone, clock.now().astimezone(asked.zone).date()
    first = today - timedelta(days=DAYS_BACK)
    span = Period(midnight(first, tz), midnight(today + timedelta(days=1), tz))
    groups = answer(reading.reader_of(asked.store), span, Question(["day"], asked.filters, tz)).groups
    came = {str(group.key["day"]): group.cost_nanos or 0 for group in groups}
    coming: dict[str, int] = {}
    for part in parts:
        for place, dollars in enumerate(part.daily):
            coming[f"{part.first_day + timedelta(days=place):%Y-%m-%d}"] = money.to_nanos(max(dollars, 0.0))
    last = max([*map(str, coming), f"{today:%Y-%m-%d}"])
    buckets = [f"{first:%Y-%m-%d}"]
    while buckets[-1] < last:
        first += timedelta(days=1)
        buckets.append(f"{first:%Y-%m-%d}")
    rows = [[part.get(day, 0) for day in buckets] for part in (came, coming)]
    return made("day", buckets, ["spent", "forecast"], rows)
