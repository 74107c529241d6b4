"""From tokens and prices to nano-dollars, exactly."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from tc_core.model import money
from tc_core.model.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

_TOKENS_PER_PRICE = 1_000_000

# What we can count beyond plain input and output goes through the library's own arithmetic; audio where there is any.
_SPECIAL_PRICES = ("requests_kcount", "reasoning_mtok")
_AUDIO_PRICES = ("audio_mtok", "audio_read_mtok")


def cost_function(prices: "ModelPrice") -> Callable[[Usage], int | None]:
    """Return the arithmetic for one set of prices: from tokens to nano-dollars.

    The library's own takes 60 us a call; nearly every model has only prices per token of input, output
    and cache, for which four products of integers do. A test holds both against each other for the whole table.
    """
    input_price, output_price = prices.input_mtok, prices.output_mtok
    read_price, write_price = prices.cache_read_mtok, prices.cache_write_mtok
    hour_price = prices.cache_write_1h_mtok or write_price
    plain = [price for price in (input_price, output_price, read_price, write_price, hour_price) if price is not None]
    named = [key for key, value in vars(prices).items() if value is not None]
    is_special = any(key.endswith(_SPECIAL_PRICES) for key in named) or not all(map(_is_whole, plain))
    has_audio = any(key.endswith(_AUDIO_PRICES) for key in named)
    rates = [_tiers(price) for price in (input_price, read_price, write_price, hour_price, output_price)]

    def cost(usage: Usage) -> int | None:
        if is_special or (has_audio and (usage.audio_input_tokens or usage.audio_output_tokens)):
            return _library_cost(prices, usage) if _covers(prices, usage) else None
        tokens_in, tokens_out = usage.input_tokens or 0, usage.output_tokens or 0
        cached = (usage.cached_tokens or 0) if read_price is not None else 0
        written = (usage.cache_write_tokens or 0) if write_price is not None else 0
        if cached + written > tokens_in or not _covers(prices, usage):
            return None
        hour = min(usage.cache_write_1h_tokens or 0, written)
        counts = (tokens_in - cached - written, cached, written - hour, hour, tokens_out)
        total = 0
        for tiers, tokens in zip(rates, counts, strict=True):
            if tokens:
                total += tokens * next(rate for start, rate in tiers if tokens_in > start)
        nanos, rest = divmod(total, _TOKENS_PER_PRICE)
        return nanos + (rest * 2 > _TOKENS_PER_PRICE or (rest * 2 == _TOKENS_PER_PRICE and nanos % 2 == 1))

    return cost


def _covers(prices: "ModelPrice", usage: Usage) -> bool:
    """Tell whether there is a price for what was used; models for embeddings have none for output, nor need one."""
    if prices.input_mtok is None:
        return not usage.input_tokens and (prices.output_mtok is not None or not usage.output_tokens)
    return True


def _tiers(price: "Decimal | TieredPrices | None") -> list[tuple[int, int]]:
    """Return pairs (above so many input tokens, nano-dollars per million tokens), the highest tier first."""
    if price is None:
        return [(-1, 0)]
    if isinstance(price, Decimal):
        return [(-1, money.to_nanos(price))]
    tiers = [(tier.start, money.to_nanos(tier.price)) for tier in reversed(price.tiers)]
    return [*tiers, (-1, money.to_nanos(price.base))]


def _is_whole(price: "Decimal | TieredPrices") -> bool:
    """Tell whether a price per million tokens is a whole number of nano-dollars."""
    parts = [price] if isinstance(price, Decimal) else [price.base, *(tier.price for tier in price.tiers)]
    return all(part * money.NANOS_PER_DOLLAR % 1 == 0 for part in parts)


def _library_cost(prices: "ModelPrice", usage: Usage) -> int | None:
    from genai_prices.types import Usage as TableUsage

    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "input_audio_tokens": usage.audio_input_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
    }
    try:
        total = prices.calc_price(TableUsage(**{key: value for key, value in counts.items() if value}))["total_price"]
    except ValueError:  # the counts contradict each other
        return None
    return money.to_nanos(total)
