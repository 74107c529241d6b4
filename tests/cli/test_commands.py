"""The commands as a user runs them: their words, their exit codes, their JSON."""

import csv
import io
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tc_core import CostTracker, ProvenanceRelationship, SQLiteStorage, TrackingEvent
from tc_core.cli import main
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.ports import Batch
from tc_core.version import __version__

NOW = datetime.now(UTC)


@pytest.fixture
def recorded(tmp_path):
    """A store with two runs and a call that stands alone; return its path."""
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        store.save_events(
            [
                event("run-old", "agent", 50, name="planner", agent_id="planner", latency_ms=4200),
                call("c1", 49, parent_id="run-old", agent_id="planner", cost=None, model="acme-1"),
                event(
                    "run-new",
                    "workflow",
                    20,
                    name="report",
                    workflow_id="report",
                    status="error",
                    error_type="KeyError",
                ),
                event("step", "task", 19, name="research", parent_id="run-new", workflow_id="report"),
                call(
                    "c2",
                    18,
                    parent_id="step",
                    agent_id="writer",
                    status="error",
                    error_type="RateLimitError",
                    **NO_ANSWER,
                ),
                call("c3", 17, parent_id="step", agent_id="writer", cost=0.25, cached_tokens=80, latency_ms=800.0),
                call("c4", 16, parent_id="run-new", agent_id="writer", cost=0.05, usage_source="estimate"),
                call("00000000-0000-7000-8000-00000000beef", 5, cost=0.1, labels={"user_id": "=cmd()"}),
            ]
        )
        store.save_relationship(ProvenanceRelationship("c3", "c2", "retry_of", "framework"))
        store.save_relationship(ProvenanceRelationship("c4", "c2", "fallback_for", "framework"))
    return path


NO_ANSWER = {"input_tokens": None, "output_tokens": None, "cost": None}


def event(event_id, event_type, minutes_ago, **facts):
    moment = NOW - timedelta(minutes=minutes_ago)
    return TrackingEvent(**({"event_id": event_id, "timestamp": moment, "event_type": event_type} | facts))


def call(event_id, minutes_ago, **facts):
    known = {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10}
    return event(event_id, "llm_call", minutes_ago, **(known | facts))


def answer(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


# costs


def test_costs_answers_in_the_first_line(recorded, run_command):
    lines = answer(run_command("costs", "--store", recorded)).splitlines()
    assert lines[0] == "$0.400 in 5 calls.  1 call unpriced, 1 estimated, 1 failed."
    assert lines[2].split() == ["model", "calls", "input", "cached", "output", "cost", "share"]
    assert lines[3].split()[:6] == ["gpt-4o", "4", "300", "27", "%", "30"]
    assert lines[4].split()[:2] == ["acme-1", "1"]
    assert lines[-1] == f"Next: token-calc tree last --store {recorded}   shows where the last run's money went"


def test_costs_by_several_names_with_short_words(recorded, run_command):
    found = json.loads(answer(run_command("costs", "--by", "agent,model", "--store", recorded, "--json")))
    assert [group["key"] for group in found["groups"]] == [
        {"agent_id": "writer", "model": "gpt-4o"},
        {"agent_id": None, "model": "gpt-4o"},
        {"agent_id": "planner", "model": "acme-1"},
    ]
    assert (found["total_cost"], found["unpriced_calls"], found["estimated_calls"]) == (0.4, 1, 1)


def test_costs_of_a_period_and_a_filter(recorded, run_command):
    found = json.loads(
        answer(
            run_command("costs", "--filter", "agent=writer", "--filter", "agent=planner", "--store", recorded, "--json")
        )
    )
    assert found["total_calls"] == 4
    before = answer(run_command("costs", "--since", "2020-01-01", "--until", "2020-12-31", "--store", recorded))
    assert "No calls from 2020-01-01 to 2020-12-31." in before
    shown = answer(run_command("costs", "--since", "last-7-days", "--store", recorded))
    assert shown.startswith("$0.400 in the last 7 days in 5 calls.")


def test_costs_say_what_of_them_came_beside_tokens(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events([call("a", 2, cost=0.3), call("b", 1, cost=0.05, charges_nanos=20_000_000)])
    shown = answer(run_command("costs", "--store", tmp_path / "s.db"))
    assert shown.startswith("$0.350 in 2 calls.  $0.0200 of it beside tokens.")
    rows = csv.DictReader(io.StringIO(answer(run_command("costs", "--store", tmp_path / "s.db", "--csv"))))
    assert [(row["charges"], row["charges_nanos"]) for row in rows] == [("0.02", "20000000")]


def test_costs_compares_with_the_period_before(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        now = datetime.now(UTC)
        began, was_later = datetime(now.year - 1, 1, 1, tzinfo=UTC), now - timedelta(days=364)
        store.save_events([call("a", 0, cost=0.3, timestamp=began), call("b", 0, cost=0.15, timestamp=now)])
        if was_later.year < now.year:  # what last year brought after this day says nothing yet
            store.save_event(call("c", 0, cost=5, timestamp=was_later))
    shown = answer(run_command("costs", "--since", "this-year", "--store", tmp_path / "costs.db"))
    assert shown.startswith("$0.150 this year in 1 call, 50 % less than last year by this time.")


def test_costs_as_csv_that_no_spreadsheet_runs(recorded, run_command):
    printed = answer(run_command("costs", "--by", "user_id", "--store", recorded, "--csv"))
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert {row["user_id"]: row["calls"] for row in rows} == {"'=cmd()": "1", "": "4"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["--since", "someday"], 2, "cannot read 'someday'", id="date"),
        pytest.param(["--filter", "agent"], 2, "use --filter NAME=VALUE", id="filter"),
        pytest.param(["--tz", "Mars"], 2, "unknown time zone 'Mars'", id="zone"),
        pytest.param(["--sinc", "today"], 2, "No such option", id="option"),
    ],
)
def test_what_cannot_be_understood_is_said_in_one_sentence(recorded, run_command, arguments, code, said):
    result = run_command("costs", "--store", recorded, *arguments)
    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_costs_of_nothing_say_of_what(recorded, run_command):
    printed = answer(run_command("costs", "--since", "this-year", "--filter", "agent=nobody", "--store", recorded))
    assert printed.startswith("No calls this year with agent=nobody.")


def test_a_name_that_no_call_has_is_told(recorded, run_command):
    printed = answer(run_command("costs", "--by", "agent,modle", "--store", recorded))
    assert "No call has a label 'modle'; did you mean model?" in printed
    assert "No call has" not in answer(run_command("costs", "--by", "user_id,intent", "--store", recorded))


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize(
    "command", [["costs", "--by", "agent,model"], ["runs"], ["tree", "report"], ["models", "search", "sonnet", "4-5"]]
)
def test_no_number_is_cut_in_a_terminal(recorded, run_command, command, width):
    store = [] if command[0] == "models" else ["--store", recorded]
    terminal = {"FORCE_COLOR": "1", "COLUMNS": str(width)}
    lines = re.sub(r"\x1b\[[0-9;]*m", "", answer(run_command(*command, *store, **terminal))).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if re.search(r"(\$|\s)[\d,.]*…", line)]


def test_no_line_is_broken_in_a_pipe(recorded, run_command):
    printed = answer(run_command("doctor", "--store", recorded))
    assert all(line.startswith(("ok ", "warning ", "fault ")) for line in printed.splitlines())
    refused = run_command("costs", "--since", "someday", "--store", recorded)
    assert len(refused.stderr.splitlines()) == 1


def test_python_the_command_and_plain_sql_say_the_same_to_the_last_nano_dollar(tmp_path, run_command):
    path = tmp_path / "costs.db"
    with SQLiteStorage(path) as store:
        tracker = CostTracker(store)
        for number in range(50):  # cached tokens of gpt-4.1-nano cost 25 nano-dollars, those of gpt-4o-mini 75
            model = ("gpt-4.1-nano", "gpt-4o-mini")[number % 2]
            tracker.track_call(model, 1_003 + number, 7 * number, cached_tokens=number)
        tracker.track_call("gpt-99", 10, 10)
        report = tracker.get_costs(group_by=["model"])
    printed = json.loads(answer(run_command("costs", "--store", path, "--json")))
    rows = csv.DictReader(io.StringIO(answer(run_command("costs", "--store", path, "--csv"))))
    with sqlite3.connect(path) as connection:
        by_sql = dict(connection.execute("SELECT model, SUM(cost_nanos) FROM events GROUP BY 1"))
    by_python = {group.key["model"]: group.cost_nanos for group in report.groups}
    by_json = {group["key"]["model"]: group["cost_nanos"] for group in printed["groups"]}
    by_csv = {row["model"]: int(row["cost_nanos"]) if row["cost_nanos"] else None for row in rows}
    assert by_python == by_json == by_csv == by_sql
    assert by_sql["gpt-99"] is None
    assert report.total_cost_nanos == printed["total_cost_nanos"] == sum(filter(None, by_sql.values()))


@pytest.mark.parametrize("command", [["costs"], ["runs"], ["tree"], ["show", "x"]])
def test_a_store_that_does_not_exist_is_not_made_but_said(run_command, tmp_path, command):
    result = run_command(*command, "--store", "nowhere.db")
    assert result.returncode == 1
    assert "There is no store at nowhere.db" in result.stderr
    assert "token-calc demo" in result.stderr
    assert not (tmp_path / "nowhere.db").exists()


def test_an_empty_store_says_what_to_do(run_command, tmp_path):
    SQLiteStorage(tmp_path / "empty.db").close()
    assert "No calls recorded." in answer(run_command("costs", "--store", "empty.db"))
    assert "token-calc demo" in answer(run_command("costs", "--store", "empty.db"))
    assert "No runs recorded." in answer(run_command("runs", "--store", "empty.db"))
    result = run_command("tree", "last", "--store", "empty.db")
    assert (result.returncode, "token-calc demo" in result.stderr) == (1, True)


def test_a_file_that_is_no_store_has_its_own_exit_code(run_command, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary " * 100)
    result = run_command("costs", "--store", "diary.txt")
    assert result.returncode == 3
    assert "diary.txt" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run_command("--debug", "costs", "--store", "diary.txt").stderr


def test_the_store_is_that_of_the_environment(recorded, run_command):
    found = run_command("costs", "--json", TOKEN_CALC_STORAGE=str(recorded))
    assert json.loads(answer(found))["total_calls"] == 5


# runs, tree, show


def test_runs_lists_the_latest_first(recorded, run_command):
    lines = answer(run_command("runs", "--store", recorded)).splitlines()
    assert lines[1].split()[0] == "run-new"[-8:]
    assert "✗ error" in lines[1]
    assert lines[2].split()[0] == "run-old"[-8:]
    assert lines[2].endswith("1 unpriced")
    found = json.loads(answer(run_command("runs", "--store", recorded, "--json", "-n", "1")))
    assert [(run["event_id"], run["calls"], run["cost"], run["failed_calls"]) for run in found] == [
        ("run-new", 3, 0.3, 1)
    ]
    assert len(json.loads(answer(run_command("runs", "--all", "--store", recorded, "--json")))) == 3


def test_tree_shows_lineage_tokens_and_cost(recorded, run_command):
    printed = answer(run_command("tree", "last", "--store", recorded))
    lines = [line.rstrip() for line in printed.splitlines()]
    assert lines[0].startswith("report  run run-new")
    assert "$0.300" in lines[0]
    assert "error" in lines[0]
    assert lines[1].startswith("├─ step research")
    assert lines[2].startswith("│  ├─ gpt-4o")
    assert lines[2].endswith("✗ RateLimitError")
    assert "100 in (80 % cached)  10 out" in lines[3]
    assert lines[3].endswith("$0.250  ↻ retry of the call above")
    assert "estimated" in lines[4]
    assert "⇢ fallback for gpt-4o (c2)" in lines[4]


@pytest.mark.parametrize("wanted", ["run-new", "report", "c3", "step"])
def test_a_run_is_found_by_any_of_its_names(recorded, run_command, wanted):
    found = json.loads(answer(run_command("tree", wanted, "--store", recorded, "--json")))
    assert found["event_id"] == "run-new"
    assert (found["total_cost"], found["total_calls"], len(found["children"])) == (0.3, 3, 2)
    assert found["children"][0]["children"][1]["relations"][0]["relation"] == "retry_of"


def test_a_run_is_found_by_the_name_that_runs_shows(recorded, run_command):
    assert json.loads(answer(run_command("tree", "planner", "--store", recorded, "--json")))["event_id"] == "run-old"


def test_show_tells_everything_of_one_event(recorded, run_command):
    printed = answer(run_command("show", "c3", "--store", recorded, "--tz", "UTC"))
    fields = dict(line.split(maxsplit=1) for line in printed.splitlines())
    assert (fields["model"], fields["cost"], fields["cached_tokens"], fields["retry_of"]) == (
        "gpt-4o",
        "$0.250",
        "80",
        "c2",
    )
    plain = json.loads(answer(run_command("show", "c2", "--store", recorded, "--json")))
    assert {(relation["relation"], relation["source_id"]) for relation in plain["relations"]} == {
        ("retry_of", "c3"),
        ("fallback_for", "c4"),
    }


SEARCHED = {"model": "claude-sonnet-4-5", "provider": "anthropic", "charges": {"web_searches": 2}}
"""100 x 3 and 10 x 15 dollars per million, and two searches at 10 dollars per thousand: $0.02045."""


@pytest.mark.parametrize(
    ("facts", "sentence", "searches"),
    [
        pytest.param(
            {"cost_nanos": 20_450_000, "charges_nanos": 20_000_000, "price_source": "a table"},
            "The cost is the sum of:",
            "2 $0.02000",
            id="priced",
        ),
        pytest.param(
            {"charges": {"new_tools": 2}},
            "Unpriced, since no price is known for new tools of claude-sonnet-4-5:",
            "2 no price",
            id="unpriced",
        ),
        pytest.param(
            {"model": "acme-1", "service_tier": "flex"},
            "Unpriced, since no price is known for input and output and web searches of acme-1 flex:",
            "2 no price",
            id="nothing-has-a-price",
        ),
        pytest.param(
            {}, "Unpriced when it was recorded; `token-calc reprice` would make it $0.0204:", "2 $0.02000", id="by-now"
        ),
        pytest.param(
            {"cost_nanos": 30_000_000, "price_source": "billed"},
            "The provider billed $0.0300; the prices known now make it $0.0204:",
            "2 $0.02000",
            id="billed",
        ),
        pytest.param(
            {"cost_nanos": 30_000_000, "price_source": "billed", "charges": {"new_tools": 2}},
            "The provider billed $0.0300; the prices known now lack new tools:",
            "2 no price",
            id="billed-without-a-price",
        ),
        pytest.param(
            {"cost_nanos": 30_000_000, "price_source": "an older table"},
            "Booked is $0.0300; the prices known now make it $0.0204:",
            "2 $0.02000",
            id="another-price",
        ),
    ],
)
def test_show_lists_of_what_a_cost_is_the_sum(tmp_path, run_command, facts, sentence, searches):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_event(call("c", 5, **SEARCHED | facts))
    lines = answer(run_command("show", "c", "--store", tmp_path / "s.db")).splitlines()
    below = [" ".join(line.split()) for line in lines[lines.index(sentence) + 1 :]]
    kind = "new tools" if "new_tools" in facts.get("charges", {}) else "web searches"
    assert f"{kind} {searches}" in below
    assert len(below) == 3
    if facts.get("model") != "acme-1":
        assert {"input 100 $0.00030", "output 10 $0.00015"} <= set(below)


def test_show_lists_the_parts_of_a_cost_as_json(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_event(call("c", 5, **SEARCHED))
        store.save_event(call("given", 5, **SEARCHED, cost=0.5))
        store.save_event(event("agent", "agent", 5, name="a"))
    plain = json.loads(answer(run_command("show", "c", "--store", tmp_path / "s.db", "--json")))
    assert plain["charges"] == {"web_searches": 2}
    assert plain["cost_parts"] == [
        {"kind": "input", "count": 100, "cost_nanos": 300_000},
        {"kind": "output", "count": 10, "cost_nanos": 150_000},
        {"kind": "web searches", "count": 2, "cost_nanos": 20_000_000},
    ]
    assert plain["cost_parts_nanos"] == 20_450_000
    for other in ("given", "agent"):  # whose cost is not by a table
        plain = json.loads(answer(run_command("show", other, "--store", tmp_path / "s.db", "--json")))
        assert (plain["cost_parts"], plain["cost_parts_nanos"]) == ([], None)


def test_show_tells_the_requests_of_a_call(recorded, run_command):
    with SQLiteStorage(recorded) as store:
        c3 = ids.from_text("c3")
        store.sink.write(Batch(attempts=[(c3, Attempt(1, 0, None, 20_000)), (c3, Attempt(2, 1, 200, 750_000, 9, 1))]))
    printed = answer(run_command("show", "c3", "--store", recorded))
    assert "attempt 1           no answer after 20 ms" in printed
    assert "attempt 2           HTTP 200 after 750 ms" in printed
    plain = json.loads(answer(run_command("show", "c3", "--store", recorded, "--json")))
    assert plain["attempts"][1] == {
        "number": 2,
        "retry": 1,
        "status": 200,
        "latency_us": 750_000,
        "input_tokens": 9,
        "output_tokens": 1,
    }


def test_the_end_of_an_id_is_enough(recorded, run_command):
    assert "0000beef" in answer(run_command("show", "beef", "--store", recorded))
    for wanted in ("dead", "be", "not-hex"):
        result = run_command("show", wanted, "--store", recorded)
        assert result.returncode == 1
        assert f"No event {wanted} is recorded" in result.stderr


def test_an_end_that_several_ids_share_is_said(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events([call(f"0000000{n}-0000-7000-8000-00000000beef", n) for n in range(3)])
    result = run_command("show", "beef", "--store", "s.db")
    assert (result.returncode, "give more of it" in result.stderr) == (1, True)


# doctor, help


def test_doctor_finds_nothing_wrong(recorded, run_command):
    printed = answer(run_command("doctor", "--quick", "--store", recorded))
    assert "fault" not in printed
    for word in ("package", "langchain-core", "genai-prices", "o200k_base", "8 events", "spool"):
        assert word in printed
    assert all(
        finding["state"] == "ok"
        for finding in json.loads(answer(run_command("doctor", "--quick", "--store", recorded, "--json")))
    )


def bills(run_command, path):
    """What doctor says of bills."""
    found = json.loads(answer(run_command("doctor", "--quick", "--store", path, "--json")))
    return [(finding["state"], finding["said"]) for finding in found if finding["subject"] == "bills"]


def test_doctor_shows_where_the_price_table_differs_from_bills(tmp_path, run_command):
    path, at_table = tmp_path / "s.db", 350_000  # 100 x 2.50 and 10 x 10 dollars per million
    with SQLiteStorage(path) as store:
        store.save_event(call("own", 5, cost_nanos=1, price_source="genai-prices"))
        assert bills(run_command, path) == []
        near = [call(f"near{n}", 5, cost_nanos=at_table + 3_500, price_source="billed") for n in range(2)]
        store.save_events([*near, call("odd", 5, model="acme-1", cost_nanos=9, price_source="billed")])
        assert bills(run_command, path) == [("ok", "the price table agrees with those of 2 calls")]
        sonnet = {**SEARCHED, "price_source": "billed"}  # 20,450,000 by the table
        store.save_events([call("dear", 5, **sonnet, cost_nanos=30_000_000), call("b", 6, **sonnet, cost_nanos=10**7)])
        store.save_event(call("old", 31 * 24 * 60, **sonnet, cost_nanos=10**9))
    (found,) = bills(run_command, path)
    said = "2 calls of claude-sonnet-4-5 at anthropic were billed $0.04, and are $0.0409 by the price table"
    assert found == ("warning", f"{said}: give the model a price of your own (docs/prices.md)")


def test_doctor_looks_at_the_newest_thousand_bills(tmp_path, run_command):
    path = tmp_path / "s.db"
    with SQLiteStorage(path) as store:
        store.save_events([call(f"new{n}", 5, cost_nanos=350_000, price_source="billed") for n in range(1000)])
        store.save_event(call("older", 6, cost_nanos=10**9, price_source="billed"))
    assert bills(run_command, path) == [("ok", "the price table agrees with those of 1,000 calls")]


def test_a_label_with_too_many_values_is_named_where_it_is_asked_for(recorded, run_command):
    with SQLiteStorage(recorded) as store:
        store.save_events([call(f"t{n}", 1, labels={"ticket": str(n)}) for n in range(1001)])
    warning = "the label 'ticket' has more than 1,000 values"
    assert warning in answer(run_command("costs", "--by", "ticket", "--store", recorded))
    assert warning in answer(run_command("costs", "--filter", "labels.ticket=7", "--store", recorded))
    assert warning not in answer(run_command("costs", "--by", "agent,user_id", "--store", recorded))
    assert warning in answer(run_command("doctor", "--quick", "--store", recorded))


def test_doctor_of_a_store_that_is_none(run_command, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary " * 100)
    result = run_command("doctor", "--quick", "--store", "diary.txt")
    assert result.returncode == 1
    assert "fault   store" in result.stdout
    assert "warning store" in answer(run_command("doctor", "--quick", "--store", "not-yet.db"))


def test_doctor_tells_of_spool_files_that_were_damaged(recorded, run_command):
    folder = recorded.with_name("costs.db.spool")
    folder.mkdir()
    (folder / "0123.damaged").write_bytes(b"?")
    printed = answer(run_command("doctor", "--quick", "--store", recorded))
    assert "warning spool         1 damaged file kept; what could be read of it is in the store" in printed


@pytest.mark.parametrize("command", ["costs", "runs", "tree", "show", "demo", "doctor"])
def test_every_command_has_help_with_an_example(run_command, command):
    printed = answer(run_command(command, "--help"))
    assert f"Example: token-calc {command}" in printed
    assert "--store" in printed
    assert "--json" in printed


def test_help_names_the_exit_codes_and_the_version(run_command):
    assert "Exit codes" in answer(run_command("--help"))
    assert answer(run_command("--version")).strip() == f"token-calc {__version__}"
    assert run_command().returncode == 2 or "Usage" in run_command().stdout


def test_help_loads_no_framework_and_no_database(run_python):
    program = (
        "import sys; sys.argv = ['token-calc', '--version']\n"
        "from tc_core.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('langchain_core', 'alembic', 'genai_prices', 'tiktoken') if name in sys.modules])"
    )
    assert run_python(program).splitlines()[-1] == "[]"


def test_a_command_loads_no_other_ones(run_python):
    program = (
        "import sys; sys.argv = ['token-calc', 'costs', '--help']\n"
        "from tc_core.cli import main\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "others = {each.split('.')[0] for each in main.COMMANDS.values()} - {'costs'}\n"
        "print([name for name in others if f'tc_core.cli.{name}' in sys.modules])"
    )
    assert run_python(program).splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_a_command_says_by_itself_what_it_says_among_all(name):
    alone, among_all = (
        CliRunner().invoke(app, [name, "--help"], prog_name="token-calc", env={"COLUMNS": "80"})
        for app in (main.application([name]), main.app)
    )
    assert alone.output == among_all.output
    assert alone.exit_code == among_all.exit_code == 0


def test_what_would_command_a_terminal_is_shown(run_command, tmp_path):
    nasty = "a\nb\x1b[31mc\x9b2Jd[red]"
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events(
            [event("run", "agent", 1, name=nasty), call("c", 0, parent_id="run", model=nasty, labels={"note": nasty})]
        )
    for command in (["costs", "--by", "model,note"], ["runs"], ["tree", "last"], ["show", "c"]):
        out = run_command(*command, "--store", tmp_path / "s.db").stdout
        assert "a␊b␛[31mc\ufffd2Jd[red]" in out, command
        assert "\x1b" not in out
        assert "\x9b" not in out
