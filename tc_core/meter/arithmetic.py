"""From tokens and prices to nano-dollars, exactly."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from tc_core.meter import bill
from tc_core.model import money
from tc_core.model.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

_TOKENS_PER_PRICE = 1_000_000

# What we can count beyond plain input and output goes line by line; audio where there is any.
_SPECIAL_PRICES = ("requests_kcount", "reasoning_mtok")


def cost_function(given: bill.Rates) -> Callable[[Usage], int | None]:
    """Return the arithmetic for one set of prices: from tokens to nano-dollars.

    Line by line it takes 60 us a call; nearly every model has only prices per token of input, output
    and cache, for which four products of integers do. A test holds both against each other for the whole table.
    """
    prices = given.prices
    if prices is None:
        return lambda _usage: 0 if given.is_free else None
    input_price, output_price = prices.input_mtok, prices.output_mtok
    read_price, write_price = prices.cache_read_mtok, prices.cache_write_mtok
    hour_price = prices.cache_write_1h_mtok or write_price
    plain = [price for price in (input_price, output_price, read_price, write_price, hour_price) if price is not None]
    named = [key for key, value in vars(prices).items() if value is not None]
    is_special = any(key.endswith(_SPECIAL_PRICES) for key in named) or not all(map(_is_whole, plain))
    is_special |= input_price is None
    rates = [_tiers(price) for price in (input_price, read_price, write_price, hour_price, output_price)]

    def cost(usage: Usage) -> int | None:
        tokens_in, tokens_out, cached, written, _, audio_in, audio_out, hour = usage
        if is_special or audio_in or audio_out:
            return bill.total(bill.lines(given, usage, {}))
        tokens_in, tokens_out = tokens_in or 0, tokens_out or 0
        cached = (cached or 0) if read_price is not None else 0
        written = (written or 0) if write_price is not None else 0
        if cached + written > tokens_in:
            return None
        hour = min(hour or 0, written)
        counts = (tokens_in - cached - written, cached, written - hour, hour, tokens_out)
        total = 0
        for tiers, tokens in zip(rates, counts, strict=True):
            if tokens:
                total += tokens * next(rate for start, rate in tiers if tokens_in > start)
        nanos, rest = divmod(total, _TOKENS_PER_PRICE)
        return nanos + (rest * 2 > _TOKENS_PER_PRICE or (rest * 2 == _TOKENS_PER_PRICE and nanos % 2 == 1))

    return cost


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
