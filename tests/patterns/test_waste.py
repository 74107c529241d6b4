"""The money: no event's cost is wasted twice; attribution and recommendations sum; live finds what is found later."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tc_core import LineageError, Pattern, PatternLimits, ProvenanceAnalyzer, flush
from tc_core.lineage.patterns.pattern import PATTERN_KINDS, exclusive, wasted
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.robust import History
from tests.patterns.conftest import SYSTEM, asked, brought, clock, said, schemas, user

ASK = user("Which trains go from Berlin to Lisbon on the fifth of March, and what do they cost for two people?")


def much(story):
    """Some of nearly everything, in two workflows."""
    with story.run("trip", workflow_id="trip"):
        with story.within("agent", "planner", agent_id="planner"):
            for _ in range(3):
                story.call([SYSTEM, ASK], said("None."), agent_id="planner")
            for number in range(3):
                story.call([clock(number), ASK], said("None."), agent_id="planner")
            for _ in range(3):
                story.call([SYSTEM, user("fails")], status="error", billed=500)
            history = [schemas("book"), SYSTEM, ASK]
            for _ in range(4):
                _, history = story.asks_a_tool(history, "book", "Error: no such flight", flight="TP1", tokens=2000)
        with story.within("agent", "writer", agent_id="writer"):
            for turn in range(4):
                story.call([clock(turn), *history[2:]], said(f"Text {turn}"), tokens=3_000, cached=0, agent_id="writer")
    for number in range(12):
        with story.run("chat", workflow_id="chat"):
            story.call([SYSTEM, user(f"question {number}")], said("yes"), tokens=40_000 if number == 11 else 900)


def test_no_events_cost_is_wasted_twice(each_story):
    much(each_story)
    found = each_story.found()
    assert {each.kind for each in found} >= {"duplicate", "near_duplicate", "retry_storm", "agent_loop", "expensive"}
    by_event = {}
    for each in found:
        assert each.cost_nanos == sum(each.wasted_nanos.values())
        for event_id, nanos in each.wasted_nanos.items():
            by_event[event_id] = by_event.get(event_id, 0) + nanos
    assert all(0 <= nanos <= each_story.store.get_event(event_id).cost_nanos for event_id, nanos in by_event.items())
    waste = each_story.analyzer.waste()
    assert waste.wasted_nanos == sum(by_event.values()) == wasted(found) < waste.spent_nanos
    assert waste.spent_nanos == each_story.store.totals()[()].cost_nanos
    assert json.loads(json.dumps(waste.to_dict()))["wasted_nanos"] == waste.wasted_nanos


CLAIMS = st.lists(
    st.tuples(
        st.sampled_from(PATTERN_KINDS), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9), min_size=1)
    ),
    max_size=12,
)


@given(CLAIMS)
def test_of_several_claims_the_largest_is_what_an_event_has_wasted(claims):
    patterns = [
        Pattern(kind, "low", tuple(sorted(nanos)), sum(nanos.values()) / 1e9, {}, "", nanos) for kind, nanos in claims
    ]
    largest = {}
    for _, nanos in claims:
        for event_id, each in nanos.items():
            largest[event_id] = max(each, largest.get(event_id, 0))
    assert wasted(patterns) == sum(largest.values())
    assert len(exclusive(patterns)) == len(patterns)


def test_what_is_asked_for_is_what_is_looked_at(story):
    much(story)
    everything = story.found()
    assert story.found(filters={"workflow_id": "nothing"}) == []
    assert {each.kind for each in story.found(workflow_id="chat")} == {"expensive"}
    assert {each.kind for each in story.found("duplicate", "expensive")} <= {"duplicate", "expensive"}
    root = story.store.runs({"workflow_id": "trip"}, limit=1)[0].event.event_id
    in_run = story.found(event_id=root)
    assert 0 < len(in_run) < len(everything)
    assert story.analyzer.duplicates() == story.found("duplicate")
    with pytest.raises(ValueError, match="there is no pattern 'dupes': there are agent_loop"):
        story.found("dupes")
    with pytest.raises(LineageError, match="No event nothing"):
        story.found(event_id="nothing")
    with pytest.raises(ValueError, match="retry_count must be a number from 0 on, not -1"):
        PatternLimits(retry_count=-1)


def test_an_empty_store_has_no_waste(story):
    waste = story.analyzer.waste()
    assert (waste.spent_nanos, waste.wasted_nanos, waste.patterns, waste.recommendations) == (None, 0, (), ())


# Attribution


def test_what_groups_cost_by_themselves_sums_to_the_whole(each_story):
    much(each_story)
    whole = each_story.store.totals()[()]
    for by in (["agent_id"], ["workflow_id", "agent_id"], ["event_type", "name"], ["depth"], ["labels.none"], ["day"]):
        found = each_story.analyzer.attribute_costs(by)
        assert sum(each.self_nanos or 0 for each in found) == whole.cost_nanos
        assert sum(each.calls for each in found) == whole.calls
        assert all((each.subtree_nanos or 0) >= (each.self_nanos or 0) for each in found)


def test_a_subtree_has_each_call_once(story):
    with story.run("trip"), story.within("agent", "a", agent_id="a"):
        first = story.call([SYSTEM, user("1")], said("1"), tokens=100)
        with story.within("agent", "b", agent_id="b"):
            second = story.call([SYSTEM, user("2")], said("2"), tokens=200)
            with story.within("agent", "a again", agent_id="a"):
                third = story.call([SYSTEM, user("3")], said("3"), tokens=300)
    found = {each.key["agent_id"]: each for each in story.analyzer.attribute_costs(["agent_id"])}
    assert found["a"].self_nanos == story.cost(first, third)
    assert found["a"].subtree_nanos == story.cost(first, second, third)
    assert (found["b"].self_nanos, found["b"].subtree_nanos) == (story.cost(second), story.cost(second, third))
    assert (found[None].self_nanos, found[None].subtree_nanos) == (0, story.cost(first, second, third))  # the workflow
    by_name = {each.key["name"]: each for each in story.analyzer.attribute_costs(["name"])}
    assert by_name["a again"].subtree_cost == pytest.approx(story.cost(third) / 1e9)


def test_what_has_no_price_is_said_and_not_summed_as_nothing(story):
    story.call([SYSTEM, user("1")], said("1"), model="nobody-knows", agent_id="a")
    (found,) = story.analyzer.attribute_costs(["agent_id"])
    assert (found.self_cost, found.subtree_cost, found.unpriced_calls) == (None, None, 1)
    assert found.to_dict()["key"] == {"agent_id": "a"}


# Recommendations


def test_recommendations_save_what_was_wasted_and_nothing_twice(story):
    much(story)
    waste = story.analyzer.waste()
    savings = sum(each.savings for each in waste.recommendations)
    without_cause = sum(
        each.cost_nanos or 0 for each in waste.patterns if each.evidence.get("cause") == "none_on_our_side"
    )
    assert savings == pytest.approx((waste.wasted_nanos - without_cause) / 1e9)
    for each in waste.recommendations:
        assert each.savings_low <= each.savings <= each.savings_high
        assert each.monthly_savings is None  # some minutes say nothing about a month
        assert each.evidence["event_ids"]
        assert each.to_dict()["kind"] == each.kind


def test_at_the_rate_of_some_days_a_month_is_told(story):
    for _ in range(2):
        story.call([SYSTEM, ASK], said("None."))
    story.wait(10 * 86_400)
    story.call([SYSTEM, user("later")], said("None."))
    (found,) = story.analyzer.recommendations()
    # 2,600,000 nano-dollars in ten days and two seconds are three times that in thirty days.
    assert found.monthly_savings == pytest.approx(3 * 0.0026, rel=1e-4)


def test_a_cache_that_nobody_marked_is_priced_with_what_writing_costs(story):
    history = [schemas("search"), SYSTEM, ASK]
    with story.run():
        for turn in range(6):
            story.call(history, said(f"Answer {turn}"), tokens=4_000, model="claude-sonnet-4-5", provider="anthropic")
            history = [*history, said(f"Answer {turn}"), user(f"Question {turn}")]
    (found,) = story.analyzer.recommendations()
    assert (found.kind, found.current_model) == ("mark_for_cache", "claude-sonnet-4-5")
    # Five of six calls read nearly 4,000 tokens at $0.30 in place of $3 a million.
    assert 0.8 * 5 * 4_000 * 2.7e-6 < found.savings < 5 * 4_000 * 2.7e-6


# Live


def test_live_finds_what_is_found_afterwards(each_story):
    story, told = each_story, []
    with story.analyzer.watch(told.append) as watch:
        much(story)
        assert flush(30)
        story.store.close()  # its listeners have heard everything then
        live = watch.patterns()
    assert live == story.found()
    assert {each.kind for each in told} == {each.kind for each in live}
    assert all(each.event_ids for each in told)
    watch.stop()
    assert watch._listen not in story.store.listeners


def test_a_watch_that_is_stopped_hears_no_more(story):
    watch = story.analyzer.watch(lambda _pattern: None, ["duplicate"])
    watch.stop()
    for _ in range(3):
        story.call([SYSTEM, ASK], said("None."))
    flush(30)
    story.store.close()
    assert watch.patterns() == []
    assert len(story.found("duplicate")) == 1


def test_parts_can_be_waited_for_on_the_listeners_thread(story):
    from tc_core.runtime.recorders import wait_for_parts

    waited, threads = [], []

    def listen(_events):
        threads.append(threading.current_thread().name)
        waited.append(wait_for_parts(story.store))

    story.store.add_listener(listen)
    for number in range(20):
        story.call([SYSTEM, user(f"question {number}")], said("yes"))
    assert flush(30)
    story.store.close()
    assert waited
    assert all(waited)
    assert set(threads) == {"token-calculator-listeners"}


def test_what_is_remembered_is_bounded():
    recent = Recent(3)
    for number in range(10):
        recent.set(number, number)
        recent.get(7)
    assert len(recent) == 3
    assert recent.get(7) == 7
    history = History(5, 1, 3.0, 2.0)
    for number in range(100):
        history.add("a", number)
    assert history.usual("a").median == 97
    assert history.usual("b") is None


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 300))
def test_what_stands_out_is_judged_by_the_last_values_alone(values, value):
    from statistics import median

    history = History(20, 3, 6.0, 2.0)
    for each in values:
        history.add("a", each)
    last = values[-20:]
    middle = median(last)
    bound = max(middle + 6 * (1.4826 * median(abs(each - middle) for each in last)), 2 * middle)
    usual = history.exceeded("a", value)
    assert (usual is not None) == (len(last) >= 3 and value > bound)
    assert usual is None or (usual.median, usual.bound, usual.known) == (middle, bound, len(last))


def test_a_tool_result_and_its_call_are_told_apart_across_conversations(story):
    """Two runs that ask the same of a tool are two conversations, and no loop."""
    for _ in range(5):
        with story.run():
            history = [SYSTEM, user("book TP1"), asked("book", flight="TP1")]
            story.call(history[:2], history[2])
            story.tool("book", "Error: none")
            story.call([*history, brought("Error: none")], said("I give up."))
    assert [each.kind for each in story.found("agent_loop")] == []


def test_a_store_of_the_users_own_has_no_patterns():
    from tc_core import StorageBackend, StorageError

    class Own(StorageBackend):
        def save_event(self, event): ...
        def query_events(self, *_arguments, **_options): ...
        def aggregate(self, *_arguments, **_options): ...

    with pytest.raises(StorageError, match="not in a Own"):
        ProvenanceAnalyzer(Own())


def test_one_kind_may_be_given_by_itself(story):
    much(story)
    analyzer = ProvenanceAnalyzer(story.store)
    assert analyzer.patterns("duplicate") == analyzer.patterns(["duplicate"]) != []
