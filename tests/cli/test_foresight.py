"""`token-calc anomalies`, `forecast` and `what-if`, as people type them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import SQLiteStorage, TrackingEvent


@pytest.fixture
def today():
    """The midnight, in UTC, of the day of the test: the day on which the tests are collected may be the one before."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def store(tmp_path, today):
    """Sixty days until yesterday, of which the last but one cost ten times as much."""
    events = [
        TrackingEvent(
            model="gpt-4o",
            input_tokens=1_000_000,
            output_tokens=0,
            cost_nanos=(25 if back == 2 and agent == "researcher" else 2) * 1_000_000_000 + back % 3 * 100_000_000,
            timestamp=today - timedelta(days=back, hours=-5),
            agent_id=agent,
        )
        for back in range(1, 61)
        for agent in ("researcher", "writer")
    ]
    path = tmp_path / "token_calculator.db"
    with SQLiteStorage(path) as store:
        store.save_events(events)
    return path


@pytest.fixture
def ask(run_command, store):
    """Ask that store; return what was printed, or the error."""

    def ask(*arguments, code=0):
        done = run_command(*arguments, "--store", store)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return ask


def test_the_odd_day_comes_first(ask, today):
    lines = ask("anomalies", "--tz", "UTC").splitlines()
    assert lines[0].startswith("1 odd day in the last 30 days: $23.")
    assert lines[2].split() == ["day", "agent", "cost", "expected", "usual", "times", "calls"]
    day = f"{today - timedelta(days=2):%Y-%m-%d}"
    assert lines[3].split()[:3] == [day, "researcher", "$25.20"]
    assert "agent researcher cost $25.20 on" in lines[5]
    assert lines[-1].startswith("Next: token-calc show ")
    (found,) = json.loads(ask("anomalies", "--tz", "UTC", "--json"))
    assert (found["key"], found["kind"]) == ({"agent_id": "researcher"}, "spike")
    assert ask("anomalies", "--until", "2001-02-01", "--since", "2001-01-01").startswith("Nothing odd")


def test_the_forecast_comes_with_its_interval_and_its_error(ask):
    said = ask("forecast", "--days", "14", "--tz", "UTC")
    assert "in 14 days from" in said.splitlines()[0]
    assert "80 % sure between $" in said.splitlines()[0]
    assert "By weighted means and trend, from 60 days, off by" in said
    month = ask("forecast", "--agent", "writer", "--tz", "UTC").splitlines()[0]
    assert "This month: $" in month
    assert "spent." in month
    tested = ask("forecast", "--backtest", "--days", "7")
    assert "off on average, in 6 forecasts of 7 days of the past" in tested
    assert "(aim: 80 %)." in tested
    assert ask("forecast", "--agent", "nobody").startswith("There is nothing to forecast from.\nNote: no whole day")
    assert json.loads(ask("forecast", "--json", "--tz", "UTC"))["history_days"] == 60


def test_what_if_says_both_and_names_what_it_does_not_know(ask):
    said = ask("what-if", "--model", "gpt-4o=gpt-4o-mini", "--volume", "10", "--by", "agent").splitlines()
    assert " instead of $275." in said[0]
    assert "for 120 calls of 60 days." in said[0]
    assert said[2].split()[:4] == ["agent", "calls", "was", "would"]
    assert [line.split()[0] for line in said[3:5]] == ["researcher", "writer"]
    unknown = ask("what-if", "--model", "gpt-4o=gpt-99")
    assert "Note: no price is known for 'gpt-99': its calls are left out." in unknown
    assert ask("what-if", "--since", "2001-01-01", "--until", "2001-02-01").startswith("No call that was answered")
    assert json.loads(ask("what-if", "--batch", "--json"))["calls"] == 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["anomalies", "--bucket", "week"], "bucket must be one of day, hour, not 'week'"),
        (["anomalies", "--by", "nothing_like_it"], "no call has a label 'nothing_like_it'"),
        (["anomalies", "--threshold", "0"], "threshold must be a number from 1 on"),
        (["forecast", "--days", "0"], "days must be a whole number from 1 to 366, not 0"),
        (["forecast", "--method", "luck"], "method must be one of auto"),
        (["what-if", "--model", "gpt-4o"], "cannot read the model 'gpt-4o': use --model OLD=NEW"),
        (["what-if", "--volume=-1"], "volume must be a number from 0"),
        (["what-if", "--by", "day"], "calls cannot be grouped by 'day'"),
        (["what-if", "--by", "nothing_like_it"], "no call has a label 'nothing_like_it'"),
        (["what-if", "--price-date", "soon"], "cannot read 'soon' as the date of prices"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_asked_is_one_sentence(ask, arguments, said):
    error = ask(*arguments, code=2)
    assert said in error
    assert "Traceback" not in error


def test_an_empty_store_and_one_without_prices_say_so(run_command, tmp_path, today):
    with SQLiteStorage(tmp_path / "e.db") as store:
        for command, said in (("anomalies", "No calls"), ("forecast", "There is nothing"), ("what-if", "No call that")):
            assert run_command(command, "--store", tmp_path / "e.db").stdout.startswith(said)
        store.save_event(TrackingEvent(model="x", input_tokens=1, output_tokens=1, timestamp=today - timedelta(days=3)))
    assert run_command("anomalies", "--store", tmp_path / "e.db").stdout.startswith("None of 1 call has a price")
    assert "none of the 1 calls so far has a price" in run_command("forecast", "--store", tmp_path / "e.db").stdout


def test_sums_of_different_calls_are_not_compared(ask, store, today):
    """All 120 calls have a price before; those of gpt-99 have none after, so that the whole is of fewer calls."""
    with SQLiteStorage(store) as opened:
        opened.save_events(
            [
                TrackingEvent(
                    model="gpt-4.1",
                    input_tokens=1000,
                    output_tokens=0,
                    cost_nanos=10**9,
                    timestamp=today,
                    agent_id="writer",
                )
                for _ in range(4)
            ]
        )
    title = ask("what-if", "--model", "gpt-4o=gpt-99", "--by", "agent").splitlines()
    assert "%" not in title[0]
    assert "less" not in title[0]
    assert "Of calls with a price both before and after: no change." in title[0]
    (writer,) = (line for line in title if line.startswith("writer"))
    assert not writer.endswith("%")
    alone = ask("what-if", "--model", "gpt-4o=gpt-99", "--filter", "model=gpt-4o").splitlines()[0]
    assert alone.endswith("No call has a price both before and after.")
    assert ask("what-if", "--model", "gpt-4o=gpt-4o-mini", "--by", "agent").splitlines()[0].count("%") == 1


def test_what_has_no_calls_is_said(ask):
    assert ask("recommend", "--since", "2090-01-01").startswith("No calls since 2090-01-01: nothing to save.")
    said = ask("recommend", "--filter", "agent=nobody").splitlines()[0]
    assert said == "No calls in the last 30 days that match: nothing to save."
    said = ask("compare", "2001-01-01", "2001-01-02").splitlines()[0]
    assert said == "No calls on 2001-01-02, and none on 2001-01-01."


def test_a_period_compared_with_itself_is_the_same_and_one_without_prices_is_not_compared(ask, store, today):
    assert ask("compare", "yesterday", "yesterday", "--tz", "UTC").splitlines()[0].endswith(": the same.")
    with SQLiteStorage(store) as opened:
        opened.save_events(
            [TrackingEvent(model="no-such", input_tokens=9, output_tokens=9, timestamp=today, agent_id="writer")]
        )
    said = ask("compare", "2001-01-01", "today", "--tz", "UTC")
    assert "not to be compared, since no price is known" in said.splitlines()[0]
    (writer,) = (line for line in said.splitlines() if line.startswith("writer"))
    assert writer.split() == ["writer", "$0.00", "–", "–"]  # noqa: RUF001  # a dash is what is not known
