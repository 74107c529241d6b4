"""Periods begin and end where a calendar on the wall says: also where clocks change, and where days are missing."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tc_core.budgets import periods
from tc_core.model.event import from_us, to_us


def span(text, period, zone):
    return periods.calendar(to_us(datetime.fromisoformat(text)), period, ZoneInfo(zone))


# Worked out by hand from the rules of each zone: (an instant, period, zone, label, start in UTC, hours).
EXAMPLES = [
    ("2026-03-29T01:30Z", "day", "Europe/Berlin", "2026-03-29", "2026-03-28T23:00Z", 23),
    ("2026-10-25T01:30Z", "day", "Europe/Berlin", "2026-10-25", "2026-10-24T22:00Z", 25),
    ("2026-09-06T04:30Z", "day", "America/Santiago", "2026-09-06", "2026-09-06T04:00Z", 23),
    ("2026-04-05T03:30Z", "day", "America/Santiago", "2026-04-04", "2026-04-04T03:00Z", 25),
    ("2026-11-01T04:30Z", "day", "America/Havana", "2026-11-01", "2026-11-01T04:00Z", 25),
    ("2026-04-23T22:30Z", "day", "Africa/Cairo", "2026-04-24", "2026-04-23T22:00Z", 23),
    ("2026-10-25T03:00Z", "week", "Europe/London", "2026-W43", "2026-10-18T23:00Z", 169),
    ("2024-02-29T23:30Z", "month", "Asia/Kolkata", "2024-03", "2024-02-29T18:30Z", 744),
    ("2026-12-31T15:00Z", "quarter", "Asia/Tokyo", "2027-Q1", "2026-12-31T15:00Z", 2160),
    ("2026-12-31T15:00Z", "year", "Asia/Tokyo", "2027", "2026-12-31T15:00Z", 8760),
    ("2011-12-30T12:00Z", "day", "Pacific/Apia", "2011-12-31", "2011-12-30T10:00Z", 24),
    ("2000-10-29T04:00:30Z", "day", "America/St_Johns", "2000-10-29", "2000-10-29T02:30Z", 25),
    ("2026-11-01T06:30Z", "hour", "America/New_York", "2026-11-01T06:00Z", "2026-11-01T06:00Z", 1),
    ("2026-06-10T12:10Z", "hour", "Asia/Kathmandu", "2026-06-10T11:15Z", "2026-06-10T11:15Z", 1),
]


@pytest.mark.parametrize(("at", "period", "zone", "label", "start", "hours"), EXAMPLES, ids=str)
def test_a_period(at, period, zone, label, start, hours):
    found = span(at, period, zone)
    assert (found.label, from_us(found.start_us)) == (label, datetime.fromisoformat(start))
    assert (found.end_us - found.start_us) / 3_600_000_000 == hours
    assert span(from_us(found.end_us).isoformat(), period, zone).start_us == found.end_us
    assert span(from_us(found.start_us - 1_000_000).isoformat(), period, zone).end_us == found.start_us


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Santiago", "Antarctica/Troll", "Australia/Lord_Howe", "UTC"]
)
def test_days_of_three_years_have_no_gap_and_no_overlap(zone):
    at, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    before = span(at.isoformat(), "day", zone)
    while from_us(before.end_us) < end:
        found = span(from_us(before.end_us).isoformat(), "day", zone)
        assert found.start_us == before.end_us
        assert timedelta(hours=22) <= from_us(found.end_us) - from_us(found.start_us) <= timedelta(hours=26)
        before = found


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("daily", "day"),
        ("Hourly", "hour"),
        ("quarterly", "quarter"),
        ("last-7-days", "last-7-day"),
        ("last-1-hour", "last-1-hour"),
        (timedelta(hours=36), "last-2160-minute"),
        ("2026-01-01..2026-03-31", "2026-01-01T00:00:00+00:00/2026-04-01T00:00:00+00:00"),
        (("2026-01-01", datetime(2026, 2, 1, tzinfo=UTC)), "2026-01-01T00:00:00+00:00/2026-02-01T00:00:00+00:00"),
        ("run", "run"),
        ("forever", "total"),
    ],
)
def test_how_periods_are_written(written, kept):
    assert periods.canonical(written, UTC) == kept
    assert kept.startswith(("last", "20")) or periods.canonical(kept, UTC) == kept


def test_a_rolling_window_is_never_shorter_than_asked_for():
    now_us = to_us(datetime(2026, 5, 15, 12, 34, 56, tzinfo=UTC))
    start_us = periods.window("last-7-day", now_us).start_us
    assert timedelta(days=7) <= from_us(now_us) - from_us(start_us) <= timedelta(days=7) * 1.01


def test_a_moment_outside_of_a_fixed_range_is_in_no_period():
    find = periods.spans("2026-01-01T00:00:00+00:00/2026-02-01T00:00:00+00:00", "UTC")
    assert find(to_us(datetime(2026, 1, 31, 23, tzinfo=UTC))).label == "range"
    assert find(to_us(datetime(2026, 2, 1, tzinfo=UTC))) is None
