"""What a forecast says, as users see it."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tc_core.model import money, written
from tc_core.model.notebook import Bar, InNotebook, Shown

INTERVAL = 0.8
"""Of so many forecasts the true total lies between `low` and `high`."""


@dataclass(frozen=True, slots=True)
class Forecast(InNotebook):
    """What some days are expected to cost, in US dollars.

    `total` lies between `low` and `high` with the probability `interval`; all are None where nothing with a price is
    recorded. `daily` has the cost of each day from `first_day` on. `history_days` whole days of records were used.
    `backtest_error` is how far the method was off, on average, when it forecast as many days of the past, as a share of
    what they cost; None where the history is too short for that. `notes` say what there is to doubt.
    """

    total: float | None
    low: float | None
    high: float | None
    interval: float
    daily: list[float]
    method: str
    history_days: int
    backtest_error: float | None
    first_day: date
    unpriced_calls: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def last_day(self) -> date:
        """The last day that is forecast."""
        return self.first_day + timedelta(days=max(len(self.daily) - 1, 0))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in Forecast.__slots__}
        return plain | {"first_day": self.first_day.isoformat()}

    def _shown(self) -> Shown:
        if self.total is None:
            return Shown("There is nothing to forecast from.", [], [], [])
        total, low, high = (written.usd(money.to_nanos(each or 0)) for each in (self.total, self.low, self.high))
        days = f"{written.plural(len(self.daily), 'day')} from {self.first_day}"
        sure = f"{self.interval:.0%} sure between {low} and {high}".replace("%", " %")
        told = [
            (f"{self.first_day + timedelta(days=at)}", cost, written.usd(money.to_nanos(cost)))
            for at, cost in enumerate(self.daily)
        ]
        return Shown(
            f"{total} in {days}, {sure}. By {self.method}.",
            ["day", "cost"],
            [[day, said] for day, _, said in told],
            [Bar(day, cost, said) for day, cost, said in told],
            form="columns",
        )


@dataclass(frozen=True, slots=True)
class MonthlyForecast(Forecast):
    """The forecast of next month, with what this month has cost and will.

    `total`, `low`, `high` and `daily` are of `month`. `spent` is what this month has cost until now, `rest` the
    forecast of what is left of it from the next midnight on (None on its last day), `rest_of_today` what today is still
    expected to cost.
    """

    month: str = ""
    spent: float | None = None
    rest_of_today: float | None = None
    rest: Forecast | None = None

    @property
    def this_month(self) -> float | None:
        """What this month is expected to cost in all."""
        if self.spent is None:
            return None
        return self.spent + (self.rest_of_today or 0.0) + (0.0 if self.rest is None else self.rest.total or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return Forecast.to_dict(self) | {
            "month": self.month,
            "spent": self.spent,
            "rest_of_today": self.rest_of_today,
            "rest": None if self.rest is None else self.rest.to_dict(),
            "this_month": self.this_month,
        }


@dataclass(frozen=True, slots=True)
class BacktestRow:
    """One forecast of the past, and what came: of the days from `first_day` on, in US dollars."""

    first_day: date
    total: float
    low: float
    high: float
    actual: float
    naive: float
    """What the last 28 days, again, would have been."""

    @property
    def is_covered(self) -> bool:
        """Whether what came lay in the interval."""
        return self.low <= self.actual <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"first_day": self.first_day.isoformat(), "is_covered": self.is_covered}


@dataclass(frozen=True, slots=True)
class Backtest:
    """How well forecasts of the past have done.

    `error` is the mean error as a share of what came, `naive_error` that of taking the last 28 days again, `coverage`
    how often what came lay in the interval (to be `interval`). All are None where the history is too short.
    """

    days: int
    method: str
    rows: list[BacktestRow]
    interval: float = INTERVAL

    @property
    def error(self) -> float | None:
        """The mean error as a share of what came."""
        return self._share([abs(row.total - row.actual) for row in self.rows])

    @property
    def naive_error(self) -> float | None:
        """The same of the last 28 days, again."""
        return self._share([abs(row.naive - row.actual) for row in self.rows])

    @property
    def coverage(self) -> float | None:
        """How often what came lay in the interval."""
        return sum(row.is_covered for row in self.rows) / len(self.rows) if self.rows else None

    def _share(self, errors: list[float]) -> float | None:
        came = sum(row.actual for row in self.rows)
        return sum(errors) / came if came else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "days": self.days,
            "method": self.method,
            "error": self.error,
            "naive_error": self.naive_error,
            "coverage": self.coverage,
            "interval": self.interval,
            "rows": [row.to_dict() for row in self.rows],
        }
