"""`token-calc models recommend`, as people type it."""

import json

import pytest
from typer.testing import CliRunner

from tc_core import CostTracker, SQLiteStorage
from tc_core.cli.main import app
from tests.selection.models.conftest import NOW


@pytest.fixture
def path(tmp_path):
    """A store with 40 calls of a writer."""
    path = tmp_path / "own.db"
    with SQLiteStorage(path) as store:
        tracker = CostTracker(store)
        for _ in range(40):
            tracker.track_call("gpt-4o", 1_000, 100, agent_id="writer", timestamp=NOW)
    return path


@pytest.fixture
def ask(path):
    """Ask that store; return what was printed, or the error."""

    def ask(*arguments, code=0):
        done = CliRunner().invoke(app, ["models", "recommend", "--store", str(path), *map(str, arguments)])
        assert done.exit_code == code, done.output
        return done.stderr if code else done.stdout

    return ask


def test_it_is_a_command(run_command, path):
    assert run_command("models", "recommend", "--store", path).stdout.startswith("Try gpt-4o-mini")


def test_the_first_line_says_the_answer_and_the_table_what_else_there_is(ask):
    lines = ask().splitlines()
    assert lines[0].startswith("Try gpt-4o-mini in place of gpt-4o.  Saves $0.132 ($0.117 to $0.132), $3.95 in 30 days")
    assert lines[1].startswith("The 40 calls on 2026-03-29 cost $0.14 with gpt-4o, and would have cost $0.0084")
    assert lines[3].split()[:4] == ["model", "would", "cost", "of"]
    assert lines[4].split()[0] == "gpt-4o"
    assert lines[4].split()[-1] == "now"
    assert lines[5].split()[0] == "gpt-4o-mini"
    assert lines[5].split()[-1] == "suggested"
    assert lines[-1].startswith("Next: token-calc models show gpt-4o-mini")
    found = json.loads(ask("--json"))
    assert (found["suggested_model"], found["candidates"][0]["is_current"]) == ("gpt-4o-mini", True)


def test_requirements_and_a_table_of_ones_own(ask, tmp_path):
    table = tmp_path / "models.yaml"
    table.write_text("gpt-4o: 0.9\ngpt-4o-mini: 0.5\ngpt-4.1-mini: 0.88\n")
    printed = ask("--quality-file", table, "--tools", "--modality", "image", "--min-context", "8000")
    assert printed.startswith("Use gpt-4.1-mini in place of gpt-4o.")
    assert "0.88 stated" in printed
    nobody = ask("--region", "eu", "--max-cost", "0.00001", "--candidate", "gpt-4o-mini")
    assert nobody.startswith("No model is what is asked for.")
    assert "The one model looked at does not fit: region excludes 1, max_cost excludes 1." in nobody
    assert "an average call would cost" in ask("--max-cost", "0.00001", "--all")


def test_what_cannot_be_answered_is_said(ask):
    assert "There are calls of writer." in ask("--agent", "nobody")
    assert ask("--modality", "smell", code=2) == "there is no modality 'smell': use text, image, audio, video, pdf\n"
    assert "min_quality must be a number from 0 to 1" in ask("--min-quality", "7", code=2)
    assert "cannot be read" in ask("--quality-file", "nowhere.yaml", code=2)


def test_no_table_of_nothing_where_the_model_has_no_calls(ask):
    said = ask("--current-model", "gpt-nope")
    assert "No call of gpt-nope is recorded there" in said
    assert "would cost" not in said
