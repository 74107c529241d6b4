"""CostForecaster: what the coming days and months will cost."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path

import numpy as np

from tc_core.costs.forecasts import history as past
from tc_core.costs.forecasts import methods
from tc_core.costs.forecasts.forecast import INTERVAL, Backtest, BacktestRow, Forecast, MonthlyForecast
from tc_core.costs.forecasts.history import DAY, History
from tc_core.costs.forecasts.predict import LEAST_HISTORY
from tc_core.costs.reading import reader_of
from tc_core.costs.replay import Progress, Replay, pages, removed_in
from tc_core.costs.scenarios import Scenario, ScenarioResult
from tc_core.model import clock, money
from tc_core.model.period import Period, midnight, period, zone
from tc_core.model.ports import Filters
from tc_core.model.totals import Totals
from tc_core.runtime.recorders import open_storage
from tc_core.store.base import StorageBackend

MOST_FORECAST_DAYS = 366
_SHORT = 28


class CostForecaster:
    """Forecasts what calls will cost, from what they have.

    `storage` is a store, a path or a URL; without it the default store is used. Only what was recorded before `now`
    (default: this moment; naive: in `tz`) is used, so that a forecast of the past is made as it would have been then.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        self.storage = open_storage(storage)

    def forecast(
        self,
        days: int,
        *,
        filters: Filters | None = None,
        now: datetime | None = None,
        tz: str | tzinfo = "UTC",
        method: str = "auto",
    ) -> Forecast:
        """Forecast the total of `days` whole days, from `now` on when it is midnight in `tz`, else from the next one.

        `method` is `auto` (the better one in back-tests), or one of `tc_core.costs.forecasts.methods.METHODS`. Raises
        ValueError for a number of days or a method that cannot be, ImportError where its library is not installed.
        """
        _check_days(days)
        methods.check(method)
        where = zone(tz)
        moment = _moment(now, where)
        read = past.read(reader_of(self.storage), filters or {}, moment, where)
        return _forecast(read, days, _first_day(moment, where), method)

    def forecast_monthly(
        self,
        agent_id: str | None = None,
        *,
        filters: Filters | None = None,
        now: datetime | None = None,
        tz: str | tzinfo = "UTC",
        method: str = "auto",
    ) -> MonthlyForecast:
        """Forecast next month, and what is left of this one; of one agent, or of all calls."""
        methods.check(method)
        where = zone(tz)
        moment = _moment(now, where)
        wanted = {**(filters or {}), **({} if agent_id is None else {"agent_id": agent_id})}
        reader = reader_of(self.storage)
        read = past.read(reader, wanted, moment, where)
        begin, today = _first_day(moment, where), moment.astimezone(where).date()
        this_month = today.replace(day=1)
        next_month = (this_month + 31 * DAY).replace(day=1)
        after = (next_month + 31 * DAY).replace(day=1)
        coming = _forecast(read, (after - next_month).days, next_month, method)
        rest = _forecast(read, (next_month - begin).days, begin, method) if begin < next_month else None
        span = Period(midnight(this_month, where), moment.astimezone(UTC))
        spent = reader.totals((), wanted, span.start, span.end)[()] if this_month < begin else Totals()
        nanos = spent.known_cost_nanos
        return MonthlyForecast(
            **{name: getattr(coming, name) for name in Forecast.__slots__},
            month=f"{next_month:%Y-%m}",
            spent=None if nanos is None else money.to_dollars(nanos),
            rest_of_today=_rest_of_today(read, moment, where, method) if today < begin else None,
            rest=rest,
        )

    def scenario_model(
        self,
        scenario: Scenario,
        *,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        by: str | Sequence[str] = ("model",),
        tz: str | tzinfo = "UTC",
        progress: Progress | None = None,
    ) -> ScenarioResult:
        """Replay the recorded calls of a period through a scenario, call by call; dates are as in `get_costs`.

        `by` names dimensions or labels of the groups of the answer. `progress` is told how many calls are done, and how
        many there are. Raises ValueError for a name that no call has.
        """
        names = [by] if isinstance(by, str) else list(by)
        span = period(start_date, end_date, tz=zone(tz))
        replay = Replay(scenario, removed=removed_in(self.storage, span))
        for calls in pages(self.storage, names, scenario.filters, span, progress):
            replay.take(calls)
        return replay.result(names, span)

    def backtest(
        self,
        days: int = 28,
        *,
        filters: Filters | None = None,
        now: datetime | None = None,
        tz: str | tzinfo = "UTC",
        method: str = "auto",
        step: int = 7,
        most: int = 26,
    ) -> Backtest:
        """Forecast the past as it would have been then, every `step` days, and compare with what came."""
        _check_days(days)
        methods.check(method)
        if step < 1 or most < 1:
            raise ValueError(f"step and most must be at least 1, not {step!r} and {most!r}")
        where = zone(tz)
        read = past.read(reader_of(self.storage), filters or {}, _moment(now, where), where)
        costs, rows = read.costs, []
        for origin in range(len(costs) - days, LEAST_HISTORY - 1, -step)[:most]:
            known, came = costs[:origin], costs[origin : origin + days]
            _, said = methods.choose(known, days, method=method)
            rows.append(
                BacktestRow(
                    first_day=read.first_day + origin * DAY,
                    total=said.total,
                    low=said.low,
                    high=said.high,
                    actual=float(came.sum()),
                    naive=float(known[-28:].mean() * days),
                )
            )
        return Backtest(days, method, rows[::-1])


def _forecast(read: History, days: int, first_day: date, method: str) -> Forecast:
    skip, known = (first_day - read.next_day).days, len(read.costs)
    if not known or not read.priced:
        return _unknown(read, first_day)
    used, said = methods.choose(read.costs, days, skip=skip, method=method)
    return Forecast(
        total=said.total,
        low=said.low,
        high=said.high,
        interval=INTERVAL,
        daily=[float(cost) for cost in said.path],
        method=used,
        history_days=known,
        backtest_error=said.backtest_error,
        first_day=first_day,
        unpriced_calls=read.unpriced,
        notes=_notes(read),
    )


def _unknown(read: History, first_day: date) -> Forecast:
    if read.unpriced:
        note = f"none of the {read.unpriced:,} calls so far has a price: `token-calc reprice` after giving prices"
    elif read.calls:
        note = "all calls so far have failed without usage, so nothing is known of what they cost"
    else:
        note = "no whole day with such a call is recorded yet"
    return Forecast(None, None, None, INTERVAL, [], "none", len(read.costs), None, first_day, read.unpriced, [note])


def _notes(read: History) -> list[str]:
    notes, known = [], len(read.costs)
    if known < _SHORT:
        days = "1 day" if known == 1 else f"{known} days"
        notes.append(f"the history has only {days}: the interval is wide, and no trend can be seen before 4 weeks")
    if not read.costs.any():
        notes.append("no call so far has cost anything")
    elif not read.costs[-28:].any():
        notes.append("nothing was spent in the last 28 days")
    if read.unpriced:
        left_out = f"{read.unpriced:,} of {read.calls:,} calls have no price and are left out"
        notes.append(f"{left_out}; a day with few known prices counts like its weekday before")
    if read.removed:
        notes.append(f"{read.removed:,} events of the history have left the store: days may seem too cheap")
    return notes


def _rest_of_today(read: History, moment: datetime, where: tzinfo, method: str) -> float | None:
    today = moment.astimezone(where).date()
    whole = _forecast(read, 1, today, method).total
    begin, end = midnight(today, where).astimezone(UTC), midnight(today + DAY, where).astimezone(UTC)
    return None if whole is None else whole * ((end - moment.astimezone(UTC)) / (end - begin))


def _moment(now: datetime | None, where: tzinfo) -> datetime:
    if now is None:
        return clock.now()
    return now.replace(tzinfo=where) if now.tzinfo is None else now


def _first_day(moment: datetime, where: tzinfo) -> date:
    local = moment.astimezone(where)
    return local.date() if local.time() == time() else local.date() + timedelta(days=1)


def _check_days(days: object) -> None:
    if not isinstance(days, (int, np.integer)) or isinstance(days, bool) or not 1 <= days <= MOST_FORECAST_DAYS:
        raise ValueError(f"days must be a whole number from 1 to {MOST_FORECAST_DAYS}, not {days!r}")
