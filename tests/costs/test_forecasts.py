from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tc_core import CostForecaster, CostTracker, Forecast, SQLiteStorage, TrackingEvent
from tc_core.costs.forecasts import methods
from tc_core.costs.forecasts.predict import predict
from tc_core.testing import FakeClock
from tests.costs.spending import FIRST, OwnBackend, calls, day, steady


@pytest.fixture
def forecaster(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield CostForecaster(store)


def save(forecaster, *parts):
    forecaster.storage.save_events([event for part in parts for event in part])


def after(number, hour=0):
    """The moment when so many days have gone by."""
    return day(number, hour)


def test_steady_days_go_on(forecaster):
    save(forecaster, steady(56, 2, noise=0.05))
    found = forecaster.forecast(28, now=after(56))
    assert isinstance(found, Forecast)
    assert found.total == pytest.approx(56, rel=0.05)
    assert found.low < 56 < found.high < 1.5 * found.total
    assert found.total == pytest.approx(sum(found.daily))
    assert (len(found.daily), found.first_day, found.last_day) == (28, date(2026, 3, 2), date(2026, 3, 29))
    assert (found.history_days, found.interval, found.notes) == (56, 0.8, [])
    assert 0 < found.backtest_error < 0.1
    assert found.to_dict()["first_day"] == "2026-03-02"


def test_growth_goes_on_and_less_and_less(forecaster):
    save(forecaster, *(calls(number, 1.02**number) for number in range(84)))
    found = forecaster.forecast(28, now=after(84))
    last, next_ones = sum(1.02**n for n in range(56, 84)), sum(1.02**n for n in range(84, 112))
    assert last * 1.2 < found.total < next_ones


def test_weekends_show_in_the_days(forecaster):
    save(forecaster, *(calls(number, 0.2 if number % 7 >= 5 else 1) for number in range(61)))
    found = forecaster.forecast(7, now=after(56))
    assert [round(cost, 1) for cost in found.daily] == [1.0] * 5 + [0.2] * 2
    assert found.total == pytest.approx(5.4, rel=0.05)
    weekend = forecaster.forecast(2, now=after(61))  # of which Saturday has begun
    assert weekend.total == pytest.approx(sum(found.daily[5:]), rel=0.05)


def test_only_whole_days_before_now_are_used(forecaster):
    save(forecaster, steady(30, noise=0), calls(30, 100, hour=1), steady(30, 50, first=31))
    at_noon = forecaster.forecast(7, now=after(30, 12))
    assert (at_noon.history_days, at_noon.first_day) == (30, date(2026, 2, 5))
    assert at_noon.total == pytest.approx(7, rel=0.05)
    assert forecaster.forecast(7, now=after(30)).first_day == date(2026, 2, 4)


def test_midnight_is_that_of_the_zone(forecaster):
    save(forecaster, steady(30))
    found = forecaster.forecast(7, now=datetime(2026, 2, 3, 18, 30, tzinfo=UTC), tz="Asia/Kolkata")
    assert found.first_day == date(2026, 2, 4)
    assert forecaster.forecast(7, now=datetime(2026, 2, 4), tz="Asia/Kolkata") == found


def test_a_short_history_has_a_wide_interval_and_says_why(forecaster):
    save(forecaster, steady(40, noise=0.05))
    short, long = (forecaster.forecast(28, now=after(days)) for days in (3, 40))
    assert (short.high - short.low) / short.total > (long.high - long.low) / long.total
    assert short.high / short.total > 1.5
    assert short.backtest_error is None
    assert short.notes == ["the history has only 3 days: the interval is wide, and no trend can be seen before 4 weeks"]
    assert "only 1 day:" in forecaster.forecast(28, now=after(1)).notes[0]


def test_what_has_ended_costs_nothing_more(forecaster):
    save(forecaster, steady(40))
    found = forecaster.forecast(28, now=after(69))
    assert (found.total, found.low) == (0, 0)
    assert "nothing was spent in the last 28 days" in found.notes


def test_nothing_recorded_or_priced_is_no_forecast_of_zero(forecaster):
    empty = forecaster.forecast(7, now=after(3))
    assert (empty.total, empty.low, empty.high, empty.daily, empty.method) == (None, None, None, [], "none")
    assert empty.notes == ["no whole day with such a call is recorded yet"]
    save(forecaster, [TrackingEvent(model="acme", input_tokens=1, output_tokens=1, timestamp=day(n)) for n in range(9)])
    unpriced = forecaster.forecast(7, now=after(9))
    assert (unpriced.total, unpriced.unpriced_calls) == (None, 9)
    assert "none of the 9 calls so far has a price" in unpriced.notes[0]
    save(forecaster, steady(9, 0, noise=0))
    free = forecaster.forecast(7, now=after(9))
    assert (free.total, free.notes[-1]) == (
        0,
        "9 of 54 calls have no price and are left out; a day with few known prices counts like its weekday before",
    )
    assert "no call so far has cost anything" in free.notes
    assert forecaster.forecast(7, filters={"agent_id": "nobody"}, now=after(9)).total is None


def test_days_without_prices_are_like_their_weekday_before(forecaster):
    unpriced = [TrackingEvent(model="acme", input_tokens=1, output_tokens=1, timestamp=day(35)) for _ in range(3)]
    save(forecaster, steady(35, noise=0), unpriced, steady(20, first=36, noise=0))
    found = forecaster.forecast(7, now=after(56))
    assert found.total == pytest.approx(7)
    (note,) = found.notes
    assert note.startswith("3 of 278 calls have no price and are left out; a day with few known prices counts like")


def test_a_month_has_what_is_spent_what_is_left_and_the_next_one(forecaster):
    save(forecaster, steady(60, noise=0), steady(60, 3, noise=0, agent_id="writer"))
    found = forecaster.forecast_monthly("researcher", now=datetime(2026, 2, 19, 12, tzinfo=UTC))
    assert (found.month, len(found.daily), found.first_day) == ("2026-03", 31, date(2026, 3, 1))
    assert found.total == pytest.approx(31)
    assert found.spent == pytest.approx(18)  # until now: the calls of the 19th come at noon
    assert found.rest_of_today == pytest.approx(0.5)
    assert found.rest.total == pytest.approx(9)
    assert found.this_month == pytest.approx(27.5)
    assert found.to_dict()["rest"]["first_day"] == "2026-02-20"
    both = forecaster.forecast_monthly(now=datetime(2026, 3, 1, tzinfo=UTC))
    assert (both.month, both.spent, both.rest_of_today) == ("2026-04", 0, None)
    assert both.rest.total == pytest.approx(4 * 31, rel=0.01)
    last = forecaster.forecast_monthly(now=datetime(2026, 2, 28, 12, tzinfo=UTC))
    assert (last.rest, last.month) == (None, "2026-03")


def test_a_back_test_is_made_of_what_was_known_then(forecaster):
    save(forecaster, *(calls(number, 1 if number < 50 else 3) for number in range(70)))
    tested = forecaster.backtest(7, now=after(70))
    assert [row.first_day for row in tested.rows] == [FIRST.date() + timedelta(days=n) for n in range(14, 64, 7)]
    assert [row.actual for row in tested.rows] == pytest.approx([7, 7, 7, 7, 7, 19, 21, 21])
    assert tested.rows[4].total == pytest.approx(7)
    assert [row.is_covered for row in tested.rows[4:6]] == [True, False]
    assert tested.naive_error == pytest.approx(
        sum(abs(row.naive - row.actual) for row in tested.rows) / sum(row.actual for row in tested.rows)
    )
    assert tested.coverage == pytest.approx(sum(row.is_covered for row in tested.rows) / 8)
    known_then = forecaster.forecast(7, now=after(49))
    assert (tested.rows[5].total, tested.rows[5].low) == (known_then.total, known_then.low)
    assert forecaster.backtest(28, now=after(20)).to_dict()["coverage"] is None


def test_auto_takes_what_does_better_in_back_tests():
    days = np.arange(120)
    growing = 1.02**days
    wandering = 5 + np.random.default_rng(3).normal(0, 1, 120)
    assert methods.choose(growing, 28)[0] != methods.WEIGHTED
    assert methods.choose(wandering, 14)[0] == methods.WEIGHTED


def test_theta_comes_with_statsmodels():
    pytest.importorskip("statsmodels", reason="the extra `forecast` is not installed")
    days = np.arange(120)
    said = predict(5 + 0.05 * days, 14, method=methods.theta)
    assert said.total == pytest.approx(sum(5 + 0.05 * (120 + n) for n in range(14)), rel=0.1)


def test_a_backend_of_ones_own_is_answered_alike(forecaster):
    memory = CostForecaster(OwnBackend())
    events = steady(40, noise=0.4)
    save(forecaster, events)
    save(memory, events)
    assert memory.forecast_monthly(now=after(40)) == forecaster.forecast_monthly(now=after(40))


def test_now_is_the_clocks(tmp_path):
    with FakeClock(after(40, 1)), SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events(steady(40))
        assert CostTracker(store).get_costs().total_calls == 200
        assert CostForecaster(store).forecast(1).first_day == date(2026, 2, 15)


@pytest.mark.parametrize("days", [0, -1, 367, 1.5, True, "7", None])
def test_a_number_of_days_that_cannot_be_is_named(forecaster, days):
    with pytest.raises(ValueError, match=f"days must be a whole number from 1 to 366, not {days!r}"):
        forecaster.forecast(days)


def test_a_method_that_is_not_there_is_named(forecaster, monkeypatch):
    with pytest.raises(ValueError, match=r"method must be one of auto, .* not 'tea leaves'"):
        forecaster.forecast_monthly(method="tea leaves")
    monkeypatch.setattr(methods, "has_statsmodels", lambda: False)
    with pytest.raises(ImportError, match=r"pip install 'token-calculator-suite\[forecast\]'"):
        forecaster.forecast(7, method="theta")
    with pytest.raises(ValueError, match="not 0 and 26"):
        forecaster.backtest(7, step=0)
