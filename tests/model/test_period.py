from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tc_core.errors import ConfigurationError
from tc_core.model.period import Period, local_zone, period, zone

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)  # a Wednesday


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(None, None, (None, None), id="all-of-time"),
        pytest.param("2026-01-31", None, (utc(2026, 1, 31), None), id="since-a-day"),
        pytest.param(None, "2026-01-31", (None, utc(2026, 2, 1)), id="until-the-end-of-a-day"),
        pytest.param("2026-01-01", "2026-01-31", (utc(2026, 1, 1), utc(2026, 2, 1)), id="whole-days"),
        pytest.param(date(2026, 1, 1), date(2026, 1, 1), (utc(2026, 1, 1), utc(2026, 1, 2)), id="one-date"),
        pytest.param(
            "2026-01-01T10:30", "2026-01-01T11:00", (utc(2026, 1, 1, 10, 30), utc(2026, 1, 1, 11)), id="times"
        ),
        pytest.param("today", None, (utc(2026, 11, 25), utc(2026, 11, 26)), id="today"),
        pytest.param("yesterday", None, (utc(2026, 11, 24), utc(2026, 11, 25)), id="yesterday"),
        pytest.param("this-week", None, (utc(2026, 11, 23), utc(2026, 11, 30)), id="week-from-monday"),
        pytest.param("last-week", None, (utc(2026, 11, 16), utc(2026, 11, 23)), id="last-week"),
        pytest.param("this-month", None, (utc(2026, 11, 1), utc(2026, 12, 1)), id="this-month"),
        pytest.param("last-month", None, (utc(2026, 10, 1), utc(2026, 11, 1)), id="last-month"),
        pytest.param("this-year", None, (utc(2026, 1, 1), utc(2027, 1, 1)), id="this-year"),
        pytest.param("last-30-days", None, (utc(2026, 10, 27), utc(2026, 11, 26)), id="30-days-with-today"),
        pytest.param("last 30 days", None, (utc(2026, 10, 27), utc(2026, 11, 26)), id="as-it-is-spoken"),
        pytest.param("in the last 30 days", None, (utc(2026, 10, 27), utc(2026, 11, 26)), id="as-in-a-sentence"),
        pytest.param("last-1-day", None, (utc(2026, 11, 25), utc(2026, 11, 26)), id="one-day"),
        pytest.param("last-month", "today", (utc(2026, 10, 1), utc(2026, 11, 26)), id="named-to-named"),
    ],
)
def test_periods_as_people_say_them(start, end, expected):
    assert period(start, end, now=NOW) == Period(*expected)


def test_a_day_is_that_of_the_zone():
    berlin = zone("Europe/Berlin")
    found = period("2026-03-29", "2026-03-29", tz=berlin)  # the day on which the clocks go forward
    assert (found.start.astimezone(UTC), found.end.astimezone(UTC)) == (utc(2026, 3, 28, 23), utc(2026, 3, 29, 22))


def test_today_is_the_zones_today():
    found = period("today", None, tz=zone("Asia/Kolkata"), now=utc(2026, 1, 1, 20))
    assert found.start.date() == date(2026, 1, 2)


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "last-x-days", "last-0-days", "20260", "", 5])
def test_a_date_that_cannot_be_read_is_named(text):
    with pytest.raises(ConfigurationError, match="cannot read"):
        period(text, None)


def test_words_may_have_capitals():
    assert period("This-Week", None, now=NOW) == period("this-week", None, now=NOW)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)], ids=["spring", "autumn", "summer"]
)
def test_a_day_is_as_long_as_daylight_saving_makes_it(day, hours):
    found = period(day, day, tz=zone("Europe/Berlin"))
    assert found.end.astimezone(UTC) - found.start.astimezone(UTC) == timedelta(hours=hours)


def test_an_empty_period_is_refused():
    with pytest.raises(ConfigurationError, match="does not lie before"):
        period("2026-02-01", "2026-01-01")


def test_an_unknown_zone_is_named():
    with pytest.raises(ConfigurationError, match="Mars/Olympus"):
        zone("Mars/Olympus")
    with pytest.raises(ConfigurationError, match="None"):
        zone(None)


def test_this_machines_zone_is_found_by_name(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(("start", "end"), [("9999-12-31", None), (None, "9999-12-31")])
def test_what_lies_beyond_all_dates_is_named_alone(start, end):
    with pytest.raises(ConfigurationError, match=r"^the period 9999-12-31 lies beyond what dates can say"):
        period(start, end, tz=UTC)
