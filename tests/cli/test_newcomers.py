"""What newcomers asked and got no answer to, or a wrong one."""

import json
import sqlite3
import stat
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import CostTracker, ProvenanceRelationship, SQLiteStorage, TrackingEvent
from tc_core.cli import text
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.ports import Batch
from tc_core.store.keep.check import Finding

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def event(event_id, event_type, minutes, parent_id=None, **facts):
    moment = START + timedelta(minutes=minutes)
    return TrackingEvent(event_id=event_id, event_type=event_type, timestamp=moment, parent_id=parent_id, **facts)


def call(event_id, minutes, parent_id=None, cost=0.5, **facts):
    known = {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10, "latency_ms": 900.0}
    return event(event_id, "llm_call", minutes, parent_id, cost=cost, **known | facts)


@pytest.fixture
def recorded(tmp_path):
    """A cheap long run with a tool, a dear short one that failed, and two calls that stand alone; return its path."""
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        store.save_events(
            [
                event("cheap", "workflow", 0, name="reporter", latency_ms=90_000),
                event("node", "task", 1, "cheap", name="research"),
                event("tool", "tool", 2, "node", name="search"),
                call("in the tool", 3, "tool", 0.25, session_id="chat-1"),
                event("dear", "workflow", 60 * 24, name="editors", latency_ms=5_000, status="error"),
                call("c2", 60 * 24 + 1, "dear", None, status="error", input_tokens=None, output_tokens=None),
                call("c3", 60 * 24 + 2, "dear", 4.0),
                call("alone", 60 * 24 + 3, provider="openai", cached_tokens=80),
                call("another", 60 * 24 + 4, labels={"customer": "acme"}),
            ]
        )
        store.save_relationship(ProvenanceRelationship("c3", "c2", "retry_of", "framework"))
        attempts = [Attempt(1, 0, 429, 5), Attempt(2, 1, None, 5), Attempt(3, 2, 200, 5)]
        store.sink.write(
            Batch(attempts=[(ids.from_text(id_), each) for id_ in ("in the tool", "alone") for each in attempts])
        )
    return path


def answer(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("by", "costs"),
    [
        ("tool", {"search": 0.25, None: 5.0}),
        ("name", {"search": 0.25, "editors": 4.0, None: 1.0}),
        ("workflow", {"reporter": 0.25, "editors": 4.0, None: 1.0}),
        ("retries", {"0": 0.5, "1": 4.0, "2": 0.75}),
    ],
)
def test_costs_by_what_a_call_hangs_under(recorded, run_command, by, costs):
    found = json.loads(answer(run_command("costs", "--by", by, "--store", recorded, "--json")))
    assert {group["key"][by]: group["cost"] for group in found["groups"] if group["cost"]} == costs


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--since", "2026-03-03"], ["editors"]),
        (["--until", "2026-03-02"], ["reporter"]),
        (["--filter", "tool=search"], ["reporter"]),
        (["--filter", "workflow=editors"], ["editors"]),
        (["--filter", "model=gpt-4o*"], ["editors", "reporter"]),
        (["--session", "chat-1"], ["reporter"]),
        (["--sort", "cost"], ["editors", "reporter"]),
        (["--sort", "time"], ["reporter", "editors"]),
        (["--sort", "errors"], ["editors", "reporter"]),
        (["--sort", "tokens", "--limit", "1"], ["editors"]),
    ],
)
def test_runs_of_a_period_a_filter_a_session_and_by_size(recorded, run_command, options, shown):
    found = json.loads(answer(run_command("runs", *options, "--tz", "UTC", "--store", recorded, "--json")))
    assert [run["name"] for run in found] == shown


def test_runs_say_what_they_hide_and_where_nothing_matches(recorded, run_command):
    assert "2 model calls stand alone and are not shown: --all shows them." in answer(
        run_command("runs", "--store", recorded)
    )
    assert "stand alone" not in answer(run_command("runs", "--all", "--store", recorded))
    until = ("--since", "2026-03-03", "--until", "2026-03-03T09:04", "--tz", "UTC")
    assert "1 model call stands alone and is not shown" in answer(run_command("runs", *until, "--store", recorded))
    assert answer(run_command("runs", "--session", "nobody", "--store", recorded)).startswith("No run matches.")
    refused = run_command("runs", "--sort", "beauty", "--store", recorded)
    assert (refused.returncode, "'beauty'" in refused.stderr) == (2, True)


def test_a_tree_shows_short_ids_and_retries_inside_a_call(recorded, run_command):
    lines = answer(run_command("tree", "reporter", "--store", recorded)).splitlines()
    (shown,) = (line for line in lines if "gpt-4o" in line)
    assert "↻ 2 retries inside (429, no answer)" in shown
    assert shown.split("gpt-4o", 1)[1].split()[:2] == ["the", "tool"]  # the end of the id `in the tool`


def test_a_run_of_one_call_shows_its_tokens_and_its_retries(recorded, run_command):
    (line,) = answer(run_command("tree", "alone", "--store", recorded)).splitlines()
    assert "100 in (80 % cached)  10 out" in line
    assert line.endswith("↻ 2 retries inside (429, no answer)")


@pytest.mark.parametrize("option", ["--by", "--filter"])
def test_an_unknown_name_is_named_with_one_that_is_near(recorded, run_command, option):
    written = "modle" if option == "--by" else "modle=gpt-4o"
    shown = answer(run_command("costs", option, written, "--store", recorded))
    assert "No call has a label 'modle'; did you mean model?" in shown
    known = answer(run_command("costs", "--filter", "customer=nobody", "--store", recorded))
    assert "has a label" not in known


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("costs", "No calls with agent=nobody."),
        ("top", "No calls with agent=nobody."),
        ("compare 2026-03-02 2026-03-03", "No calls with agent=nobody on 2026-03-03, and none on 2026-03-02."),
        ("anomalies", "No calls with agent=nobody."),
        ("agents", "No event of an agent is recorded there."),
    ],
)
def test_where_only_the_filter_finds_nothing_no_store_is_called_empty(recorded, run_command, command, said):
    lines = answer(run_command(*command.split(), "--filter", "agent=nobody", "--store", recorded)).splitlines()
    assert lines[0] == said
    assert "token-calc demo" not in lines[-1]


def test_an_empty_store_is_called_so_and_the_demo_named(tmp_path, run_command):
    SQLiteStorage(tmp_path / "empty.db").close()
    for command in ("costs", "top", "compare", "agents"):
        lines = answer(run_command(command, "--store", "empty.db")).splitlines()
        assert lines[-1].startswith("Next: token-calc demo"), command


def test_calls_that_all_failed_are_not_said_to_lack_a_price(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "failed.db") as store:
        failed = {"cost": None, "status": "error", "input_tokens": None, "output_tokens": None}
        store.save_events([call("one", 0, agent_id="planner", **failed)])
    compared = answer(run_command("compare", "2026-03-01", "2026-03-02", "--tz", "UTC", "--store", "failed.db"))
    assert compared.splitlines()[0].endswith("not to be compared, since all calls failed.")
    assert "Why" not in compared
    assert answer(run_command("attribute", "--store", "failed.db")).startswith("– in 1 call.")  # noqa: RUF001
    recommended = answer(run_command("models", "recommend", "--since", "2026-03-01", "--store", "failed.db"))
    assert "more that fit" not in recommended


def test_csv_of_nothing_has_the_headings_of_csv_of_something(recorded, run_command):
    asked = ("costs", "--by", "model,day", "--csv", "--store", recorded)
    heading, *rows = answer(run_command(*asked, "--filter", "model=none")).splitlines()
    assert (heading, rows) == (answer(run_command(*asked)).splitlines()[0], [])


def test_a_model_without_a_price_has_no_share_of_the_cost(recorded, run_command):
    with SQLiteStorage(recorded) as store:
        store.save_events([call("dear to nobody knows", 5, None, None, model="acme-1")])
    (row,) = (line for line in answer(run_command("costs", "--store", recorded)).splitlines() if "acme-1" in line)
    assert row.split()[-1] == "–"  # noqa: RUF001  # the cost, which is not known


@pytest.mark.slow
@pytest.mark.parametrize("command", ["anomalies", "agents", "health", "models recommend --agent support"])
def test_a_narrow_terminal_cuts_no_figure_and_no_day(month, run_command, command):
    period = ("--since", "2026-03-01", "--until", "2026-03-29", "--tz", "UTC")
    narrow = {"FORCE_COLOR": "1", "COLUMNS": "40", "LINES": "24", "TERM": "dumb"}  # rich wants both
    lines = answer(run_command(*command.split(), *period, "--store", month, **narrow)).splitlines()
    cells = [cell for line in lines for cell in line.split() if cell.endswith("…")]
    assert [cell for cell in cells if cell[0] in "0123456789$" or cell.startswith("gpt…")] == []


def test_the_view_events_has_status_provider_cached_tokens_and_latency(recorded):
    connection = sqlite3.connect(recorded)
    question = "SELECT status, provider, cached_tokens, latency_ms FROM events WHERE event_id = ?"
    assert connection.execute(question, ["alone"]).fetchone() == ("ok", "openai", 80, 900.0)
    assert connection.execute(question, ["dear"]).fetchone() == ("error", None, None, 5000.0)
    connection.close()


def test_two_forms_of_output_at_once_are_refused(recorded, run_command):
    refused = run_command("costs", "--json", "--csv", "--store", recorded)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.strip() == "--json and --csv cannot be had at once: choose one."


def test_an_export_overwrites_nothing_without_a_word(recorded, run_command, tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_text("mine\n")
    refused = run_command("export", kept, "--store", recorded)
    assert (refused.returncode, kept.read_text()) == (2, "mine\n")
    assert "--force" in refused.stderr
    assert "9 events written" in answer(run_command("export", kept, "--force", "--store", recorded))
    assert kept.read_text().count("\n") == 9


def test_an_empty_file_becomes_a_store_that_only_its_owner_can_read(tmp_path):
    path = tmp_path / "mine.db"
    path.touch()
    path.chmod(0o644)
    with SQLiteStorage(path) as store:
        CostTracker(store).track_call("gpt-4o", 1, 1)
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("mine.db*") if each.is_file()} == {0o600}


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "missing.jsonl", "--store", "new.db"],
        ["import", "odd.jsonl", "--store", "new.db"],
        ["import", "odd.jsonl", "--from", "token-calculator", "--store", "new.db"],
        ["demo", "--framework", "nothing", "--store", "new.db"],
    ],
)
def test_a_command_that_fails_leaves_no_empty_store(run_command, tmp_path, arguments):
    (tmp_path / "odd.jsonl").write_text('{"no": "event"}\n')
    assert run_command(*arguments).returncode > 0
    assert not list(tmp_path.glob("new.db*"))


def test_an_import_that_brings_something_keeps_its_store(recorded, run_command, tmp_path):
    answer(run_command("export", "e.jsonl", "--store", recorded))
    answer(run_command("import", "e.jsonl", "--store", "new.db"))
    with SQLiteStorage(tmp_path / "new.db") as store:
        assert store.size()["events"] == 9
    again = run_command("import", "missing.jsonl", "--store", "new.db")
    assert (again.returncode, (tmp_path / "new.db").exists()) == (2, True)


def test_prices_of_a_day_before_there_were_any_are_not_todays(run_command):
    refused = run_command("models", "show", "gpt-4o", "--at", "1990-01-01")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "No price is known for gpt-4o on 1990-01-01" in refused.stderr
    assert "not since when: nothing else is known of 2024-01-01" in answer(
        run_command("models", "show", "gpt-4.1", "--at", "2024-01-01")
    )


def test_a_column_of_costs_does_not_show_nine_digits_for_the_smallest():
    costs = [10_187_500, 37, 0, None]
    decimals = text.column_decimals(costs)
    assert [text.usd(nanos, decimals=decimals) for nanos in costs] == [
        "$0.010188",
        "<$0.000001",
        "$0.000000",
        text.EMPTY,
    ]


def test_one_day_is_and_two_days_are(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_event(call("a", 0))
        (first,) = (found for found in store.check() if found.subject == "roll-ups")
        store.save_event(call("b", 60 * 24))
        (second,) = (found for found in store.check() if found.subject == "roll-ups")
    assert first == Finding("ok", "roll-ups", "1 day is what their events add up to")
    assert second.said == "2 days are what their events add up to"
