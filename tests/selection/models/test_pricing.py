"""Pricing again: the own model costs what was recorded, and arrays say what one call after the other says."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from genai_prices.data import providers

from tc_core import CostTracker, TrackingEvent
from tc_core.meter import own_prices, prices
from tc_core.model.event import to_us
from tc_core.model.ports import CallFacts
from tc_core.model.usage import Usage
from tc_core.selection.bulk import PlainCalls
from tc_core.selection.calls import Calls, recorded
from tc_core.selection.pricing import Pricing, cost_again, one_by_one
from tests.selection.models.conftest import NOW

SINCE_TIERS = datetime(2026, 11, 20, tzinfo=UTC)
"""The table knows the prices of tiers since some day of that month."""

KINDS = {
    "plain": ("gpt-4o", (1_234, 567), {}),
    "cached": ("gpt-4o", (12_345, 67), {"cached_tokens": 10_001}),
    "written to a cache": ("claude-sonnet-4-5", (12_345, 67), {"cached_tokens": 1_000, "cache_write_tokens": 10_001}),
    "a long prompt": ("gpt-5.5", (300_001, 67), {"cached_tokens": 7}),
    "thoughts": ("o3", (1_000, 900), {"reasoning_tokens": 700}),
    "at another tier": ("gpt-5", (1_000, 900), {"service_tier": "flex", "timestamp": SINCE_TIERS}),
    "searches": ("gpt-4o", (1_000, 900), {"charges": {"web_searches": 3}}),
    "asked for one, answered by another": ("gpt-4o", (1_000, 900), {"served_model": "gpt-4o-2024-05-13"}),
    "of a cloud": ("anthropic.claude-haiku-4-5-20251001-v1:0", (1_000, 900), {"provider": "bedrock"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_own_model_costs_what_was_recorded_to_the_last_nano_dollar(storage, kind):
    model, tokens, facts = KINDS[kind]
    known = {"input_tokens": tokens[0], "output_tokens": tokens[1], "timestamp": NOW, "price_source": "table"}
    asked = TrackingEvent(model=model, **known | facts)
    names = ("served_model", "provider", "service_tier", "charges")
    price = prices.price_of(
        asked.usage, model, at_us=to_us(asked.timestamp), **{name: getattr(asked, name) for name in names}
    )
    storage.save_event(replace(asked, cost_nanos=price.cost_nanos))
    calls = recorded(storage, None, None, None).calls
    before, after, differ = cost_again(calls)
    assert (before, differ) == (after, 0)
    assert before > 0


def test_a_cost_that_was_recorded_otherwise_is_found(storage):
    CostTracker(storage).track_call("gpt-4o", 1_000, 100, timestamp=NOW)
    (call,) = recorded(storage, None, None, None).calls
    assert cost_again([call, call._replace(cost_nanos=1)]) == (3_500_001, 7_000_000, 1)


SOME_PROVIDERS = ("anthropic", "aws", "google", "openai", "x-ai")
"""Among them are prices that rise with the prompt, and such as change with the day."""


def random_calls(seed, number=60):
    chance = random.Random(seed)
    found = []
    for _ in range(number):
        taken = chance.choice([chance.randrange(5_000), chance.randrange(1_000_000)])
        cached = chance.choice([None, 0, chance.randrange(taken + 1)])
        written = chance.choice([None, 0, chance.randrange(taken - (cached or 0) + 1)])
        usage = Usage(taken, chance.choice([None, chance.randrange(9_999)]), cached, written)
        at_us = to_us(NOW - timedelta(days=chance.randrange(20)))
        found.append(CallFacts((), at_us, usage, None, 1, "gpt-4o", None, "openai", None, None, None))
    return found


def test_arrays_say_what_one_call_after_the_other_says_for_every_model():
    calls = random_calls(1, number=20)
    plain, alike = PlainCalls(calls), 0
    assert plain.others == []
    for model in (model for provider in providers if provider.id in SOME_PROVIDERS for model in provider.models):
        at_once = plain.cost_with(model.id)
        if at_once is not None:
            alike += 1
            assert at_once == one_by_one(model.id, calls, ["gpt-4o"]).nanos, model.id
    assert alike > 200


@pytest.mark.parametrize("output", [1.25, 3.0])
def test_wordier_answers_are_rounded_alike(output):
    calls = random_calls(2)
    for model in ("gpt-4o-mini", "gpt-5.5", "claude-haiku-4-5"):
        assert PlainCalls(calls).cost_with(model, output=output) == one_by_one(model, calls, ["gpt-4o"], output).nanos


def test_what_arrays_cannot_price_goesone_by_one():
    plain = random_calls(3, number=5)
    odd = [
        plain[0]._replace(charges='{"web_searches": 1}'),
        plain[1]._replace(usage=Usage(1_000, 10, audio_input_tokens=500)),
    ]
    priced = PlainCalls([*plain, *odd])
    assert priced.others == odd
    pricing = Pricing(Calls("gpt-4o", calls=[*plain, odd[0]], names=frozenset({"gpt-4o"})))
    assert pricing.cost_with("gpt-4o-mini") == one_by_one("gpt-4o-mini", [*plain, odd[0]], ["gpt-4o"])
    assert pricing.cost_with("no-such-model").missing == "no price is known for it"


def test_a_price_that_changed_within_the_period_is_each_days_own(tmp_path, monkeypatch):
    file = tmp_path / "prices.yaml"
    file.write_text("- {model: acme, input: 1, output: 1}\n- {model: acme, from: 2026-03-20, input: 2, output: 2}\n")
    monkeypatch.setenv("TOKEN_CALC_PRICES", str(file))
    own_prices.load()
    old, new = (
        CallFacts((), to_us(NOW - timedelta(days=days)), Usage(1_000, 0), None, 1, "gpt-4o", *[None] * 5)
        for days in (15, 1)
    )
    assert PlainCalls([old, new]).cost_with("acme") is None
    pricing = Pricing(Calls("gpt-4o", calls=[old, new], names=frozenset({"gpt-4o"})))
    assert pricing.cost_with("acme").nanos == 1_000_000 + 2_000_000


@pytest.mark.parametrize("taken", [272_000, 272_001, 272_500])
def test_arrays_change_to_the_price_of_long_prompts_where_it_begins(taken):
    call = random_calls(4, number=1)[0]._replace(usage=Usage(taken, 0))
    # gpt-5.4 takes 2.50 for input, and 5 in prompts above 272,000 tokens.
    assert PlainCalls([call]).cost_with("gpt-5.4") == taken * (2_500 if taken == 272_000 else 5_000)
