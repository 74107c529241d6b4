"""Duplicates and near duplicates: what was answered before and asked again."""

import pytest

from tc_core import PatternLimits, TokenManager
from tests.patterns.conftest import SYSTEM, clock, said, schemas, user

ASK = user("Which trains go from Berlin to Lisbon on the fifth of March, and what do they cost for two people?")


def test_the_same_prompt_again_is_a_duplicate_and_the_first_answer_was_no_waste(each_story):
    ids = [each_story.call([SYSTEM, ASK], said("None.")) for _ in range(3)]
    (found,) = each_story.found("duplicate")
    assert found.event_ids == tuple(ids)
    # 1,000 tokens of input at $2.50 and 10 of output at $10 a million are 2,500,000 + 100,000 nano-dollars a call.
    assert found.cost_nanos == 2 * 2_600_000 == each_story.cost(*ids[1:])
    assert found.wasted_nanos.keys() == set(ids[1:])
    assert (found.evidence["times"], found.evidence["model"]) == (3, "gpt-4o")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"model": "gpt-4o"}, {"model": "gpt-4o-mini"}),
        ({"metadata": {"temperature": 0.0}}, {"metadata": {"temperature": 1.0}}),
        ({"metadata": {"seed": 1}}, {"metadata": {"seed": 2}}),
        ({"status": "error"}, {}),
        ({}, {"status": "error"}),
    ],
    ids=["another model", "another temperature", "another seed", "the first failed", "the second failed"],
)
def test_what_was_asked_otherwise_is_no_duplicate(story, first, second):
    story.call([SYSTEM, ASK], said("None."), **first)
    story.call([SYSTEM, ASK], said("None."), **second)
    assert story.found("duplicate", "near_duplicate") == []


def test_the_same_parameters_are_a_duplicate(story):
    for _ in range(2):
        story.call([SYSTEM, ASK], said("None."), metadata={"temperature": 0.5})
    assert len(story.found("duplicate")) == 1


def test_what_was_under_way_at_the_same_time_is_no_duplicate(story):
    at_us = story.at_us
    for _ in range(3):
        story.call([SYSTEM, ASK], said("None."), at_us=at_us)
    assert story.found("duplicate") == []


def test_a_map_over_items_is_no_duplicate(story):
    with story.run("map"):
        for number in range(20):
            story.call([SYSTEM, user(f"Summarise passage {number}: " + "it rains in Spain. " * 20)], said("Rain."))
    assert story.found("duplicate", "near_duplicate", "agent_loop", "cache_break") == []


def test_after_the_window_it_is_asked_anew(story):
    story.call([SYSTEM, ASK], said("None."))
    story.wait(3601)
    story.call([SYSTEM, ASK], said("None."))
    assert story.found("duplicate") == []
    assert len(story.found("duplicate", limits=PatternLimits(duplicate_window_s=7200))) == 1


def test_an_answer_of_the_hosts_own_cache_is_no_waste(story):
    story.call([SYSTEM, ASK], said("None."))
    key = object()
    story.recorder.start("llm_call", key=key, model="gpt-4o", content=[SYSTEM, ASK], at_us=story.at_us)
    story.recorder.finish(key, is_cached=True, output=[said("None.")], at_us=story.at_us + 10)
    assert story.found("duplicate") == []


def test_a_hash_of_the_users_own_tells_duplicates_too(store):
    manager = TokenManager(store)
    provenance = {"agent_id": "a", "agent_type": "b", "task_type": "c", "intent": "d", "input_hash": "0ff"}
    for number in range(2):
        manager.track_usage(
            {
                "request_id": f"r{number}",
                "model": "gpt-4o",
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "provenance": provenance,
            }
        )
    from tc_core import ProvenanceAnalyzer

    (found,) = ProvenanceAnalyzer(store).duplicates()
    assert found.event_ids == ("r0", "r1")


def test_the_same_question_under_instructions_with_a_clock_is_a_near_duplicate(story):
    ids = [story.call([clock(number), ASK], said("None."), agent_id="planner") for number in range(3)]
    (found,) = story.found("near_duplicate", "duplicate")
    assert (found.kind, found.event_ids) == ("near_duplicate", tuple(ids))
    assert found.cost_nanos == story.cost(*ids[1:])
    assert found.evidence["same_answers"] == 2


def test_tools_in_another_order_make_a_near_duplicate(story):
    for names in (("search", "book"), ("book", "search")):
        story.call([schemas(*names), SYSTEM, ASK], said("None."), agent_id="planner")
    assert [each.kind for each in story.found("near_duplicate", "duplicate")] == ["near_duplicate"]


def test_a_prompt_with_tools_is_another_one_than_one_without(story):
    story.call([SYSTEM, ASK], said("None."), agent_id="planner")
    story.call([schemas("search"), SYSTEM, ASK], said("None."), agent_id="planner")
    assert story.found("near_duplicate", "duplicate") == []


def test_two_agents_with_the_same_task_are_no_near_duplicates(story):
    story.call([SYSTEM, ASK], said("None."), agent_id="planner")
    story.call([user("You check what the planner says. " * 30)._replace(role="system"), ASK], said("None."))
    story.call([clock(3), ASK], said("None."), agent_id="critic")
    assert story.found("near_duplicate") == []


def test_the_next_turn_under_a_clock_is_no_near_duplicate(story):
    history = [ASK]
    for number in range(4):
        answer = said(f"Answer {number}.")
        story.call([clock(number), *history], answer, agent_id="planner")
        history += [answer, user(f"And question {number}, of which much more could be said than is said here?")]
    assert story.found("near_duplicate") == []


def test_a_yes_under_a_clock_is_said_in_many_conversations(story):
    for number in range(3):
        story.call([clock(number), user("yes")], said("Fine."), agent_id="planner")
    assert story.found("near_duplicate") == []
