"""What is charged beside tokens or at a price of its own, and the lines of which a cost is the sum.

Expected costs are worked out by hand from the table's prices, in millionths of a dollar.
"""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from genai_prices import Usage as TableUsage
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core.meter import bill, prices
from tc_core.model import money
from tc_core.model.event import to_us
from tc_core.model.usage import Usage

AT = to_us(datetime(2026, 6, 1, tzinfo=UTC))


def priced(model, usage, charges, **more):
    return prices.price_of(usage, model, at_us=AT, charges=charges, **more)


def parts(model, usage, charges=None, **more):
    return prices.cost_parts(usage, model, at_us=AT, charges=charges, **more)


@pytest.mark.parametrize(
    ("model", "usage", "charges", "millionths", "beside"),
    [
        # 1,000 x 3 + 100 x 15, and two searches at 10 dollars per thousand
        pytest.param("claude-sonnet-4-5", Usage(1_000, 100), {"web_searches": 2}, 24_500, 20_000, id="web searches"),
        # 1,000 x 2 + 100 x 8, and three at 2.50 dollars per thousand
        pytest.param("gpt-4.1", Usage(1_000, 100), {"storage_searches": 3}, 10_300, 7_500, id="file searches"),
        # 10 x 0.30 + 1,290 x 30 + 10 x 2.50
        pytest.param(
            "gemini-2.5-flash-image", Usage(10, 1_300), {"output_image_tokens": 1_290}, 38_728, 0, id="image output"
        ),
        # 100 x 5 + 64 x 40: this model puts out nothing but images
        pytest.param("gpt-image-1", Usage(100, 64), {"output_image_tokens": 64}, 3_060, 0, id="an image model"),
        pytest.param("gpt-4o", Usage(1_000, 100), {"input_image_tokens": 800}, 3_500, 0, id="images read like text"),
        # 500 x 10 + 100 x 1.25 + 400 x 8 + 100 x 2 + 10 x 32, of which 100 of the text and 100 of the image are cached
        pytest.param(
            "chatgpt-image-latest",
            Usage(1_100, 10, 200),
            {"input_image_tokens": 500, "cache_image_read_tokens": 100, "output_image_tokens": 10},
            500 * 5 + 100 * 1.25 + 400 * 8 + 100 * 2 + 10 * 32,
            0,
            id="cached images",
        ),
        # 0.111 dollars an hour: 36 seconds; Groq bills ten seconds at least
        pytest.param("groq/whisper-large-v3", Usage(), {"audio_seconds": 36}, 1_110, 1_110, id="seconds of audio"),
        pytest.param("groq/whisper-large-v3", Usage(), {"audio_seconds": 2.5}, "308.333", "308.333", id="ten at least"),
        # Mistral asks 2 dollars per thousand pages; the estimate of tokens beside them costs nothing
        pytest.param("mistral-ocr-2512", Usage(70, 10), {"input_document_pages": 3}, 6_000, 6_000, id="pages"),
        # sonar at 1 and 1 dollars, and 12 dollars per thousand requests, searches and all
        pytest.param(
            "perplexity/sonar", Usage(1_000, 100), {"web_searches": 3}, 13_100, 12_000, id="searches in a request"
        ),
    ],
)
def test_charges_worked_out_by_hand(model, usage, charges, millionths, beside):
    provider, _, name = model.rpartition("/")
    found = priced(name, usage, charges, provider=provider or None)
    assert (found.cost_nanos, found.charges_nanos) == (
        round(Fraction(millionths) * 1000),
        round(Fraction(beside) * 1000),
    )


@pytest.mark.parametrize(
    ("model", "usage", "charges", "lacking"),
    [
        ("gpt-4o-search-preview", Usage(10, 5), {"web_searches": 1}, "web searches"),
        ("gpt-4.1", Usage(10, 5), {"code_interpreters": 1}, "code interpreters"),
        ("gpt-4o", Usage(10, 70), {"output_image_tokens": 64}, "image output"),
        ("gemini-2.5-flash", Usage(10, 70), {"output_video_tokens": 64}, "video output"),
        ("gpt-4o", Usage(10, 70, audio_output_tokens=64), {}, "audio output"),
        ("claude-opus-4-6", Usage(10, 5), {"gpt-99/input_tokens": 7}, "input by gpt-99"),
        ("claude-opus-4-6", Usage(10, 5), {"inference_geo_mars": 1}, "inference geo mars"),
    ],
)
def test_what_was_used_and_has_no_price_makes_the_call_unpriced_and_is_named(model, usage, charges, lacking):
    assert priced(model, usage, charges) is None
    assert [each.kind for each in parts(model, usage, charges) if each.cost_nanos is None] == [lacking]


def test_what_another_model_did_costs_what_that_model_costs():
    # 1,000 x 5 + 100 x 25, and by Haiku 2,000 x 1 + 200 x 5
    charges = {"claude-haiku-4-5/input_tokens": 2_000, "claude-haiku-4-5/output_tokens": 200}
    found = priced("claude-opus-4-6", Usage(1_000, 100), charges)
    assert (found.cost_nanos, found.charges_nanos) == (10_500_000, 0)
    assert [(each.kind, each.cost_nanos) for each in parts("claude-opus-4-6", Usage(1_000, 100), charges)] == [
        ("input", 5_000_000),
        ("output", 2_500_000),
        ("input by claude-haiku-4-5", 2_000_000),
        ("output by claude-haiku-4-5", 1_000_000),
    ]


@pytest.mark.parametrize(
    ("model", "tenths"),
    [("claude-opus-4-6", 11), ("claude-sonnet-5", 11), ("claude-opus-4-5", 10), ("claude-3-5-haiku-latest", 10)],
)
def test_calls_bound_to_the_us_cost_a_tenth_more_of_models_since_opus_4_6(model, tenths):
    usage, search = Usage(10_000, 1_000, 5_000, 2_000), {"web_searches": 1}
    anywhere, bound = priced(model, usage, search), priced(model, usage, search | {"inference_geo_us": 1})
    tokens = anywhere.cost_nanos - anywhere.charges_nanos
    assert bound.charges_nanos == anywhere.charges_nanos == 10_000_000
    assert bound.cost_nanos - bound.charges_nanos == tokens * tenths // 10


def test_the_lines_of_a_call():
    # claude-sonnet-4-5: 3 in, 0.30 read, 3.75 written, 6 for an hour, 15 out, 10 per thousand searches
    usage = Usage(10_000, 500, 6_000, 3_000, cache_write_1h_tokens=1_000)
    assert parts("claude-sonnet-4-5", usage, {"web_searches": 2}) == [
        ("input", 1_000, 3_000_000),
        ("output", 500, 7_500_000),
        ("cached", 6_000, 1_800_000),
        ("cache write", 2_000, 7_500_000),
        ("cache write 1 h", 1_000, 6_000_000),
        ("web searches", 2, 20_000_000),
    ]


def test_the_lines_of_a_model_without_prices_say_what_was_used():
    assert parts("gpt-99", Usage(10, 5, 4), {"web_searches": 1}) == [
        ("input", 6, None),
        ("cached", 4, None),
        ("output", 5, None),
        ("web searches", 1, None),
    ]


def test_a_local_model_has_lines_that_cost_nothing():
    assert parts("ollama/llama3.2", Usage(10, 5)) == [("input", 10, 0), ("output", 5, 0)]


ALL_MODELS = [(provider.id, model) for provider in providers for model in provider.models]


@settings(max_examples=60, deadline=None)
@given(
    place=st.integers(0, len(ALL_MODELS) - 1),
    read=st.integers(0, 2_000_000),
    shares=st.tuples(*[st.integers(0, 100)] * 3),
    answered=st.integers(0, 300_000),
    searches=st.integers(0, 9),
)
def test_the_lines_add_up_to_the_cost_and_that_is_the_librarys(place, read, shares, answered, searches):
    provider, model = ALL_MODELS[place]
    cached, written = read * shares[0] // 300, read * shares[1] // 300
    usage = Usage(read, answered, cached, written, cache_write_1h_tokens=written * shares[2] // 100)
    charges = {"web_searches": searches}
    cost = priced(model.id, usage, charges, provider=provider)
    found = parts(model.id, usage, charges, provider=provider)
    if cost is None:
        assert None in [each.cost_nanos for each in found]
        return
    assert sum(each.cost_nanos for each in found) == cost.cost_nanos
    rates = bill.Rates(model.id, model.get_prices(datetime(2026, 6, 1, tzinfo=UTC)))
    table = TableUsage(
        input_tokens=read,
        output_tokens=answered,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        web_searches=searches,
    )
    ours = bill.total(bill.lines(rates, usage, charges))
    if ours is not None and vars(rates.prices):
        assert ours == money.to_nanos(rates.prices.calc_price(table)["total_price"])


def test_lines_are_rounded_so_that_they_add_up():
    third = Fraction(1, 3)
    lines = [bill.Line("input_tokens", 1, third), bill.Line("output_tokens", 1, third), bill.Line("requests", 1, third)]
    assert [each.cost_nanos for each in bill.parts(lines)] == [1, 0, 0]
    assert bill.total(lines) == 1
