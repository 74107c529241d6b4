"""Retry storms: the same thing tried while it fails."""

import pytest

from tc_core import PatternLimits
from tests.patterns.conftest import SYSTEM, said, user

ASK = user("Which trains go from Berlin to Lisbon?")


def test_three_failures_of_one_prompt_are_a_storm_and_the_success_is_no_waste(each_story):
    story = each_story
    failed = [story.call([SYSTEM, ASK], status="error", billed=1_000) for _ in range(3)]
    worked = story.call([SYSTEM, ASK], said("None."))
    (found,) = story.found("retry_storm", "duplicate")
    assert (found.kind, found.severity) == ("retry_storm", "medium")
    assert found.event_ids == (*failed, worked)
    assert found.cost_nanos == 3 * 2_500_000  # 1,000 tokens of input each, at $2.50 a million
    assert found.evidence["failures"] == 3
    assert found.evidence["errors"] == {"RateLimitError": 3}
    assert found.evidence["succeeded"] is True
    assert found.evidence["seconds"] == pytest.approx(3, abs=0.01)


def test_failures_that_were_not_billed_waste_time_and_no_money(story):
    for _ in range(4):
        story.call([SYSTEM, ASK], status="error")
    (found,) = story.found("retry_storm")
    assert (found.wasted_cost, found.evidence["succeeded"]) == (0.0, False)


def test_two_failures_are_what_retries_are_for(story):
    for _ in range(2):
        story.call([SYSTEM, ASK], status="error")
    story.call([SYSTEM, ASK], said("None."))
    assert story.found("retry_storm") == []
    assert len(story.found("retry_storm", limits=PatternLimits(retry_count=2))) == 1


def test_failures_hours_apart_are_no_storm(story):
    for _ in range(5):
        story.call([SYSTEM, ASK], status="error")
        story.wait(3600)
    assert story.found("retry_storm") == []


def test_pauses_that_grow_are_said_to_back_off(story):
    for pause in (1, 2, 4, 8):
        story.call([SYSTEM, ASK], status="error")
        story.wait(pause)
    story.call([SYSTEM, ASK], said("None."))
    (found,) = story.found("retry_storm")
    assert found.evidence["backs_off"] is True
    assert found.evidence["pauses_s"] == pytest.approx([1, 2, 4], abs=0.01)
    assert found.severity == "low"


def test_a_few_failures_among_many_calls_are_no_storm(story):
    with story.run():
        for number in range(40):
            is_bad = number % 8 == 0
            story.call([SYSTEM, user(f"item {number}")], said("ok"), status="error" if is_bad else "ok")
    assert story.found("retry_storm") == []


def test_a_run_of_which_every_second_call_fails_is_one_storm(story):
    with story.run():
        for number in range(20):
            story.call([SYSTEM, user(f"item {number}")], said("ok"), status="error" if number % 2 else "ok")
    (found,) = story.found("retry_storm")
    assert found.evidence["failures"] == 10


def test_a_tool_that_keeps_failing_is_a_storm(story):
    with story.run():
        failed = [story.tool("book", "", status="error") for _ in range(3)]
    (found,) = story.found("retry_storm")
    assert found.event_ids == tuple(failed)


def test_calls_by_hand_without_prompts_fail_at_one_place(store):
    from tc_core import CostTracker, ProvenanceAnalyzer

    tracker = CostTracker(store)
    for _ in range(3):
        tracker.track_call("gpt-4o", 100, 0, status="error", agent_id="a")
    tracker.track_call("gpt-4o", 100, 0, agent_id="b")
    (found,) = ProvenanceAnalyzer(store).retry_storms()
    assert found.cost_nanos == 3 * 250_000  # 100 tokens each, at $2.50 a million
