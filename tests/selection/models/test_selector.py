"""ModelSelector: the calls that were made, priced again for each model that fits them."""

import pytest

import tc_core
from tc_core import ConfigurationError, ModelSelector, Recommendation, TrackingEvent
from tests.costs.spending import OwnBackend
from tests.selection.models.conftest import NOW


def by_name(found):
    return {each.model: each for each in found.candidates}


def test_a_smaller_model_is_tried_where_nothing_is_known_of_quality(storage, calls):
    calls(100, agent_id="writer")
    found = ModelSelector(storage).recommend(requirements={"agent_id": "writer"})
    # 100 calls of 1,000 and 100 tokens: $0.35 at gpt-4o (2.50 and 10), $0.021 at gpt-4o-mini (0.15 and 0.60).
    assert isinstance(found, Recommendation)
    assert (found.current_model, found.suggested_model) == ("gpt-4o", "gpt-4o-mini")
    assert found.savings == pytest.approx(0.329)
    assert found.monthly_savings == pytest.approx(0.329 * 30)  # the calls are from less than a day, which is one
    # Carefully: a quarter more output is $0.0225, and every tenth call goes to gpt-4o again.
    assert found.savings_low == pytest.approx(0.35 - 0.0225 - 0.035)
    assert (found.quality_delta, found.confidence) == (None, 0.3)
    assert "The 100 calls of writer from 2026-03-27 to 2026-03-28 cost $0.35 with gpt-4o" in found.reasoning
    assert "$0.021 with gpt-4o-mini, 6 % of it" in found.reasoning
    assert "nobody has measured" in found.reasoning
    assert found.to_dict()["candidates"][0]["model"] == "gpt-4o"


def test_small_sums_are_written_out(storage, calls):
    calls(1, "gpt-4o-mini", (100, 10))
    # 100 tokens at $0.15 and 10 at $0.60 a million are $0.000021.
    assert "cost $0.000021 with gpt-4o-mini" in ModelSelector(storage).recommend().reasoning
    found = by_name(ModelSelector(storage, candidates=["gpt-4.1-nano"]).recommend(None, {"max_cost": 1e-6}))
    assert found["gpt-4.1-nano"].reason.startswith("an average call would cost $0.000014;")  # $0.10 and $0.40 a million


def test_a_name_that_nobody_knows_is_called_that(storage, calls):
    calls(3)
    found = ModelSelector(storage, candidates=["gtp-4.1"]).recommend()
    assert "The one model looked at does not fit: a name that nobody knows excludes 1." in found.reasoning
    assert by_name(found)["gtp-4.1"].reason.endswith("nor anything else: see that it is written right")


def test_the_current_model_costs_what_was_paid_and_every_candidate_has_a_reason(storage, calls):
    calls(10)
    found = ModelSelector(storage).candidates()
    assert (found[0].model, found[0].is_current, found[0].cost_nanos, found[0].saved_nanos) == (
        "gpt-4o",
        True,
        35_000_000,
        0,
    )
    assert all(each.reason for each in found)
    kept = [each.cost_nanos for each in found[1:] if each.is_kept]
    assert kept == sorted(kept)
    assert {each.model: each.reason for each in found}["o1"] == "its maker gives it up"


def test_cached_tokens_and_prices_of_long_prompts_are_heeded(storage, calls):
    calls(1, "gpt-5.5", (300_000, 1_000), cached_tokens=100_000)
    found = by_name(ModelSelector(storage, candidates=["gpt-5.4"]).recommend())
    # Above 272,000 tokens gpt-5.4 takes 5 for input, 0.5 for what is cached, and 22.5 for output.
    assert found["gpt-5.4"].cost_nanos == 200_000 * 5_000 + 100_000 * 500 + 1_000 * 22_500


def test_a_model_must_have_room_for_the_longest_prompt_and_the_longest_answer(storage, calls):
    calls(3, "gpt-4.1", (200_000, 20_000))
    selector = ModelSelector(storage, candidates=["gpt-4o", "gpt-4.1-mini", "gpt-5-mini"])
    found = by_name(selector.recommend())
    assert [each.by for each in found["gpt-4o"].dropped] == ["context", "output"]
    assert "takes 128,000 tokens, the longest prompt has 200,000" in found["gpt-4o"].reason
    assert "puts out 16,384 tokens, the longest answer has 20,000" in found["gpt-4o"].reason
    assert found["gpt-4.1-mini"].is_kept


def test_a_prompt_and_its_answer_must_fit_together(storage, calls):
    calls(3, "gpt-4.1", (120_000, 10_000))
    found = by_name(ModelSelector(storage, candidates=["gpt-4o-mini"]).recommend())
    assert found["gpt-4o-mini"].reason == "holds 128,000 tokens, the longest call has 130,000"


def test_an_agent_that_uses_tools_needs_a_model_that_calls_them(storage, calls):
    calls(5, agent_id="planner")
    other = "gpt-3.5-turbo"
    assert by_name(ModelSelector(storage, candidates=[other]).recommend())[other].dropped[0].by == "leaving"
    storage.save_event(TrackingEvent(event_type="tool", name="search", agent_id="planner", timestamp=NOW))
    found = by_name(ModelSelector(storage, candidates=[other]).recommend())[other]
    assert "does not call tools, which the agent uses" in found.reason
    writer = calls(5, agent_id="writer")
    asked = {"agent_id": "writer"}
    assert writer
    assert "tools" not in by_name(ModelSelector(storage, candidates=[other]).recommend(None, asked))[other].reason


@pytest.mark.parametrize(
    ("asked", "by", "why"),
    [
        ({"min_context": 200_000}, "min_context", "takes 128,000 tokens, asked for are 200,000"),
        ({"modalities": ["audio"]}, "modalities", "does not read audio"),
        ({"region": "eu"}, "region", "it is not known where it runs"),
        ({"min_quality": 0.5}, "min_quality", "its quality is unknown"),
        ({"max_cost": 0.0002}, "max_cost", "an average call would cost $0.00021"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_each_requirement_drops_with_a_reason(storage, calls, asked, by, why):
    calls(5)  # of $0.00021 each at gpt-4o-mini
    found = by_name(ModelSelector(storage, candidates=["gpt-4o-mini"]).recommend(requirements=asked))
    assert [(each.by, each.why) for each in found["gpt-4o-mini"].dropped] == [(by, why)]


def test_time_is_that_of_recorded_calls_and_unknown_time_is_said(storage, calls):
    calls(20, latency_ms=1_500)
    calls(19, "gpt-4o-mini", latency_ms=400)
    calls(1, "gpt-4o-mini", latency_ms=9_000)
    selector = ModelSelector(storage, candidates=["gpt-4o-mini", "gpt-4.1-mini"])
    slow = by_name(selector.recommend(requirements={"current_model": "gpt-4o", "max_latency_ms": 300}))
    assert slow["gpt-4o-mini"].latency == (400, 400, 20)  # the 19th of 20 calls
    assert slow["gpt-4o-mini"].reason == "95 % of 20 calls took up to 400 ms"
    found = selector.recommend(requirements={"current_model": "gpt-4o", "max_latency_ms": 500})
    assert found.suggested_model == "gpt-4o-mini"
    unknown = by_name(found)["gpt-4.1-mini"]
    assert (unknown.latency, unknown.is_kept, unknown.reason) == (None, True, "fits; how long it takes is unknown")


def test_where_nobody_fits_it_is_said_what_excludes_how_many(storage, calls):
    calls(5)
    selector = ModelSelector(storage, candidates=["gpt-4o-mini", "gpt-4.1-mini", "gpt-4.1"])
    found = selector.recommend(requirements={"min_context": 500_000, "max_cost": 0.0001})
    assert (found.suggested_model, found.savings, found.confidence) == (None, None, 0.0)
    assert "None of 3 models fits: max_cost excludes 3, min_context excludes 1." in found.reasoning
    assert found.evidence["dropped_by"]["max_cost"] == 4  # the current one is dearer too


def test_a_dearer_model_is_the_answer_where_the_current_one_is_not_what_is_asked_for(storage, calls):
    calls(10, "gpt-4o-mini")
    found = ModelSelector(storage, candidates=["gpt-4.1-mini", "gpt-4.1"]).recommend(
        requirements={"min_context": 500_000}
    )
    # gpt-4.1-mini takes 0.40 and 1.60: 10 calls cost $0.0056 in place of $0.0021.
    assert (found.suggested_model, found.savings) == ("gpt-4.1-mini", pytest.approx(-0.0035))
    assert found.savings_low <= found.savings <= found.savings_high
    assert "gpt-4o-mini is not what is asked for" in found.reasoning


def test_nothing_is_suggested_that_hardly_saves(storage, calls):
    calls(10, "gpt-4o-mini")
    found = ModelSelector(storage, candidates=["gpt-4o", "gpt-4.1-mini"]).recommend()
    assert (found.suggested_model, found.title) == (None, "Stay with gpt-4o-mini")
    assert "None of the 2 other models that fit would have saved 10 % of it" in found.reasoning


@pytest.mark.parametrize("agent", [None, "nobody"])
def test_without_calls_there_is_a_clear_answer(storage, agent):
    found = ModelSelector(storage).recommend(requirements={"agent_id": agent})
    assert (found.suggested_model, found.monthly_savings, found.candidates) == (None, None, ())
    assert "No call" in found.reasoning


def test_who_is_there_is_named_where_the_one_asked_for_is_not(storage, calls):
    calls(5, agent_id="writer")
    nobody = ModelSelector(storage).recommend(requirements={"agent_id": "nobody"})
    assert nobody.reasoning.endswith("There are calls of writer.")
    unused = ModelSelector(storage).recommend(requirements={"current_model": "o3"})
    assert (unused.current_model, unused.suggested_model) == ("o3", None)
    assert unused.reasoning.endswith("There are calls of gpt-4o.")


def test_a_model_without_a_price_can_neither_be_compared_nor_suggested(storage, calls):
    calls(5, "acme-1", agent_id="a")
    found = ModelSelector(storage).recommend(requirements={"agent_id": "a"})
    assert found.suggested_model is None
    assert "None of the 5 calls of acme-1 has a price" in found.reasoning
    calls(5, agent_id="b")
    both = ModelSelector(storage).recommend(requirements={"agent_id": "b"})
    assert "no price is known for it" in by_name(both)["acme-1"].reason
    assert both.suggested_model == "gpt-4o-mini"


def test_calls_without_a_price_are_left_out_and_counted(storage, calls):
    calls(5)
    storage.save_events(
        [TrackingEvent(model="gpt-4o", input_tokens=9, output_tokens=1, cost=None, timestamp=NOW) for _ in range(2)]
    )
    found = ModelSelector(storage).recommend()
    assert (found.evidence["calls"], found.evidence["unpriced_calls"]) == (5, 2)
    assert "2 calls without a price are left out." in found.reasoning


def test_answers_from_a_cache_are_no_calls(storage, calls):
    calls(5)
    kept = {"cost_nanos": 0, "price_source": "cache", "timestamp": NOW}
    storage.save_events([TrackingEvent(model="gpt-4o", input_tokens=0, output_tokens=0, **kept) for _ in range(3)])
    assert ModelSelector(storage).recommend().evidence["calls"] == 5


def test_kinds_of_charges_that_a_candidate_has_no_price_for_drop_it(storage):
    storage.save_events(
        [
            TrackingEvent(
                model="gpt-4o",
                input_tokens=1_000,
                output_tokens=10,
                cost=0.01,
                charges={"web_searches": 1},
                timestamp=NOW,
            )
            for _ in range(5)
        ]
    )
    found = by_name(ModelSelector(storage, candidates=["gpt-4o-mini", "o3-pro"]).recommend())
    assert found["gpt-4o-mini"].is_kept
    assert [each.why for each in found["o3-pro"].dropped] == ["it has no price for web searches"]


def test_the_dearest_model_is_the_current_one_and_another_name_of_it_is_understood(storage, calls):
    calls(50, "gpt-4o-mini")
    calls(5, "gpt-4o-2024-08-06")
    assert ModelSelector(storage).recommend().current_model == "gpt-4o-2024-08-06"
    found = ModelSelector(storage).recommend(requirements={"current_model": "openai/gpt-4o"})
    assert (found.current_model, found.evidence["calls"]) == ("openai/gpt-4o", 5)
    assert "gpt-4o-2024-08-06" not in [each.model for each in found.candidates if not each.is_current]


def test_the_last_thirty_days_that_have_calls_are_meant(storage, calls):
    calls(5, hours_ago=24 * 400)
    calls(7, hours_ago=24 * 200)
    assert ModelSelector(storage).recommend().evidence["calls"] == 7
    assert ModelSelector(storage).recommend(start_date="2024-01-01").evidence["calls"] == 12
    assert "No call" in ModelSelector(storage).recommend(start_date="last-30-days").reasoning


def test_a_model_that_the_agent_asks_without_more_errors_is_the_surest_choice(storage, calls):
    calls(20, agent_id="a")
    calls(20, "gpt-4.1-mini", agent_id="a")
    found = ModelSelector(storage).recommend(requirements={"agent_id": "a"})
    assert (found.suggested_model, found.confidence) == ("gpt-4.1-mini", 0.7)
    assert "The agent asks it already, without more errors." in found.reasoning


def test_models_that_think_are_no_substitutes_unless_calls_do(storage):
    thinking = {"output_tokens": 900, "reasoning_tokens": 500, "cost": 9.0, "timestamp": NOW}
    storage.save_events([TrackingEvent(model="o3", input_tokens=1_000, **thinking) for _ in range(5)])
    found = by_name(ModelSelector(storage, candidates=["gpt-4.1", "gpt-5-mini"]).recommend())
    assert found["gpt-4.1"].reason == "does not think before it answers, as the model of the calls does"
    assert found["gpt-5-mini"].is_kept


def test_a_conversation_is_priced_by_its_answers_each_with_what_came_before(storage):
    words = [
        {"role": "user", "content": "Where is my order?"},
        {"role": "assistant", "content": "On its way."},
        {"role": "user", "content": "Thanks!"},
        {"role": "assistant", "content": "You are welcome."},
    ]
    found = ModelSelector(storage, candidates=["gpt-4o-mini"]).recommend(words, {"current_model": "gpt-4o"})
    inputs = [tc_core.count_messages(words[:1], "gpt-4o"), tc_core.count_messages(words[:3], "gpt-4o")]
    assert (found.evidence["calls"], found.evidence["longest_input"]) == (2, inputs[1])
    outputs = sum(tc_core.count_messages([word], "gpt-4o") - 6 for word in (words[1], words[3]))
    assert found.evidence["cost_nanos"] == sum(inputs) * 2_500 + outputs * 10_000
    assert (found.suggested_model, found.monthly_savings) == ("gpt-4o-mini", None)
    assert "The 2 calls of the conversation" in found.reasoning


def test_recorded_calls_say_how_many_such_conversations_a_month_has(storage, calls):
    calls(60)  # in less than a day
    said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello"}]
    found = ModelSelector(storage, candidates=["gpt-4o-mini"]).recommend(said)
    assert found.current_model == "gpt-4o"
    assert found.monthly_savings == pytest.approx(found.savings * 60 * 30)


def test_a_conversation_needs_a_model_that_is_known(storage):
    found = ModelSelector(storage).recommend([tc_core.Message("user", "Hello")])
    assert (found.suggested_model, "current_model" in found.reasoning) == (None, True)
    unknown = ModelSelector(storage).recommend([tc_core.Message("user", "Hi")], {"current_model": "acme-1"})
    assert "No price is known for acme-1" in unknown.reasoning


def test_candidates_may_be_of_another_provider(storage, calls):
    calls(5, agent_id="a")
    found = ModelSelector(storage, candidates=["anthropic"]).recommend()
    assert {each.facts.provider for each in found.candidates if not each.is_current} == {"anthropic"}
    assert found.savings_high > found.savings  # another maker may count fewer tokens
    assert "Its maker may count the same text by 10 % more or fewer tokens." in found.reasoning
    missing = by_name(ModelSelector(storage, candidates=["no-such-model"]).recommend())["no-such-model"]
    assert "no price is known for it" in missing.reason


def test_a_backend_of_ones_own_will_do():
    storage = OwnBackend()
    storage.save_events(
        [
            TrackingEvent(model="gpt-4o", input_tokens=1_000, output_tokens=100, cost=0.0035, agent_id="a")
            for _ in "12345"
        ]
    )
    found = ModelSelector(storage).recommend(requirements={"agent_id": "a"})
    assert (found.suggested_model, found.evidence["calls"]) == ("gpt-4o-mini", 5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_price": 1}, "no requirement 'max_price': use current_model, agent_id, max_cost, max_latency_ms"),
        ({"max_cost": "low"}, "max_cost must be a number from 0 on, not 'low'"),
        ({"max_cost": float("nan")}, "max_cost must be a number"),
        ({"min_context": 1.5}, "min_context must be a whole number of tokens, not 1.5"),
        ({"modalities": ["smell"]}, "no modality 'smell': use text, image, audio, video, pdf"),
        ({"modalities": 3}, "modalities must be some of"),
        ({"tools": "yes"}, "tools must be True or False, not 'yes'"),
        ({"min_quality": 90}, "min_quality must be a number from 0 to 1, not 90"),
        ({"agent_id": ""}, "agent_id must be a name, not ''"),
        (["tools"], "requirements are a mapping"),
    ],
    ids=str,
)
def test_a_requirement_that_cannot_be_is_refused(storage, given, said):
    with pytest.raises(ConfigurationError, match=said):
        ModelSelector(storage).recommend(requirements=given)
