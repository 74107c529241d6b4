"""Costs by days, weeks, months and sessions, compared, the top, what would save, and the screen that lives."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from tc_core import CostTracker, InMemoryStorage, SQLiteStorage, TrackingEvent
from tc_core.cli import watch
from tc_core.health import sql as health
from tc_core.health.sql import Scores
from tc_core.model import ids

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
WEEKS = ("2026-03-16..2026-03-22", "2026-03-23..2026-03-29")


def answer(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("view", "first", "groups"),
    [("daily", "2026-02-28", 30), ("weekly", "2026-W09", 5), ("monthly", "2026-02", 2), ("session", None, 125)],
)
def test_views_by_days_weeks_months_and_sessions(month, run_command, view, first, groups):
    found = json.loads(answer(run_command("costs", view, "--tz", "UTC", "--store", month, "--json")))
    assert len(found["groups"]) == groups
    assert next(iter(found["groups"][0]["key"].values())) == first


def test_a_view_names_the_models_and_the_last_of_many_days(month, run_command):
    shown = answer(run_command("costs", "weekly", "--tz", "UTC", "--store", month))
    (line,) = (line for line in shown.splitlines() if line.startswith("2026-W13"))
    assert line.endswith("claude-sonnet-4-5, gpt-4.1, gpt-4o, gpt-4o-mini")
    hours = answer(run_command("costs", "--by", "hour", "--tz", "UTC", "--store", month))
    assert "earlier (--csv shows all)" in hours
    assert "2026-03-29T" in hours
    refused = run_command("costs", "yearly", "--store", month)
    assert (refused.returncode, "no view 'yearly'" in refused.stderr) == (2, True)


def test_costs_with_percentiles_units_top_and_filters(month, run_command):
    asked = ("costs", "--by", "agent", "--percentiles", "50,95", "--per", "session,success", "--top", "2")
    shown = answer(run_command(*asked, "--filter", "model!=gpt-4.1", "--store", month))
    assert re.search(r"per session, of 124\..*per success, of ", shown)
    heading = r"^agent +calls .*cost p50 +cost p95 +time p50 +time p95 +per session +per success"
    assert re.search(heading, shown, re.MULTILINE)
    assert re.search(r"^1 other ", shown, re.MULTILINE)
    refused = run_command("costs", "--percentiles", "half", "--store", month)
    assert (refused.returncode, "cannot read the percentiles 'half'" in refused.stderr) == (2, True)
    rows = list(csv.DictReader(io.StringIO(answer(run_command(*asked, "--csv", "--store", month)))))
    assert len(rows) == 2
    assert float(rows[0]["cost_p95"]) > 0 < float(rows[0]["cost_per_success"])
    assert answer(run_command("costs", "--markdown", "--store", month)).startswith("| model | calls |")


def test_costs_by_tool_say_what_reading_their_results_cost(month, run_command):
    shown = answer(run_command("costs", "--by", "tool", "--store", month))
    assert "What tools returned was paid for as input" in shown
    assert re.search(r"^search_flights +[\d,]+ +[\d,]+ +\$0\.\d+$", shown, re.MULTILINE)


def test_compare_says_what_changed_and_why(month, run_command):
    shown = answer(run_command("compare", *WEEKS, "--tz", "UTC", "--store", month)).splitlines()
    assert re.match(r"\$0\.192 from 2026-03-23 to 2026-03-29 in 175 calls, \$0\.154 .*: \+\$0\.0385, 25 %", shown[0])
    why = {line.split("  ")[0]: line for line in shown[4:8]}
    assert "support: gpt-4o 50 % of calls instead of 0 %" in why["model mix"]
    assert "planner: a call of gpt-4o" in why["tokens per call"]
    assert any(re.match(r"system prompt +\+[\d,]+ +\+\$", line) for line in shown)
    found = json.loads(answer(run_command("compare", *WEEKS, "--tz", "UTC", "--store", month, "--json")))
    assert sum(driver["cost_nanos"] for driver in found["drivers"]) == found["difference_nanos"]
    empty = answer(run_command("compare", "2020-01-01", "2020-01-02", "--store", month))
    assert empty.startswith("No calls on 2020-01-02, and none on 2020-01-01.")


def test_compare_takes_the_same_part_of_a_period_that_is_not_over():
    tracker = CostTracker(InMemoryStorage())
    from tc_core.costs import compare as comparing
    from tc_core.testing import FakeClock

    with FakeClock(datetime(2026, 3, 25, 12, tzinfo=UTC)):
        spans = [comparing.as_period(each, UTC) for each in ("last-week", "this-week")]
        part = comparing.same_part(*spans)
    assert (part.start, part.end - part.start < timedelta(days=2, hours=13)) == (spans[0].start, True)
    assert part.end >= datetime(2026, 3, 18, 12, tzinfo=UTC)
    assert tracker.get_costs().total_calls == 0


def test_top_shows_several_boards_and_the_dearest_runs(month, run_command):
    shown = answer(run_command("top", "-n", "2", "--store", month))
    for heading in ("workflows", "models", "users", "sessions", "runs"):
        assert f"\n{heading}\n" in shown
    assert re.search(r"^\w{8} +planner +14 ", shown, re.MULTILINE)  # a run of the loop
    found = json.loads(answer(run_command("top", "--by", "agent", "-n", "1", "--store", month, "--json")))
    assert (len(found["agent_id"]["groups"]), found["agent_id"]["rest_groups"]) == (1, 3)


def test_recommend_says_what_would_save_and_why(month, run_command):
    shown = answer(run_command("recommend", "--since", "2026-02-28", "--store", month))
    assert re.match(r"\$0\.\d+ of \$0\.773 since 2026-02-28 could have been saved, in 5 ways\.", shown)
    assert "cache the front of the prompts of contracts" in shown
    assert "confidence 80 %" in shown
    nothing = answer(run_command("recommend", "--since", "2020-01-01", "--until", "2020-01-02", "--store", month))
    assert nothing.startswith("No calls from 2020-01-01 to 2020-01-02: nothing to save.")


# The screen that lives


def on_screen(frame, width=100):
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(frame)
    return console.export_text()


@pytest.fixture
def store():
    """A run that goes on, a call in it that failed, and calls of the last minutes."""
    store = InMemoryStorage()
    store.save_events(
        [
            TrackingEvent("run", NOW - timedelta(minutes=3), "agent", name="planner", status="open"),
            TrackingEvent("t", NOW - timedelta(minutes=3), "tool", name="search\x1b[2J", parent_id="run", latency_ms=5),
            call("failed", 2, cost=None, status="error", error_type="RateLimitError", parent_id="run"),
            call("answered", 1, cost=0.25, parent_id="run"),
            call("before", 12, cost=0.125),
        ]
    )
    return store


def call(event_id, minutes_ago, **facts):
    known = {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10}
    return TrackingEvent(event_id, NOW - timedelta(minutes=minutes_ago), **known | facts)


def test_a_frame_shows_spending_the_run_and_what_went_wrong(store):
    shown = on_screen(watch.frame(store, NOW, UTC, lines=20, width=100)).splitlines()
    assert shown[0].startswith("$0.375 today in 3 calls")
    assert "$0.250 in the last two minutes" in shown[0]
    # Twelve minutes ago half of what was spent one minute ago: of 30 bars the 18th and the 29th.
    assert shown[1].startswith(f"{' ' * 17}▅{' ' * 10}█   the last 30 minutes, up to $0.250 a minute")
    assert shown[3].startswith("planner  run run")
    assert any("✗ RateLimitError" in line for line in shown)
    assert shown[-1] == "✗ gpt-4o: RateLimitError, last at 11:58:00 UTC (failed)"
    assert "\x1b" not in "".join(shown)


def test_a_frame_tells_of_waste_and_of_conversations_at_risk(store):
    for n in range(4):
        store.save_event(call(f"try {n}", 1 - n / 10, cost=0.5, status="error", error_type="Timeout", parent_id="run"))
    risky = str(uuid.uuid4())
    store.save_event(call(risky, 0.5, cost=0.1, parent_id="run", agent_id="writer"))
    health.write(store, {ids.from_text(risky): Scores(2, 9, 900, 100, 0, 800, 500, 0, 0, 0)})
    known = {}
    lines = on_screen(watch.frame(store, NOW, UTC, lines=20, width=100, known=known)).splitlines()
    lately = lines[lines.index("Lately") + 1 :]
    assert lately[0].startswith("! retry storm: ")
    assert lately[0].endswith("  $2.00")
    assert "! writer: it goes round in circles (repetition 0.80)" in lately
    (found,) = known.values()
    store.save_event(call("one more", 0.4, cost=0.1, parent_id="run"))
    on_screen(watch.frame(store, NOW, UTC, lines=20, width=100, known=known))
    assert len(known) == 1
    assert next(iter(known.values())) is not found  # sought again, since the run has grown
    narrow = on_screen(watch.frame(store, NOW, UTC, lines=20, width=50), width=50).splitlines()
    assert all(len(line) <= 50 for line in narrow)


def test_a_frame_of_a_long_run_shows_its_last_steps(store):
    store.save_events([call(f"n{n}", 1, parent_id="run") for n in range(50)])
    shown = on_screen(watch.frame(store, NOW, UTC, lines=10, width=100)).splitlines()
    assert "  43 earlier lines" in shown
    assert len(shown) < 25


def test_a_frame_of_an_empty_store_says_so():
    assert "No run yet." in on_screen(watch.frame(InMemoryStorage(), NOW, UTC, lines=10))


def test_watch_piped_prints_one_frame(month, run_command):
    shown = answer(run_command("watch", "--store", month))
    assert "planner  run" in shown
    missing = run_command("watch", "--once", "--store", "nothing.db")
    assert (missing.returncode, "There is no store" in missing.stderr) == (1, True)


def test_watch_waits_again_where_the_store_is_removed_and_makes_none(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    SQLiteStorage(path).save_event(call("one", 1))
    left = iter(("first", "second", "third"))

    def at_each_look(seconds):
        if next(left, None) is None:
            raise KeyboardInterrupt
        for each in tmp_path.iterdir():
            each.unlink()

    monkeypatch.setattr(watch.time, "sleep", at_each_look)
    written = io.StringIO()
    watch._live(Console(file=written, force_terminal=True, width=200), str(path), UTC, 1.0)
    assert "Nothing is recorded yet in" in written.getvalue()
    assert not list(tmp_path.iterdir())


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
from tc_core.cli.main import main
main()
"""


def test_watch_lives_until_ctrl_c_also_where_the_store_comes_later(tmp_path):
    terminal, side = pty.openpty()
    command = [sys.executable, "-c", INTERRUPTIBLE, "watch", "--every", "0.1", "--store", "later.db"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        command, stdin=side, stdout=side, stderr=side, cwd=tmp_path, env=environment, start_new_session=True
    )
    os.close(side)
    screen = Screen(terminal)
    screen.wait_for("waiting for a program that does")
    CostTracker(tmp_path / "later.db").track_call("gpt-4o", 1_000_000, 0)
    screen.wait_for("$2.50 today in 1 call")
    process.send_signal(signal.SIGINT)
    screen.read_to_the_end()
    assert process.wait(60) == 0
    assert "Traceback" not in screen.text
    os.close(terminal)


class Screen:
    """What a program has written to its terminal."""

    def __init__(self, terminal):
        self._terminal = terminal
        self.text = ""

    def wait_for(self, wanted):
        deadline = time.monotonic() + 120
        while wanted not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text):
            assert time.monotonic() < deadline, self.text[-2_000:]
            assert self._read(), self.text[-2_000:]

    def read_to_the_end(self):
        while self._read():
            pass

    def _read(self):
        ready, _, _ = select.select([self._terminal], [], [], 60)
        try:
            got = os.read(self._terminal, 65_536) if ready else b""
        except OSError:  # the other side is closed
            got = b""
        self.text += got.decode("utf-8", "replace")
        return bool(got)
