from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from genai_prices import Usage as TableUsage
from genai_prices.data import providers
from genai_prices.types import ModelPrice
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core import calculate_cost
from tc_core.meter import arithmetic, bill, catalogue, prices
from tc_core.model import money
from tc_core.model.event import to_us
from tc_core.model.usage import Usage

AT = datetime(2026, 6, 1, tzinfo=UTC)


def cost(model, usage, **more):
    price = prices.price_of(usage, model, at_us=to_us(more.pop("at", AT)), **more)
    return None if price is None else price.cost_nanos


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        # Worked out by hand from the providers' price lists, in dollars per million tokens.
        # gpt-4o: 2.50 in, 1.25 cached, 10 out: 2,000 x 2.5 + 8,000 x 1.25 + 500 x 10 = 20,000 millionths.
        pytest.param("gpt-4o", Usage(10_000, 500, 8_000), "0.02", id="cached-input-is-cheaper"),
        pytest.param("gpt-4o", Usage(10_000, 500), "0.03", id="no-cache"),
        # gpt-4o-mini: 0.15 in, 0.60 out: 1,000 x 0.15 + 1,000 x 0.6 = 750 millionths.
        pytest.param("gpt-4o-mini-2024-07-18", Usage(1_000, 1_000), "0.00075", id="dated-name"),
        # Reasoning is part of output and costs nothing beside it: o3 at 2 in, 8 out.
        pytest.param("o3", Usage(1_000, 1_000, reasoning_tokens=900), "0.01", id="reasoning-is-output"),
        # claude-sonnet-4-5: 3 in, 0.30 read, 3.75 write, 15 out:
        # 1,000 x 3 + 8,000 x 0.3 + 1,000 x 3.75 + 500 x 15 = 16,650 millionths.
        pytest.param("claude-sonnet-4-5", Usage(10_000, 500, 8_000, 1_000), "0.01665", id="cache-write"),
        # gemini-2.5-pro above 200,000 tokens: 2.50 in, 15 out: 300,000 x 2.5 + 1,000 x 15 = 765,000 millionths.
        pytest.param("gemini-2.5-pro", Usage(300_000, 1_000), "0.765", id="long-prompt-surcharge"),
        # gpt-realtime: 4 text in, 32 audio in, 16 text out, 64 audio out:
        # 1,000 x 4 + 9,000 x 32 + 100 x 16 + 400 x 64 = 319,200 millionths.
        pytest.param("gpt-realtime", Usage(10_000, 500, None, None, None, 9_000, 400), "0.3192", id="audio"),
        # Bedrock asks 10 % more where the region is fixed: 1,000,000 x 3.30.
        pytest.param("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(1_000_000, 0), "3.3", id="regional"),
        pytest.param("global.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(1_000_000, 0), "3", id="no-region"),
        pytest.param("text-embedding-3-small", Usage(1_000_000, 0), "0.02", id="embedding"),
        pytest.param("ollama/llama3.2", Usage(1_000_000, 1_000), "0", id="local-is-free"),
    ],
)
def test_costs_worked_out_by_hand(model, usage, dollars):
    assert cost(model, usage) == money.to_nanos(Decimal(dollars))


@pytest.mark.parametrize("model", ["gpt-99", "my-model", "acme-summarizer-1", "azure/my-deployment", ""])
def test_an_unknown_model_has_no_price_which_is_not_zero(model):
    assert cost(model, Usage(1000, 1000)) is None
    assert prices.calculate_cost(model, 1000, 1000) is None


def test_a_price_is_that_of_its_day():
    # OpenAI cut o3 from 10 to 2 dollars per million input tokens in June 2025.
    assert prices.calculate_cost("o3", 1_000_000, 0, at=datetime(2025, 5, 1, tzinfo=UTC)) == 10.0
    assert prices.calculate_cost("o3", 1_000_000, 0, at=datetime(2025, 7, 1, tzinfo=UTC)) == 2.0


def test_a_price_says_where_it_comes_from_and_since_when():
    price = prices.price_of(Usage(1, 1), "o3", at_us=to_us(AT))
    assert price.source.startswith("genai-prices ")
    assert price.since == date(2025, 6, 10)
    assert prices.price_of(Usage(1, 1), "ollama/phi", at_us=to_us(AT)).source == "local"


def test_the_model_that_answered_decides_and_else_the_one_asked_for():
    assert cost("gpt-4o", Usage(1_000_000, 0), served_model="gpt-4o-mini-2024-07-18") == 150_000_000
    assert cost("gpt-4o", Usage(1_000_000, 0), served_model="somebody-elses-name") == 2_500_000_000


@pytest.mark.parametrize(
    ("model", "provider", "found"),
    [
        ("openai/gpt-4o", None, "gpt-4o"),
        ("openai:gpt-4o", None, "gpt-4o"),
        ("models/gemini-2.5-pro", None, "gemini-2.5-pro"),
        ("gpt-4o", "azure_openai", "gpt-4o"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("gpt-4.1-2031-01-01", "openai", "gpt-4.1"),
        ("gpt-4o", "a-proxy-nobody-knows", "gpt-4o"),
        ("text-embedding-3-large", None, "text-embedding-3-large"),
    ],
)
def test_names_as_frameworks_write_them_find_their_model(model, provider, found):
    assert prices._find(model, provider).id == found


@pytest.mark.parametrize(
    ("model", "provider", "dollars"),
    [
        # OpenRouter's suffixes choose who serves; gpt-4o costs 2.50 per million tokens of input.
        ("openai/gpt-4o:nitro", "openrouter", "2.5"),
        ("openai/gpt-4o:floor", "openrouter", "2.5"),
        ("openrouter/openai/gpt-4o:exacto", None, "2.5"),
        ("anthropic/claude-3.7-sonnet:thinking", "openrouter", "3"),
        ("anthropic/claude-3.7-sonnet:beta", "openrouter", "3"),
        ("openai/gpt-4o:extended", "openrouter", "6"),
        ("deepseek/deepseek-r1:free", "openrouter", "0"),
        ("acme/not-in-any-table:free", "openrouter", "0"),
        ("acme:free", "acme", None),
        ("openai/gpt-4o:online", "openrouter", None),
        # Azure's deployments: only where a name holds one model's name and no other's word
        ("gpt-4o-2024-08-06", "azure", "2.5"),
        ("prod-gpt-4o-mini", "azure", "0.15"),
        ("azure/team-o3-mini-eu", None, "1.1"),
        ("gpt-4o-2024-08-06-prod", "azure", None),
        ("gpt-4o-turbo", "azure", None),
        ("gpt-5-1-prod", "azure", None),
        ("my-gpt4o", "azure", None),
        ("ada-prod", "azure", None),
        ("prod-gpt-4o", "openai", None),
        # dates
        ("claude-sonnet-4-5@20250929", None, "6"),
        ("gpt-4o.2024-08-06", None, "2.5"),
        ("gpt-5-2025_08_07", None, "1.25"),
        # a server on this machine: what is open to all runs here, what only its maker has does not
        ("llama3.2", "local", "0"),
        ("meta-llama/Llama-3.1-8B-Instruct", "local", "0"),
        ("openai/gpt-oss-20b", "local", "0"),
        ("my-lora", "local", "0"),
        ("gpt-4o", "local", "2.5"),
        ("openai/gpt-4o", "local", "2.5"),
        ("text-embedding-3-small", "local", "0.02"),
        ("claude-haiku-4-5", "local", "1"),
        ("gemini-2.5-flash", "local", "0.3"),
        ("deepseek-chat", "local", "0.135"),  # half the price at that hour
        ("azure/my-deployment", "local", None),
        ("deepseek-r1", "ollama", "0"),
    ],
)
def test_a_million_tokens_by_name(model, provider, dollars):
    assert cost(model, Usage(1_000_000, 0), provider=provider) == (dollars and money.to_nanos(Decimal(dollars)))


def test_a_free_model_is_free_whatever_the_answer_calls_it_and_its_searches_are_not():
    free = {"served_model": "deepseek/deepseek-r1", "provider": "openrouter"}
    assert cost("deepseek/deepseek-r1:free", Usage(1_000, 10), **free) == 0
    assert cost("deepseek/deepseek-r1:free", Usage(1_000, 10), charges={"web_searches": 1}, **free) is None


def test_the_search_of_an_online_model_is_named_as_what_has_no_price():
    found = prices.cost_parts(Usage(1_000, 0), "openai/gpt-4o:online", provider="openrouter", at_us=to_us(AT))
    assert found == [("input", 1_000, 2_500_000), ("online searches", 1, None)]


def test_a_gateway_on_this_machine_is_not_free_when_its_answer_names_a_hosted_model():
    assert cost("our-alias", Usage(1_000_000, 0), provider="local", served_model="gpt-4o-2024-08-06") == 2_500_000_000


@pytest.mark.parametrize(
    ("host", "port", "provider"),
    [
        ("localhost", 8000, "local"),
        ("127.0.0.1", 11434, "ollama"),
        ("[::1]", 1234, "lmstudio"),
        ("gpu-box.local", 8000, "local"),
        ("api.openai.com", 443, None),
        ("localhost.example.com", 80, None),
    ],
)
def test_who_answers_on_this_machine(host, port, provider):
    assert catalogue.provider_at(host, port) == provider


def test_half_a_nano_is_rounded_to_even():
    # gpt-4o-mini's cached input costs 0.075 dollars per million: 75 nanos a token, so no rounding;
    # gpt-5-nano's costs 0.005: 5 nanos; text-embedding-3-small 0.02: 20. A price of 0.0375 needs halves.
    rate = arithmetic.cost_function(rates_of(input_mtok=Decimal("0.0375"), output_mtok=Decimal("0.0005")))
    assert rate(Usage(1, 0)) == 38  # 37.5 to even
    assert rate(Usage(3, 0)) == 112  # 112.5 to even
    assert rate(Usage(0, 1)) == 0  # 0.5 to even
    assert rate(Usage(0, 3)) == 2  # 1.5 to even


def test_audio_is_not_priced_like_text_where_its_price_is_missing():
    assert cost("gpt-4o-audio-preview", Usage(1_000, 100)) == 3_500_000  # 1,000 x 2.50 + 100 x 10 millionths
    assert cost("gpt-4o-audio-preview", Usage(1_000, 100, audio_input_tokens=900)) is None
    assert cost("gpt-4o-audio-preview", Usage(1_000, 100, audio_output_tokens=90)) is None


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        ({"input_tokens": -1}, "input_tokens"),
        ({"output_tokens": 10**15}, "output_tokens"),
        ({"input_tokens": 1.5}, "input_tokens"),
        ({"output_tokens": None}, "output_tokens"),
        ({"cached_tokens": 101}, "cached_tokens"),
    ],
)
def test_no_cost_is_made_up_for_tokens_that_no_call_can_have(tokens, named):
    with pytest.raises(ValueError, match=named):
        calculate_cost("gpt-4o", **({"input_tokens": 100, "output_tokens": 10} | tokens))


def test_parts_that_are_more_than_the_whole_have_no_price():
    assert cost("gpt-4o", Usage(10, 0, 11)) is None


ALL_PRICES = [
    (model.id, each)
    for provider in providers
    for model in provider.models
    for each in (
        *([model.prices] if not isinstance(model.prices, list) else [c.prices for c in model.prices]),
        *(model.get_prices(datetime.now(UTC), variant.when) for variant in model.price_variants or ()),
    )
    if each.input_mtok is not None
]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    read=st.integers(0, 2_000_000),
    cached=st.integers(0, 100),
    written=st.integers(0, 100),
    hour=st.integers(0, 100),
    answered=st.integers(0, 300_000),
)
def test_our_arithmetic_is_the_librarys_for_every_price_in_its_table(read, cached, written, hour, answered):
    cached, written = read * cached // 300, read * written // 300
    hour = written * hour // 100
    usage = Usage(read, answered, cached, written, cache_write_1h_tokens=hour)
    table = TableUsage(
        input_tokens=read,
        output_tokens=answered,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
    )
    for model, each in ALL_PRICES:
        assert arithmetic.cost_function(bill.Rates(model, each))(usage) == money.to_nanos(
            each.calc_price(table)["total_price"]
        ), model


def input_parts(lines):
    """Return what was read from a cache, written to one, and other input, and the whole, as `bill.parts` says."""
    costs = {part.kind: part.cost_nanos for part in lines}
    written = costs.get("cache write", 0) + costs.get("cache write 1 h", 0)
    return costs.get("cached", 0), written, costs.get("input", 0), sum(costs.values())


def test_what_parts_cost_is_the_same_for_many_calls_at_once():
    counts = [
        (0, 0, 0, 0, 7),
        (7, 3, 3, 2, 11),
        (999, 333, 333, 333, 1),
        (200_001, 101, 37, 0, 13),
        (300_000, 1, 9, 4, 0),
    ]
    counts += [(read, read // 3, read // 7, read // 11, read // 2) for read in range(1, 400_000, 1_237)]
    used = np.array([counts[at] for at in range(len(counts))]).T
    plain = 0
    for model, prices_of_model in ALL_PRICES:
        given = bill.Rates(model, prices_of_model)
        rates = arithmetic.plain_rates(given)
        if rates is None:
            continue
        plain += 1
        found = np.array(rates.parts(used[0], used[4], used[1], used[2], used[3])).T
        for place in range(plain % 80, len(counts), 80):
            read, cached, written, hour, answered = counts[place]
            usage = Usage(read, answered, cached, written, cache_write_1h_tokens=hour)
            expected = input_parts(bill.parts(bill.lines(given, usage, {})))
            assert tuple(found[place]) == expected, (model, usage)
    assert plain > 0.8 * len(ALL_PRICES)


@pytest.mark.parametrize(
    ("model", "tier", "share"),
    [
        ("gpt-5", "batch", 0.5),
        ("gpt-5", "flex", 0.5),
        ("gpt-5", "priority", 2),
        ("gpt-5", "default", 1),
        ("gpt-5", "on_demand", 1),
        ("gpt-5", None, 1),
        ("claude-sonnet-4-5", "batch", 0.5),
        ("claude-sonnet-4-5", "standard", 1),
        ("gemini-2.5-pro", "batch", 0.5),
        ("gpt-4o", "flex", None),
        ("gpt-99", "flex", None),
    ],
)
def test_service_tiers(model, tier, share):
    standard = calculate_cost(model, 10_000, 1000)
    assert calculate_cost(model, 10_000, 1000, service_tier=tier) == (share and pytest.approx(standard * share))


def test_a_cache_that_is_kept_for_an_hour_costs_more():
    def cost(hour):
        usage = Usage(100_000, 0, 0, 100_000, cache_write_1h_tokens=hour)
        return prices.price_of(usage, "claude-sonnet-4-5", at_us=to_us(datetime.now(UTC))).cost_nanos / 1e9

    assert (cost(0), cost(None), cost(100_000)) == (0.375, 0.375, 0.6)


def test_the_table_is_not_older_than_it_says():
    assert date(2026, 1, 1) < prices.table_date() <= datetime.now(UTC).date()


def test_spellings_begin_with_the_most_literal():
    found = list(catalogue.spellings("OpenAI/GPT-4o-2024-08-06", "custom"))
    assert found[0] == ("custom", "openai/gpt-4o-2024-08-06")
    assert ("openai", "gpt-4o-2024-08-06") in found
    assert found[-1][1] == "gpt-4o"


def rates_of(**given):
    return bill.Rates("", ModelPrice(**given))
