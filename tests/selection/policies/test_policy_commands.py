"""`token-calc policies` as a user runs it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tc_core import CostTracker, SQLiteStorage
from tc_core.cli.main import app


@pytest.fixture
def policies(tmp_path):
    """Run `token-calc policies` on a store with twenty calls of a planner."""
    with SQLiteStorage(tmp_path / "c.db") as store:
        costs = CostTracker(store)
        for number in range(20):
            at = datetime.now(UTC) - timedelta(hours=1, seconds=number)
            costs.track_call("gpt-4o", 1000, 100, timestamp=at, agent_id="planner")  # $0.0035; gpt-4o-mini: $0.00021
    return lambda *arguments: invoked(*arguments, "--store", str(tmp_path / "c.db"))


def invoked(*arguments):
    """Run a command in this process, as wide as a pipe."""
    return CliRunner().invoke(app, ["policies", *arguments])


def test_listing_trying_applying_and_taking_back(policies):
    first = policies("list")
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith("No policy is on.  1 would have saved $0.0658 of $0.0700 in the last 30 days.")
    assert "route-planner-gpt-4o-mini  route  proposed  gpt-4o to gpt-4o-mini, agent planner" in first.stdout
    tried = policies("dry-run", "route-planner-gpt-4o-mini").stdout
    assert tried.startswith("$0.0658 of $0.0700 would have been saved in the last 30 days by route-planner-gpt-4o-mini")
    assert "20 of 20 calls" in tried
    applied = policies("apply", "route-planner-gpt-4o-mini", "--by", "ann", "--why", "a try")
    assert applied.stdout.startswith("route-planner-gpt-4o-mini is on: gpt-4o to gpt-4o-mini, agent planner.")
    assert "CrewAI: has no way to send a call to another model" in applied.stdout
    assert "instrument(enforce=True)" in applied.stdout
    assert policies("list").stdout.startswith("1 policy is on, and has saved $0.00 so far.")
    assert json.loads(policies("list", "--json").stdout)["policies"][0]["state"] == "on"
    undone = policies("undo", "route-planner-gpt-4o-mini", "--by", "bob")
    assert undone.stdout.startswith("route-planner-gpt-4o-mini is off again; the log keeps what it was.")
    log = policies("log").stdout
    assert "a try" in log
    assert [each["kind"] for each in json.loads(policies("log", "--json").stdout)] == ["applied", "undone"]


def test_a_new_one_by_its_kind(policies):
    said = ("--kind", "route", "--model", "gpt-4o", "--to", "gpt-4o-mini", "--filter", "agent=planner")
    found = json.loads(policies("dry-run", *said, "--floor", "0.2", "--json").stdout)
    assert found["policy"]["name"] == "route-planner-gpt-4o-mini"
    assert (found["policy"]["floor"], found["acts"], found["saved_nanos"]) == (0.2, 20, 65_800_000)
    assert json.loads(policies("apply", "my-loop", "--kind", "loop", "--json").stdout)["policy"]["rounds"] == 3
    assert policies("dry-run", "--kind", "cache", "--filter", "agent=nobody").stdout.startswith(
        "No call in the last 30 days"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["dry-run"], 2, "name a policy, as `token-calc policies list` shows it, or say the --kind of a new one"),
        (["dry-run", "nothing"], 1, "there is no policy 'nothing'; there are: route-planner-gpt-4o-mini"),
        (["dry-run", "x", "--rounds", "3"], 2, "--rounds is of a new policy: say its --kind too"),
        (["dry-run", "--kind", "guess"], 2, "--kind must be one of route, trim, cache, loop, not 'guess'"),
        (["apply", "--kind", "trim"], 2, "a policy of kind 'trim' needs at"),
        (["apply", "--kind", "route", "--model", "gpt-4o", "--to", "acme-1"], 1, "no call of 'acme-1' is recorded"),
        (["dry-run", "--kind", "route", "--model", "gpt-4oo", "--to", "gpt-4o-mini"], 1, "near are gpt-4o"),
        (["undo", "nothing"], 1, "policy 'nothing' is not on, so there is nothing to undo"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(policies, arguments, code, said):
    done = policies(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_as_a_program_of_its_own(policies, run_command, tmp_path):
    done = run_command("policies", "log", "--store", tmp_path / "c.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No policy was ever applied.")


def test_an_empty_log(policies):
    assert policies("log").stdout.startswith("No policy was ever applied.")
    assert policies("log", "mini").stdout.startswith("'mini' was never applied.")


def test_where_the_period_has_no_calls_it_is_said_when_the_last_one_was(policies, tmp_path):
    assert "The period has no calls" not in policies("list").stdout
    old = tmp_path / "old.db"
    with SQLiteStorage(old) as store:
        CostTracker(store).track_call("gpt-4o", 1000, 100, timestamp=datetime(2026, 3, 31, 12, tzinfo=UTC))
    said = "The period has no calls; the last was on 2026-03-31: --since 2026-03-01 looks at it."
    ended = ("--until", "2026-02-01", "--store", str(old))
    for arguments in (("list",), ("dry-run", "--kind", "cache")):
        assert said in invoked(*arguments, "--since", "2026-01-01", *ended).stdout
    assert "The period has no calls" not in invoked("list", "--since", "2026-03-01", "--store", str(old)).stdout


def test_the_next_line_can_be_pasted_whatever_a_policy_is_called(policies):
    assert (
        "token-calc policies undo 'no loops, please'" in policies("apply", "no loops, please", "--kind", "loop").stdout
    )
