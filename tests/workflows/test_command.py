"""`token-calc workflow`."""

import json

import pytest
from typer.testing import CliRunner

from tc_core import WorkflowTracker
from tc_core.cli.main import app


@pytest.fixture
def ask(own_store, clock):
    tracker = WorkflowTracker("support", own_store)
    for number in (1, 2):
        with tracker:
            with tracker.track_agent("planner") as planner:
                clock.advance(seconds=1)
                planner.track_call("gpt-4o", 1000, 100)
            with tracker.track_agent("executor") as executor:
                clock.advance(seconds=3)
                executor.track_call("gpt-4o", 2000 * number, 0)
            tracker.outcome(success=number == 1)

    def ask(*arguments):
        return CliRunner().invoke(app, ["workflow", *arguments, "--store", str(own_store.path)])

    ask.runs = [run.event.event_id for run in tracker.runs()]
    return ask


def test_the_last_run_is_shown_with_its_agents_and_its_critical_path(ask):
    said = ask("support").output
    assert said.splitlines()[0] == f"support  run {ask.runs[0][-8:]}  4.0 s  $0.0135  in 2 calls  ok  failure"
    assert "Critical path: planner → executor (4.0 s of 4.0 s)" in said
    assert "Waste: none found." in said
    # 3,500 + 5,000 and 3,500 + 10,000 millionths of a dollar
    assert "Of 2 runs: $0.0110 a run, nine in ten below $0.0130; 4.0 s" in said
    assert "1 of 2 succeeded, $0.0220 a success" in said
    assert "█" in said


def test_another_run_a_comparison_and_json(ask):
    assert ask("support", "--run", ask.runs[1][-8:]).output.startswith(f"support  run {ask.runs[1][-8:]}")
    said = ask("support", "--compare", ask.runs[1][-8:]).output
    assert "+$0.00500, +2,000 tokens, +0 calls" in said
    assert "executor" in said
    plain = json.loads(ask("support", "--json").output)
    assert plain["total_cost"] == 0.0135
    assert [agent["agent_id"] for agent in plain["agents"]] == ["executor", "planner"]
    assert plain["distribution"]["runs"] == 2
    assert json.loads(ask("support", "--compare", ask.runs[1], "--json").output)["tokens"] == 2000


def test_it_can_be_drawn_for_other_programs(ask):
    assert ask("support", "--format", "mermaid").output.startswith("flowchart TD\n")
    assert ask("support", "--format", "html").output.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing"], 1, "No run of the workflow 'nothing' is recorded"),
        (["support", "--run", "0123abcd"], 1, "No event 0123abcd is recorded"),
        (["support", "--format", "png"], 2, "format must be one of ascii, mermaid, dot, html, not 'png'"),
    ],
)
def test_what_is_not_there_is_one_sentence(ask, arguments, code, words):
    result = ask(*arguments)
    assert result.exit_code == code
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_drawing_is_not_json(ask):
    done = ask("support", "--format", "dot", "--json")
    assert done.exit_code == 2
    assert "--format and --json cannot be had at once" in done.output
