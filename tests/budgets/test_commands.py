"""`token-calc budget` as a user runs it."""

import json

import pytest

from tc_core import BudgetTracker, CostTracker
from tc_core.budgets import present

pytestmark = pytest.mark.slow


@pytest.fixture
def budget(run_command, tmp_path):
    """Run `token-calc budget` on a store."""
    return lambda *arguments: run_command("budget", *arguments, "--store", tmp_path / "c.db")


def test_setting_spending_and_asking(budget, tmp_path):
    done = budget("set", "0.005", "month", "--name", "search", "--filter", "team=search", "--hard")
    assert done.returncode == 0, done.stderr
    assert "search: $0.00 of $0.005 spent in month" in done.stdout
    assert "instrument(enforce=True)" in done.stdout
    assert budget("status").stdout.startswith("The budget is on track.")
    costs = CostTracker(tmp_path / "c.db")
    for _ in range(2):
        costs.track_call("gpt-4o", 1000, 100, team="search")  # $0.0035
    costs.storage.close()
    over = budget("status")
    assert over.returncode == 1
    assert over.stdout.startswith("search is over by $0.002.")
    assert "140 %" in over.stdout
    assert json.loads(budget("status", "search", "--json").stdout)[0]["spent"] == 0.007
    granted = budget("override", "search", "0.004", "--until", "today", "--by", "ann", "--why", "launch")
    assert granted.stdout.startswith("search: $0.009 until today, $0.002 left.")
    assert budget("status").returncode == 0
    history = budget("history", "search").stdout
    assert "launch" in history
    assert "granted $0.004" in history
    assert budget("remove", "search", "--by", "ann").returncode == 0
    assert budget("status").stdout.startswith("No budget is set.")
    assert [each["kind"] for each in json.loads(budget("history", "--json").stdout)["changes"]] == [
        "set",
        "override",
        "removed",
    ]


@pytest.mark.parametrize(
    ("dollars", "said"),
    [
        (0, "$0.00"),
        (0.5, "$0.50"),
        (0.7656, "$0.766"),
        (-0.2656, "-$0.266"),
        (0.9996, "$1.00"),
        (0.00000105, "$0.00000105"),
    ],
)
def test_an_amount_is_rounded_as_costs_are_and_not_cut(dollars, said):
    assert present.amount(dollars, "usd") == said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["set", "0", "day"], 2, "amount must be above zero"),
        (["set", "1", "fortnight"], 2, "cannot read 'fortnight' as a period"),
        (["set", "1", "day", "--filter", "status!=ok"], 2, "a budget cannot be filtered by 'status!'"),
        (["status", "nope"], 2, "there is no budget 'nope'; there are: 'one'"),
        (["override", "one", "5", "--until", "today", "--by", "a", "--why", "b"], 2, "at most $1.00 be granted on top"),
        (["history", "nope"], 1, "No budget 'nope' was ever set"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(budget, tmp_path, arguments, code, said):
    tracker = BudgetTracker(tmp_path / "c.db")
    tracker.set_budget(1, "day", name="one")
    tracker.storage.close()
    done = budget(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_store_that_there_is_not_is_not_made_by_a_question(budget, tmp_path):
    assert budget("status").returncode == 1
    assert not (tmp_path / "c.db").exists()


def test_budgets_of_the_settings_file_that_no_program_has_set_yet_are_named(budget, tmp_path):
    BudgetTracker(tmp_path / "c.db").set_budget(1, "day", name="one")
    said = "budgets:\n  - {name: one, amount: 1, period: day}\n  - {name: two, amount: 2}\n"
    (tmp_path / "token_calculator.yaml").write_text(said, encoding="utf-8")
    for command in ("status", "list"):
        done = budget(command)
        assert done.returncode == 0, done.stderr
        assert "Of token_calculator.yaml, set as soon as a program records into this store: two\n" in done.stdout


def test_a_filter_that_no_call_has_is_said(budget, tmp_path):
    costs = CostTracker(tmp_path / "c.db")
    costs.track_call("gpt-4o", 1000, 100, team="search")
    costs.storage.close()
    assert "No call has a label" not in budget("set", "1", "day", "--filter", "team=search").stdout
    said = budget("set", "1", "day", "--filter", "agnt_id=writer").stdout
    assert "No call has a label 'agnt_id'; did you mean agent_id?" in said
    assert "No call of" not in budget("set", "1", "day", "--filter", "model=gpt-4o*").stdout
    slip = budget("set", "1", "day", "--filter", "model=gpt-4oo").stdout
    assert "No call of 'gpt-4oo' is recorded, and no price is known for it; near are gpt-4o" in slip
