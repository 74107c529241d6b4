"""Recommendations: each from calls that were made, none without evidence, nothing counted twice."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import CostTracker, InMemoryStorage, ProvenanceRelationship, SQLiteStorage, TrackingEvent
from tc_core.costs.savings import caching, cheaper_models
from tc_core.costs.savings.idea import groups_of
from tc_core.meter import prices
from tc_core.model.usage import Usage
from tc_core.testing import FakeClock

NOW = datetime(2026, 3, 29, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def today():
    with FakeClock(NOW) as clock:
        yield clock


@pytest.fixture
def tracker():
    return CostTracker(InMemoryStorage())


def calls(tracker, number, model="gpt-4o", tokens=(1_000, 100), hours_ago=48, **facts):
    return [
        tracker.track_call(model, *tokens, timestamp=NOW - timedelta(hours=hours_ago - n / 60), **facts).event_id
        for n in range(number)
    ]


def test_a_smaller_model_is_recommended_by_pricing_the_actual_calls_again(tracker):
    calls(tracker, 100, agent_id="writer", session_id="s")
    (found,) = tracker.get_recommendations()
    # 100 calls of 1,000 and 100 tokens: $0.35 at gpt-4o (2.50 and 10), $0.021 at gpt-4o-mini (0.15 and 0.60).
    assert (found.kind, found.current_model, found.suggested_model) == ("cheaper_model", "gpt-4o", "gpt-4o-mini")
    assert found.savings == pytest.approx(0.329)
    assert 0 < found.savings_low < found.savings <= found.savings_high
    assert found.monthly_savings == pytest.approx(0.329 * 30)  # the calls are from less than a day, which is one
    assert (found.quality_delta, found.evidence["calls"], len(found.evidence["event_ids"])) == (None, 100, 5)
    assert found.to_dict()["title"] == "Try gpt-4o-mini in place of gpt-4o for writer"


def test_without_evidence_nothing_is_recommended(tracker):
    assert tracker.get_recommendations() == []
    calls(tracker, 4)
    calls(tracker, 50, "acme-1")
    calls(tracker, 50, "gpt-4o-mini")
    calls(tracker, 50, "gpt-4o", hours_ago=24 * 40)  # before the last 30 days
    assert [each.evidence["model"] for each in tracker.get_recommendations() if each.kind == "cheaper_model"] == []
    assert tracker.get_recommendations(start_date=None)[0].current_model == "gpt-4o"


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        ("gpt-4.1", {"input_tokens": 900_000, "output_tokens": 200_000}),
        ("gpt-4o", {"input_tokens": 1_000, "audio_input_tokens": 900}),
        ("gpt-4o", {"input_tokens": 1_000, "charges": {"web_searches": 1}}),
        ("gpt-4o", {"input_tokens": 1_000, "output_tokens": 900, "reasoning_tokens": 500}),
    ],
    ids=["longer than its context", "audio", "charges beside tokens", "a model that thinks"],
)
def test_a_model_that_a_call_does_not_fit_is_not_recommended(tracker, model, facts):
    moment = NOW - timedelta(days=1)
    known = {"model": model, "output_tokens": 10, "cost": 9.0, "timestamp": moment, "session_id": "s"}
    tracker.storage.save_events([TrackingEvent(**known | facts) for _ in range(10)])
    assert tracker.get_recommendations() == []


def test_a_model_that_the_agent_uses_without_more_errors_is_a_surer_choice(tracker):
    calls(tracker, 20, agent_id="a", session_id="s")
    (unsure,) = tracker.get_recommendations()
    calls(tracker, 20, "gpt-4o-mini", agent_id="a", session_id="s")
    (sure,) = tracker.get_recommendations()
    assert (unsure.confidence, sure.confidence) == (0.4, 0.8)
    calls(tracker, 20, "gpt-4o-mini", agent_id="a", session_id="s", status="error")
    (failing,) = tracker.get_recommendations()
    assert failing.confidence < sure.confidence


@pytest.mark.parametrize(("session", "has_batch"), [(None, True), ("chat", False)])
def test_the_batch_tier_is_for_calls_that_nobody_waits_for(tracker, session, has_batch):
    calls(tracker, 40, "gpt-4o-mini", agent_id="nightly", session_id=session)
    found = tracker.get_recommendations()
    assert [each.kind for each in found] == (["batch"] if has_batch else [])
    if has_batch:  # which is half the price: 40 x (1,000 x 0.15 + 100 x 0.60) / 2
        assert found[0].savings == pytest.approx(40 * 0.00021 / 2)


def test_calls_that_others_go_on_from_are_waited_for(tracker):
    ids = calls(tracker, 40, "gpt-4o-mini", agent_id="chain")
    for before, after in itertools.pairwise(ids[:21]):
        tracker.storage.save_relationship(ProvenanceRelationship(after, before, "continuation_of", "content", 1.0))
    assert tracker.get_recommendations() == []


def test_nothing_is_counted_twice(tracker):
    calls(tracker, 100, agent_id="nightly")
    found = tracker.get_recommendations(10)
    assert {each.kind for each in found} == {"cheaper_model", "batch"}
    first, second = found
    # The smaller model leaves 6 % of the cost, of which a batch saves half: it alone would have saved half of all.
    assert first.savings == pytest.approx(0.329)
    assert second.savings == pytest.approx((0.35 - 0.329) / 2)
    assert first.savings + second.savings < tracker.get_costs().total_cost
    assert "What other recommendations save is not in it" in second.reasoning


def test_the_largest_savings_come_first_and_no_more_than_asked_for(tracker):
    for number, agent in enumerate("abc", start=1):
        calls(tracker, 10 * number, agent_id=agent, session_id="s")
    assert [each.evidence["agent_id"] for each in tracker.get_recommendations(2)] == ["c", "b"]
    assert [each.evidence["agent_id"] for each in tracker.get_recommendations(filters={"agent_id": "a*"})] == ["a"]
    with pytest.raises(ValueError, match="top_k must be at least 1, not 0"):
        tracker.get_recommendations(0)


def test_every_smaller_model_has_a_price_and_a_context_and_costs_less():
    at_us = round(NOW.timestamp() * 1e6)
    for model, smaller in cheaper_models.SMALLER.items():
        assert prices.look_up(model, None)[1].id == model
        for each in smaller:
            assert prices.look_up(each, None)[1].context_window, each
            there, here = (prices.price_of(Usage(1_000, 100), name, at_us=at_us).cost_nanos for name in (each, model))
            assert there < here, (model, each)


@pytest.mark.parametrize(
    ("model", "least"), [("claude-sonnet-4-5", 1024), ("claude-haiku-4-5", 4096), ("gpt-4o", None), ("acme", None)]
)
def test_which_caches_must_be_asked_for(model, least):
    rule = caching.rule_of(TrackingEvent(model=model))
    assert (rule and rule.least_tokens) == least


def test_calls_are_sorted_by_whose_they_are():
    made = [TrackingEvent(model="m", cost=1.0, agent_id="a"), TrackingEvent(model="m", cost=1.0, workflow_id="w")]
    made += [TrackingEvent(model="m", cost=None, agent_id="a"), TrackingEvent(event_type="tool", cost=1.0)]
    assert [(str(group.scope), len(group.calls)) for group in groups_of(made)] == [("a", 1), ("w", 1)]


def test_a_month_gets_each_kind_from_what_really_happened(month):
    with SQLiteStorage(month) as store:
        tracker = CostTracker(store)
        found = tracker.get_recommendations(20, start_date="2026-02-28")
        cost = tracker.get_costs().total_cost
    told = {(each.kind, each.evidence["agent_id"]): each for each in found}
    assert told["caching", "contracts"].evidence["calls"] == 40  # of three questions a day the second and the third
    assert told["cheaper_model", "support"].confidence == 0.8  # gpt-4o-mini answers the others
    assert sum(each.savings for each in found) < cost
    assert [each.savings for each in found] == sorted((each.savings for each in found), reverse=True)


def test_what_a_loop_sent_again_is_to_be_cut(month):
    with SQLiteStorage(month) as store:
        found = CostTracker(store).get_recommendations(20, start_date="2026-03-12", end_date="2026-03-12")
    trimming = next(each for each in found if each.kind == "trimming")
    assert trimming.title == "Cut old results of tool search_flights from the prompts of planner"
    assert trimming.savings_low < trimming.savings <= trimming.savings_high
