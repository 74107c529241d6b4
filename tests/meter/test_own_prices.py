"""Prices of the user's own: which entry holds, and what it costs."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tc_core import ConfigurationError, CostTracker, PriceNotFoundError, calculate_cost
from tc_core.meter import own_prices, price_table, prices
from tc_core.meter.usage import read, usage_part
from tc_core.model.event import to_us
from tc_core.model.usage import Usage

NOW = to_us(datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture
def own(monkeypatch):
    """Write a file of prices that the settings name."""
    path = Path("prices.yaml")
    monkeypatch.setenv("TOKEN_CALC_PRICES", str(path))

    def write(text):
        path.write_text(text, encoding="utf-8")
        own_prices._read.cache_clear()
        own_prices.forget()

    return write


def cost(model, usage=None, **options):
    usage = usage or Usage(1_000_000, 1_000_000)
    price = prices.price_of(usage, model, at_us=options.pop("at_us", NOW), **options)
    return None if price is None else price.cost_nanos / 1e9


def test_own_prices_come_first_and_say_so(own):
    own("")
    assert cost("gpt-4o") == 12.5
    own("- {model: gpt-4o, input: 2, output: 8}\n- {model: acme-large, input: 1, output: 0.5}")
    assert (cost("gpt-4o"), cost("acme-large"), cost("gpt-99")) == (10, 1.5, None)
    record = CostTracker("memory").track_call("acme-large", 1_000_000, 0)
    assert (record.cost, record.price_source) == (1.0, "own prices")
    assert calculate_cost("acme-large", 1000, 0) == 0.001


def test_the_name_that_was_asked_for_beats_the_tables_price_of_what_answered(own):
    own("- {model: my-deployment, input: 1, output: 1}")
    assert cost("my-deployment", served_model="gpt-4o-2024-08-06", provider="azure") == 2


@pytest.mark.parametrize(
    ("day", "expected"), [("2025-12-31", None), ("2026-01-01", 1), ("2026-06-30", 1), ("2026-07-01", 3)]
)
def test_prices_have_their_time(own, day, expected):
    own("- {model: m, from: 2026-01-01, until: 2026-07-01, input: 1}\n- {model: m, from: 2026-07-01, input: 3}")
    at_us = to_us(datetime.fromisoformat(f"{day}T23:59:59+00:00"))
    assert cost("m", Usage(1_000_000, 0), at_us=at_us) == expected


def test_the_last_entry_that_holds_wins(own):
    own(
        "- {model: 'claude-*', input: 1, output: 1}\n- {model: claude-big, provider: aws, input: 5, output: 5}\n"
        "- {model: claude-big, service_tier: batch, input: 0.1, output: 0.1}"
    )
    assert cost("claude-small") == 2
    assert cost("claude-big", provider="bedrock") == 10
    assert cost("claude-big", provider="anthropic") == 2
    assert cost("claude-big", service_tier="batch") == 0.2
    assert cost("anthropic/claude-x") == 2  # the prefix of a framework


def test_like_another_model_with_a_factor(own):
    own(
        "- {model: eu-gpt, like: gpt-4o, factor: 1.1}\n- {model: 'gpt-4o*', provider: azure, like: gpt-4o, factor: 0.9}"
    )
    assert cost("eu-gpt") == pytest.approx(12.5 * 1.1)
    assert cost("gpt-4o", provider="azure") == pytest.approx(12.5 * 0.9)
    assert cost("gpt-4o", provider="openai") == 12.5
    own("- {model: claude-eu, like: claude-sonnet-4-5, factor: 1.1}")
    long = Usage(300_000, 1000)
    assert cost("claude-eu", long) == pytest.approx(1.1 * cost("claude-sonnet-4-5", long))
    own("- {model: eu-gpt, like: gpt-99}")
    with pytest.raises(PriceNotFoundError, match="'eu-gpt' is to be like 'gpt-99'"):
        cost("eu-gpt")


def test_every_kind_of_token_has_its_price(own):
    own(
        """
- model: m
  input: 1
  output: 10
  cached: 0.1
  cache_write: 2
  cache_write_1h: 3
  audio_input: 20
  audio_output: 30
  per_call: 0.5
  tiers: [{above: 500000, input: 4, output: 40}]
"""
    )
    million = 1_000_000
    assert cost("m", Usage(100, 0)) == pytest.approx(0.5 + 0.0001)
    assert cost("m", Usage(400_000, 0, 100_000, 100_000, None, None, None, 50_000)) == pytest.approx(
        0.5 + 0.2 + 0.01 + 0.1 + 0.15
    )
    assert cost("m", Usage(million, 100_000)) == pytest.approx(0.5 + 4 + 4)
    assert cost("m", Usage(100_000, 100_000, None, None, None, 100_000, 100_000)) == pytest.approx(0.5 + 2 + 3)


def test_what_comes_beside_tokens_has_its_price(own):
    own(
        """
- model: m
  input: 1
  per_web_search: 0.01
  per_file_search: 0.002
  per_page: 0.003
  per_audio_hour: 0.36
  charges: {code_interpreters: 0.03}
- {model: searching, like: gpt-4o, factor: 2, per_call: 0.5, per_web_search: 0.1}
- {model: pages, per_page: 0.003}
"""
    )
    used = {
        "web_searches": 2,
        "storage_searches": 1,
        "input_document_pages": 3,
        "audio_seconds": 100,
        "code_interpreters": 1,
    }
    assert cost("m", Usage(0, 0), charges=used) == pytest.approx(0.02 + 0.002 + 0.009 + 0.01 + 0.03)
    assert cost("m", Usage(0, 0), charges={"rerank_searches": 1}) is None
    # a factor multiplies all of its entry: 2 x (2.5 + 0.5 + 3 x 0.1)
    assert cost("searching", Usage(1_000_000, 0), charges={"web_searches": 3}) == pytest.approx(6.6)
    assert cost("pages", Usage(700, 20), charges={"input_document_pages": 2}) == pytest.approx(0.006)
    shown = {each.model: each.prices for each in price_table.own()}
    assert shown["m"]["a web search"] == "0.01"
    assert shown["m"]["1 code_interpreters"] == "0.03"
    assert shown["searching"] == {"like": "gpt-4o", "factor": "2", "1,000 calls": "1000", "a web search": "0.2"}


def test_a_name_holds_with_openrouters_suffixes_but_not_for_what_costs_something_else(own):
    own("- {model: openai/gpt-4o, input: 1}\n- {model: 'x/y:online', input: 1, per_call: 0.02}")
    assert cost("openai/gpt-4o:nitro", Usage(1_000_000, 0), provider="openrouter") == 1
    assert cost("openai/gpt-4o:free", Usage(1_000_000, 0), provider="openrouter") == 0
    assert cost("openai/gpt-4o:online", Usage(1_000_000, 0), provider="openrouter") is None
    assert cost("x/y:online", Usage(1_000_000, 0), provider="openrouter") == 1.02


def test_a_medium_has_its_price_and_else_that_of_its_direction(own):
    own("- {model: m, input: 1, output: 10, cached: 0.5, image_input: 2, image_output: 40, video_output: 80}")
    million = 1_000_000
    assert cost("m", Usage(million, 0), charges={"input_image_tokens": 500_000}) == 1.5
    assert cost("m", Usage(0, million), charges={"output_image_tokens": 500_000}) == 25
    assert cost("m", Usage(0, million), charges={"output_video_tokens": 500_000}) == 45
    assert cost("m", Usage(0, million, audio_output_tokens=500_000)) == 10


def test_a_change_of_the_file_is_noticed(own, monkeypatch):
    own("- {model: m, input: 1}")
    assert cost("m", Usage(1_000_000, 0)) == 1
    own("- {model: m, input: 2}")
    assert cost("m", Usage(1_000_000, 0)) == 2
    monkeypatch.delenv("TOKEN_CALC_PRICES")
    own_prices.forget()
    assert cost("m") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {model: m}", "price 'm': gives no price"),
        ("- {model: m, input: -1}", "price 'm': input must be greater than or equal to 0, not '-1'"),
        ("- {model: m, input: much}", "price 'm': input must be a number, not 'much'"),
        ("- {model: m, inptu: 1}", "price 'm': unknown key 'inptu', known here are audio_input, audio_output"),
        ("- {model: m, input: 1, tiers: [{abov: 1}]}", "price 'm': unknown key 'tiers.0.abov', known here are above,"),
        ("- {model: m, input: 1, from: soon}", "price 'm': from must be"),
        ("- {input: 1}", "price number 1: model is missing"),
        ("- {model: m, like: gpt-4o, input: 1}", "has like, and so no prices of its own"),
        ("- {model: m, input: 1, from: 2026-02-01, until: 2026-01-01}", "ends before it begins"),
        ("model: m", "must hold a list"),
        ("- [", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_its_entry(own, text, said):
    own(text)
    with pytest.raises(ConfigurationError, match=rf"prices\.yaml.*{re.escape(said)}"):
        cost("m")


def test_a_file_that_is_not_there(monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_PRICES", "missing.yaml")
    with pytest.raises(ConfigurationError, match=r"missing\.yaml cannot be read: No such file"):
        cost("m")


def test_a_container_that_an_answer_tells_has_the_price_that_the_documentation_shows(own):
    own("- {model: m, input: 1, charges: {code_interpreters: 0.03}}")
    usage = {"input_tokens": 1_000_000, "output_tokens": 0, "total_tokens": 1_000_000}
    ran = {"object": "response", "output": [{"type": "code_interpreter_call"}], "usage": usage}
    told = read(usage_part(ran))
    assert cost("m", told.usage, charges=told.charges) == pytest.approx(1.03)
