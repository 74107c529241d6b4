"""What stands out against the workflow's own runs, and agents that call themselves."""

from tc_core import Pattern, PatternLimits
from tc_core.lineage.patterns.cycles import of_relations
from tc_core.model.provenance import ProvenanceRelationship
from tests.patterns.conftest import SYSTEM, said, user


def nested(story, depth, name="trip"):
    with story.run(name) as id_:
        _down(story, depth)
    return id_


def _down(story, depth):
    if depth:
        with story.within("task", f"step {depth}"):
            _down(story, depth - 1)
    else:
        story.call([SYSTEM, user(f"at {story.now_s}")], said("ok"))


def test_a_run_that_is_nested_deeper_than_usual_is_found(each_story):
    for number in range(10):
        nested(each_story, 2 + number % 2)
    deep = nested(each_story, 12)
    (found,) = each_story.found("deep_chain")
    assert (found.evidence["run"], found.evidence["measure"], found.evidence["length"]) == (deep, "nested", 14)
    assert (found.event_ids[0], len(found.event_ids), found.wasted_cost) == (deep, 14, 0.0)


def test_without_enough_runs_nothing_is_usual(story):
    for _ in range(4):
        nested(story, 2)
    nested(story, 12)
    assert story.found("deep_chain") == []
    assert len(story.found("deep_chain", limits=PatternLimits(least_runs=4))) == 1


def test_runs_that_are_always_deep_are_usual_and_other_workflows_do_not_count(story):
    for _ in range(12):
        nested(story, 12, name="deep")
    for _ in range(12):
        nested(story, 2, name="flat")
    assert story.found("deep_chain") == []


def turns(story, count, **facts):
    history = [SYSTEM, user(f"at {story.now_s}")]
    with story.run():
        for number in range(count):
            story.call(history, said(f"step {number} of {story.now_s}"), agent_id="a", **facts)
            history = [*history, said(f"step {number}"), user(f"next {number}")]


def test_an_agent_that_takes_many_more_turns_than_usual_is_found(story):
    for number in range(10):
        turns(story, 3 + number % 3)
    turns(story, 40)
    (found,) = story.found("deep_chain")
    assert (found.evidence["measure"], found.evidence["length"]) == ("turns of one agent", 40)


def test_a_call_and_a_run_that_cost_far_more_than_usual_are_found(story):
    for number in range(30):
        turns(story, 1, tokens=1000 + number)
    turns(story, 1, tokens=50_000)
    call, run = sorted(story.found("expensive"), key=lambda each: each.evidence["what"])
    # 50,000 tokens at $2.50 and 10 of output at $10 a million, against about 1,000 and 10.
    assert (call.evidence["what"], run.evidence["what"]) == ("call", "run")
    assert call.evidence["cost"] == run.evidence["cost"] == 0.1251
    assert 45 < call.evidence["times"] < 50
    assert call.wasted_cost == 0.0  # nothing says that it was not needed


def test_calls_that_grow_as_a_conversation_does_are_not_expensive(story):
    for _ in range(3):
        for number in range(15):
            story.call([SYSTEM, user(f"{number} {story.now_s}")], said("ok"), tokens=1000 + 200 * number)
    assert story.found("expensive") == []


def fan(story, width):
    with story.run("map"), story.within("task", "split"):
        at_us = story.at_us
        for number in range(width):
            story.call([SYSTEM, user(f"part {number} at {at_us}")], said("ok"), at_us=at_us + number)


def test_far_more_branches_than_usual_are_found_and_usual_ones_are_not(story):
    for number in range(10):
        fan(story, 4 + number % 3)
    assert story.found("fan_out") == []
    fan(story, 60)
    (found,) = story.found("fan_out")
    assert (found.evidence["branches"], found.evidence["usual"], len(found.event_ids)) == (60, 5, 60)


def test_a_loop_of_turns_is_no_fan_out(story):
    for _ in range(9):
        turns(story, 3)
    turns(story, 40)
    assert story.found("fan_out") == []


def test_an_agent_that_calls_itself_by_way_of_another_is_a_cycle(each_story):
    story = each_story
    with (
        story.run(),
        story.within("agent", "planner") as outer,
        story.within("agent", "writer") as between,
        story.within("agent", "planner") as inner,
    ):
        story.call([SYSTEM, user("again")], said("ok"))
    (found,) = story.found("cycle")
    assert found.event_ids == (outer, between, inner)
    assert found.evidence["agents"] == ["planner", "writer", "planner"]


def test_agents_under_agents_are_no_cycle(story):
    with story.run(), story.within("agent", "planner"):
        for name in ("writer", "critic", "writer"):
            with story.within("agent", name):
                story.call([SYSTEM, user(name)], said("ok"))
        with story.within("agent", "planner"):  # it goes on under itself, as nested graphs of one name do
            story.call([SYSTEM, user("x")], said("ok"))
    assert story.found("cycle") == []


def test_relations_that_lead_back_are_cycles():
    links = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "e"), ("f", "g")]
    relations = [ProvenanceRelationship(source, target, "derived_from") for source, target in links]
    relations.append(ProvenanceRelationship("g", "f", "derived_from", confidence=0.5))  # a hint is no fact
    found = of_relations(relations)
    assert all(isinstance(each, Pattern) for each in found)
    assert sorted(each.event_ids for each in found) == [("a", "b", "c"), ("e",)]


def test_a_long_way_of_relations_is_walked_without_recursion():
    relations = [ProvenanceRelationship(str(n), str(n + 1), "derived_from") for n in range(20_000)]
    assert of_relations(relations) == []
