"""`token-calc abtest` as a user runs it."""

import json
import re

import pytest
from typer.testing import CliRunner

from tc_core import SQLiteStorage, create_ab_test, open_ab_test
from tc_core.cli.main import app


@pytest.fixture
def abtest(tmp_path):
    """Run `token-calc abtest` on a store."""

    def run(*arguments, columns=100):
        where = ["--store", str(tmp_path / "c.db")]
        return CliRunner().invoke(app, ["abtest", *arguments, *where], env={"COLUMNS": str(columns)})

    return run


@pytest.fixture
def filled(tmp_path):
    with SQLiteStorage(tmp_path / "c.db") as store:
        test = create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14, name="support")
        for number in range(100):
            test.record_outcome(number, test.assign(number) == "gpt-4o")


def test_from_an_idea_to_the_end(abtest, tmp_path):
    idea = abtest("create", "gpt-4o", "gpt-4o-mini", "--effect", "0.1", "--dry-run")
    assert idea.exit_code == 0, idea.output
    assert idea.output.startswith("To see a difference of 10 points from 80 % takes ")
    assert "No sessions were recorded in the last 28 days" in idea.output
    assert abtest("list").output.startswith("There are no A/B tests.")
    made = abtest("create", "gpt-4o", "gpt-4o-mini", "--name", "support", "--days", "7")
    assert made.output.startswith("support: until ")
    assert 'TokenCalculatorMiddleware(ab_test="support")' in made.output
    assert abtest("status").output.startswith("No session was assigned yet.")
    with SQLiteStorage(tmp_path / "c.db") as store:
        test = open_ab_test(store, "support")
        for number in range(100):
            test.record_outcome(number, test.assign(number) == "gpt-4o")
    assert abtest("status").output.startswith("gpt-4o is better than gpt-4o-mini by 100.0 points")
    assert "abtest stop support --keep gpt-4o " in abtest("status", "support").output
    stopped = abtest("stop", "support", "--keep", "gpt-4o")
    assert "everybody gets gpt-4o." in stopped.output
    assert "gpt-4o is better" in abtest("list").output
    (listed,) = json.loads(abtest("list", "--json").output)
    assert (listed["state"], listed["kept_model"], listed["significant"]) == ("stopped", "gpt-4o", True)


@pytest.mark.usefixtures("filled")
def test_machines_read_json(abtest):
    found = json.loads(abtest("status", "support", "--json").output)
    assert found["a"]["outcomes"] + found["b"]["outcomes"] == 100
    assert found["winner"] == "gpt-4o"
    made = json.loads(abtest("create", "gpt-4o", "gpt-4.1", "--json").output)
    assert made["test"]["name"] == "gpt-4o-vs-gpt-4.1"
    assert made["plan"]["outcomes"] > made["plan"]["median"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "suport"), 1, "there is no A/B test 'suport', there are support"),
        (("stop", "support", "--keep", "gpt-5"), 2, "keep is a model of the test"),
        (("create", "gpt-4o", "gpt-4.1", "--name", "support"), 1, "there is a test 'support' already"),
        (
            ("create", "gpt-4o", "gpt-4o-min"),
            2,
            "no call of 'gpt-4o-min' is recorded, and no price is known for it; near are gpt-4o-mini",
        ),
        (
            ("create", "gpt-4o", "gpt-4o-min", "--dry-run"),
            2,
            "no call of 'gpt-4o-min' is recorded, and no price is known for it; near are gpt-4o-mini",
        ),
        (("create", "gpt-4o", "gpt-4o", "--dry-run"), 2, "a test needs two models"),
        (("create", "gpt-4o", "gpt-4o-mini", "--name", "my test", "--dry-run"), 2, "a test is named by up to 64"),
        (("create", "gpt-4o", "gpt-4o-mini "), 2, "model_b has blanks around it: 'gpt-4o-mini '"),
        (("create", "gpt-4o", "gpt-4o-mini", "--split", "1"), 2, "must lie between 0 and 1"),
        (("create", "gpt-4o", "gpt-4o-mini", "--baseline", "2"), 2, "must lie between 0 and 1"),
        (("status", "--method", "z"), 2, "method is mixture or pairs"),
    ],
)
def test_what_cannot_be_is_one_sentence(abtest, arguments, code, said):
    done = abtest(*arguments)
    assert (done.exit_code, done.output.count("\n")) == (code, 1)
    assert said in done.output


def test_a_dry_run_makes_no_store_and_neither_does_a_slip_of_the_pen(abtest, tmp_path):
    assert abtest("create", "gpt-4o", "gpt-4o-min").exit_code == 2
    assert abtest("create", "gpt-4o", "gpt-4o-mini", "--dry-run").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_not_there_is_said(abtest):
    assert "There is no store at" in abtest("status").output


@pytest.mark.usefixtures("filled")
def test_a_narrow_terminal_keeps_what_matters(abtest, monkeypatch):
    from tc_core.cli.text import _Console

    monkeypatch.setattr(_Console, "is_terminal", property(lambda self: True))
    shown = re.sub(r"\x1b\[[\d;]*m", "", abtest("status", columns=60).output).splitlines()
    assert max(map(len, shown)) <= 60
    assert [line.split()[0] for line in shown if line.startswith(("arm", "a ", "b "))] == ["arm", "a", "b"]
