"""`token-calc waterfall`, as people type it."""

import json

import pytest

from tc_core import CostTracker, SQLiteStorage
from tc_core.runtime.recorders import wait_for_parts
from tests.ledger.conftest import LONG, SYSTEM, Ledger, asked, brought, said, user


@pytest.fixture
def store(tmp_path):
    """Two runs, of which the second one asks its tool."""
    path = tmp_path / "token_calculator.db"
    with SQLiteStorage(path) as store:
        ledger = Ledger(store)
        prompt = [SYSTEM, user("a flight to Rome")]
        for run in ("short", "long"):
            ledger.recorder.start("workflow", key=run, name=run)
            ledger.call(prompt, [asked("search", to="Rome")], tokens=180, parent=run, agent_id="planner")
            if run == "long":
                ledger.tool("search", LONG, parent=run)
                more = [*prompt, asked("search", to="Rome"), brought(LONG)]
                ledger.call(more, [said("at 10:40")], tokens=620, cached=150, parent=run, agent_id="writer")
            ledger.recorder.finish(run)
        assert wait_for_parts(store, 60)
    return path


@pytest.fixture
def ask(run_command, store):
    """Ask that store; return what was printed, or the exit code and the error."""

    def ask(*arguments, code=0):
        done = run_command("waterfall", *arguments, "--store", store)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return ask


def test_the_answer_comes_first_and_the_dearest_origin_next(ask):
    lines = ask("last").splitlines()
    assert lines[0].startswith("800 input tokens billed, $")
    assert "in 2 calls.  Re-sent: " in lines[0]
    assert lines[0].endswith("at the cache price.")
    assert lines[2].split() == ["origin", "tokens", "sent", "first", "re-sent", "cost"]
    assert lines[3].startswith("tool search")
    assert "--single" in lines[-1]


def test_what_can_be_asked_for(ask):
    assert ask().startswith("980 input tokens billed")
    assert ask("short").startswith("180 input tokens billed")
    assert ask("last", "--agent", "writer").startswith("620 input tokens billed")
    assert ask("--filter", "agent=planner").startswith("360 input tokens billed")
    assert ask("--since", "today").startswith("980 input tokens billed")
    assert "No model call" in ask("--agent", "nobody")
    single = json.loads(ask("last", "--single", "--json"))
    assert sum(row["tokens"] for row in single["rows"]) == single["total_tokens"] == 800
    assert {row["name"] for row in single["rows"] if row["origin_id"]} >= {"tool search", "system prompt"}


def test_two_runs_are_compared_to_the_token(ask):
    printed = ask("last", "--compare", "short")
    assert printed.startswith("180 input tokens became 800")
    plain = json.loads(ask("last", "--compare", "short", "--json"))
    assert sum(each["tokens"] for each in plain["difference"]) == 620
    assert sum(each["cost_nanos"] for each in plain["difference"]) == (
        plain["after"]["total_cost_nanos"] - plain["before"]["total_cost_nanos"]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 1, "No event nothing is recorded"),
        (["'; DROP TABLE node; --"], 1, "is recorded"),
        (["last", "--compare", "nothing"], 1, "No event nothing"),
        (["--since", "never"], 2, "never"),
        (["--filter", "agent"], 2, "--filter NAME=VALUE"),
        (["--tz", "Mars"], 2, "Mars"),
    ],
)
def test_bad_input_is_one_sentence(ask, arguments, code, said):
    error = ask(*arguments, code=code)
    assert said in error
    assert "Traceback" not in error


def test_no_details_are_promised_where_there_are_none(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "by_hand.db") as store:
        CostTracker(store).track_call("gpt-4o", 10, 2)
    printed = run_command("waterfall", "--store", tmp_path / "by_hand.db").stdout
    assert "calls without details" in printed
    assert "--single" not in printed
