"""Reports by weeks, values that begin alike, percentiles, costs per unit, the top and the rest, and their forms."""

import csv
import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from tc_core import ConfigurationError, CostTracker, InMemoryStorage, SQLiteStorage, TrackingEvent
from tc_core.store.base import StorageBackend

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


class Plain(StorageBackend):
    """A backend of the user's own, with the seed's three methods."""

    def __init__(self):
        self._events = []

    def save_event(self, event):
        self._events.append(event)

    def query_events(self, filters=None, start_time=None, end_time=None, *, limit=None, descending=False):
        def values(event, name):
            return event.labels.get(name) if not hasattr(event, name) else getattr(event, name)

        return [
            event
            for event in self._events
            if (start_time is None or event.timestamp >= start_time)
            and (end_time is None or event.timestamp < end_time)
            and all(
                values(event, name) in ([value] if isinstance(value, str | None) else value)
                for name, value in (filters or {}).items()
            )
        ]

    def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
        raise AssertionError("reports sum up what they have read")


def call(hours, cost=1.0, **facts):
    known = {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10}
    return TrackingEvent(timestamp=NOON + timedelta(hours=hours), cost=cost, **known | facts)


@pytest.fixture(params=["memory", "sqlite", "plain"])
def tracker(request, tmp_path):
    made = {"memory": InMemoryStorage, "sqlite": lambda: SQLiteStorage(tmp_path / "s.db"), "plain": Plain}
    return CostTracker(made[request.param]())


def save(tracker, *events):
    for event in events:
        tracker.storage.save_event(event)


def keys(report):
    return [tuple(group.key.values()) for group in report.groups]


def test_weeks_begin_on_monday_in_the_zone_that_is_asked_for(tracker):
    # 23:30 UTC on Sunday 1 March is Monday in Berlin, and 2026 began in the week of 2025-12-29.
    save(tracker, call(-12.5, 1.0), call(0, 2.0), call(24 * 7, 4.0), call(-24 * 60, 8.0))
    weeks = {group.key["week"]: group.cost for group in tracker.get_costs(group_by=["week"]).groups}
    assert weeks == {"2026-W01": 8.0, "2026-W09": 1.0, "2026-W10": 2.0, "2026-W11": 4.0}
    berlin = {
        group.key["week"]: group.cost for group in tracker.get_costs(group_by=["week"], tz="Europe/Berlin").groups
    }
    assert berlin == {"2026-W01": 8.0, "2026-W10": 3.0, "2026-W11": 4.0}
    by_model = tracker.get_costs(group_by=["model", "week", "month"])
    assert keys(by_model)[:2] == [("gpt-4o", "2026-W01", "2026-01"), ("gpt-4o", "2026-W09", "2026-03")]
    with_days = tracker.get_costs("2026-03-02", group_by=["week", "day"])
    assert keys(with_days) == [("2026-W10", "2026-03-02"), ("2026-W11", "2026-03-09")]


def test_filters_by_week_are_refused_by_name(tracker):
    with pytest.raises(ValueError, match="cannot name a week"):
        tracker.get_costs(group_by=["model"], filters={"week": "2026-W10"})
    with pytest.raises(ConfigurationError, match="cannot filter by day"):
        tracker.get_costs(filters={"day": "2026-*"})


@pytest.mark.parametrize(
    ("filters", "cost"),
    [
        ({"model": "gpt-4o*"}, 3.0),
        ({"model": ["gpt-4o-mini", "claude*"]}, 6.0),
        ({"model!": "gpt-4o"}, 6.0),
        ({"model!": ["gpt-*"]}, 4.0),
        ({"team": "*"}, 5.0),
        ({"team!": "*"}, 2.0),
        ({"team": None}, 2.0),
        ({"team": "a*", "model": "gpt*"}, 1.0),
        ({"model": "gpt*", "model!": "*mini"}, 3.0),
        ({"model": "no*"}, 0.0),
    ],
)
def test_filters_with_lists_beginnings_and_what_is_left_out(tracker, filters, cost):
    save(
        tracker,
        call(0, 1.0, labels={"team": "a1"}),
        call(1, 2.0, model="gpt-4o-mini"),
        call(2, 4.0, model="claude-sonnet-4-5", labels={"team": "b"}),
    )
    assert tracker.get_costs(filters=filters).total_cost == cost


def test_percentiles_are_those_of_single_calls(tracker):
    save(tracker, *(call(n % 3, n / 100, latency_ms=10 * n, agent_id="ab"[n % 2]) for n in range(1, 101)))
    save(tracker, call(0, None, latency_ms=9_999, status="error"), call(0, 0.5, model="gpt-4o-mini"))
    report = tracker.get_costs(group_by=["model"], percentiles=[50, 95, 100])
    first = report.groups[0].percentiles
    # The nearest rank of 1..100 hundredths: exactly so many do not exceed it.
    assert (dict(first.cost), dict(first.cost_nanos)) == (
        {"p50": 0.5, "p95": 0.95, "p100": 1.0},
        {"p50": 500_000_000, "p95": 950_000_000, "p100": 1_000_000_000},
    )
    assert dict(first.latency_ms) == {"p50": 500.0, "p95": 950.0, "p100": 1000.0}
    assert report.groups[1].percentiles.to_dict() == {
        "cost": {"p50": 0.5, "p95": 0.5, "p100": 0.5},
        "latency_ms": {},
        "cost_nanos": dict.fromkeys(("p50", "p95", "p100"), 500_000_000),
    }
    assert report.percentiles.cost["p100"] == 1.0
    by_hour = tracker.get_costs(group_by=["hour", "agent_id"], percentiles=[100], tz="Asia/Kolkata")
    assert {(group.key["hour"], group.key["agent_id"]) for group in by_hour.groups} >= {
        ("2026-03-02T17:00+05:30", "a"),
        ("2026-03-02T18:00+05:30", "b"),
    }
    assert all(group.percentiles.latency_ms for group in by_hour.groups if group.key["agent_id"])


def test_what_one_user_session_conversation_run_and_success_costs(tracker):
    save(
        tracker,
        call(0, 3.0, labels={"user_id": "u1"}, session_id="s1", event_id="r1"),
        call(1, 1.0, labels={"user_id": "u2"}, session_id="s1", event_id="r2"),
        call(2, 2.0, labels={"user_id": "u1"}, session_id="s2", event_id="r3", status="error"),
        call(3, 6.0, event_id="r4", agent_id="a"),
    )
    report = tracker.get_costs(
        group_by=["agent_id"], per=["user", "session", "conversation", "run", "success", "nothing"]
    )
    told = {unit: (each.count, each.cost) for unit, each in report.per.items()}
    assert told == {
        "user": (2, 3.0),  # 6 dollars of calls with a user
        "session": (2, 3.0),
        "conversation": (2, 3.0),  # which nobody has named, so a session is one
        "run": (4, 3.0),  # 12 dollars, and each call is a run
        "success": (3, 4.0),  # the failed one's cost is in that of the others
        "nothing": (0, None),
    }
    groups = {group.key["agent_id"]: group.per["success"].cost for group in report.groups}
    assert groups == {"a": 6.0, None: 3.0}  # 6 dollars, and two of three went well
    save(tracker, call(4, 4.0, labels={"conversation_id": "c"}))
    assert tracker.get_costs(per="conversation").per["conversation"].to_dict() == {
        "unit": "conversation",
        "count": 1,
        "cost": 4.0,
        "cost_nanos": 4_000_000_000,
        "covered_calls": 1,
        "calls": 5,
    }


def test_the_top_and_the_rest_are_the_whole(tracker):
    save(tracker, *(call(n, n + 1.0, agent_id=f"a{n}", input_tokens=100 - n, output_tokens=0) for n in range(5)))
    report = tracker.get_costs(group_by=["agent_id"], top=2)
    assert (keys(report), report.rest_groups, report.rest.cost) == ([("a4",), ("a3",)], 3, 6.0)
    assert sum(group.cost for group in (*report.groups, report.rest)) == report.total_cost == 15.0
    assert keys(tracker.get_costs(group_by=["agent_id"], top=2, sort="tokens")) == [("a0",), ("a1",)]
    assert tracker.get_costs(group_by=["agent_id"], top=5).rest is None
    days = tracker.get_costs(group_by=["hour"], top=2)  # the dearest, in order of time
    assert [key[:13] for (key,) in keys(days)] == ["2026-03-02T15", "2026-03-02T16"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percentiles": [0]}, "above 0 and up to 100, not 0"),
        ({"percentiles": [101]}, "not 101"),
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"sort": "beauty"}, "not 'beauty'"),
        ({"group_by": [""]}, "not by ''"),
        ({"per": "day"}, "cannot tell a cost per day"),
    ],
)
def test_what_cannot_be_meant_is_a_value_error_that_names_it(tracker, options, message):
    save(tracker, call(0))
    with pytest.raises(ValueError, match=message):
        tracker.get_costs(**options)


def test_an_empty_store_one_event_all_unpriced_and_other_times_have_a_clear_answer(tracker):
    asked = {"group_by": ["model", "day"], "percentiles": [50], "per": "user", "top": 3}
    empty = tracker.get_costs(**asked)
    assert (empty.total_cost, empty.groups, empty.per["user"].cost, empty.percentiles.cost) == (0.0, [], None, {})
    save(tracker, call(0, None, model="acme-1", labels={"user_id": "u"}))
    one = tracker.get_costs(**asked)
    assert (one.total_cost, one.unpriced_calls, one.groups[0].cost, one.per["user"].cost) == (None, 1, None, None)
    assert tracker.get_costs("2999-01-01", **asked).groups == []
    assert keys(tracker.get_costs(group_by=["no such label"])) == [(None,)]
    with pytest.raises(ConfigurationError, match="2026-03-02 does not lie before 2026-03-01"):
        tracker.get_costs("2026-03-02", "2026-03-01")


# Forms


@pytest.fixture
def report():
    tracker = CostTracker(InMemoryStorage())
    save(tracker, call(0, 3.0, agent_id="=1+1", latency_ms=800), call(1, 1.0, agent_id="a|b", latency_ms=200))
    save(tracker, call(2, None, model="acme-1", labels={"user_id": "u"}))
    return tracker.get_costs(group_by=["agent_id"], percentiles=[50], per=["user"])


def test_a_report_as_json_is_what_it_says(report):
    told = json.loads(report.to_json())
    assert told == json.loads(json.dumps(report.to_dict()))
    assert (told["groups"][0]["percentiles"]["cost"], told["per"]["user"]["count"]) == ({"p50": 3.0}, 1)


def test_a_report_as_csv_has_a_row_for_each_group_and_no_formula(report):
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [row["agent_id"] for row in rows] == ["'=1+1", "a|b", ""]
    assert (rows[0]["cost"], rows[0]["cost_p50"], rows[0]["latency_ms_p50"]) == ("3.0", "3.0", "800.0")
    assert (rows[2]["cost"], rows[2]["users"], rows[2]["cost_per_user"]) == ("", "1", "")


def test_a_report_as_markdown_is_a_table_with_its_total(report):
    lines = report.to_markdown().splitlines()
    assert lines[0].startswith("| agent | calls | input | output | cost | share |")
    assert lines[1].startswith("| --- | ---: |")
    assert lines[3].startswith("| a\\|b | 1 | 100 | 10 | $1.00 | 25 % |")
    assert lines[-1].startswith("| all | 3 | 300 | 30 | $4.00 |")


def test_a_report_is_a_table_of_rich(report):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report)
    assert "a|b" in console.export_text()


def test_a_report_as_a_dataframe_or_the_line_that_installs_pandas(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        report.to_dataframe()


def test_a_report_as_a_dataframe_has_the_rows_of_its_csv(report):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = report.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["cost"].dropna()) == [3.0, 1.0]


def test_forms_of_an_empty_report():
    report = CostTracker(InMemoryStorage()).get_costs(group_by=["model"])
    assert (report.to_csv().split(",")[0], report.to_csv().count("\n")) == ("cost", 1)  # headings, and no row
    assert report.to_markdown().count("\n") == 3
