"""Questions about costs that cannot be meant are told apart with their value, and odd names do no harm."""

import re

import pytest
from rich.console import Console

from tc_core import CostTracker, InMemoryStorage, Scenario

RED = "\x1b[31mred\nx"


@pytest.fixture
def tracker():
    tracker = CostTracker(InMemoryStorage())
    tracker.track_call("gpt-4o", 100, 10, user_id="17", agent_id=RED)
    tracker.track_call("gpt-4o", 100, 10, user_id="18")
    return tracker


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ({"filters": "x"}, "'x'"),
        ({"filters": {5: "x"}}, "5"),
        ({"filters": {"": "x"}}, "''"),
        ({"group_by": [1]}, "1"),
        ({"per": [1]}, "1"),
        ({"per": [""]}, "''"),
        ({"top": "3"}, "'3'"),
        ({"top": 1.5}, "1.5"),
        ({"percentiles": ["50"]}, "'50'"),
        ({"percentiles": 50}, "50"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_meant_is_named(tracker, question, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        tracker.get_costs(**question)


def test_so_are_a_number_of_recommendations_and_a_scenario(tracker):
    with pytest.raises(ValueError, match=r"top_k must be .* 'x'"):
        tracker.get_recommendations("x")
    with pytest.raises(ValueError, match=r"model_map .* 'gpt-4o'"):
        Scenario(model_map="gpt-4o")


@pytest.mark.parametrize("value", [17, [17], "17"], ids=repr)
def test_a_filter_may_be_a_number_as_a_label_may(tracker, value):
    assert tracker.get_costs(filters={"user_id": value}).total_calls == 1
    assert tracker.get_costs(filters={"user_id!": value}).total_calls == 1


def test_a_name_commands_no_terminal_whatever_the_form(tracker):
    report = tracker.get_costs(group_by=["agent_id"])
    console = Console(width=200, record=True, file=None, quiet=True)
    with console.capture() as captured:
        console.print(report)
    assert "\x1b" not in report.to_markdown() + captured.get()
    assert "| ␛[31mred x |" in report.to_markdown()


def test_the_agent_of_a_reason_that_has_no_name_is_no_agent(tracker):
    found = tracker.compare("yesterday", "today", by=["agent_id"], filters={"user_id": 18})
    assert found.drivers[0].explanation == "no agent: 1 priced call instead of 0"
