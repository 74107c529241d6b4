"""From tokens and prices to nano-dollars, exactly."""

from collections.abc import Callable
from decimal import Decimal
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from tc_core.meter import bill
from tc_core.model import money
from tc_core.model.usage import MOST_TOKENS, Usage

if TYPE_CHECKING:
    import numpy as np
    from genai_prices.types import TieredPrices
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

TOKENS_PER_PRICE = 1_000_000

# What we can count beyond plain input and output goes line by line; audio where there is any.
_SPECIAL_PRICES = ("requests_kcount", "reasoning_mtok")


Tiers = tuple[tuple[int, int], ...]
"""Pairs (above so many input tokens, nano-dollars per million tokens), the highest tier first."""


class TokenRates(NamedTuple):
    """Prices per token of a model that has no others."""

    tiers: tuple[Tiers, Tiers, Tiers, Tiers, Tiers]
    """Of input, cache reads, cache writes, those for an hour, and output."""
    reads_cache: bool
    """Whether what is read from a cache has a price of its own; else it is input like any other."""
    writes_cache: bool


def token_rates(given: bill.Rates) -> TokenRates | None:
    """Return the prices per token, None where they are not all there is, or no whole numbers of nano-dollars."""
    prices = given.prices
    if prices is None:
        return None
    input_price, output_price = prices.input_mtok, prices.output_mtok
    read_price, write_price = prices.cache_read_mtok, prices.cache_write_mtok
    hour_price = prices.cache_write_1h_mtok or write_price
    plain = [price for price in (input_price, output_price, read_price, write_price, hour_price) if price is not None]
    named = [key for key, value in vars(prices).items() if value is not None]
    if input_price is None or any(key.endswith(_SPECIAL_PRICES) for key in named) or not all(map(_is_whole, plain)):
        return None
    input_tiers, read, write, hour, output = (
        _tiers(price) for price in (input_price, read_price, write_price, hour_price, output_price)
    )
    return TokenRates((input_tiers, read, write, hour, output), read_price is not None, write_price is not None)


def cost_function(given: bill.Rates) -> Callable[[Usage], int | None]:
    """Return the arithmetic for one set of prices: from tokens to nano-dollars.

    Line by line it takes 60 us a call; nearly every model has only prices per token of input, output
    and cache, for which four products of integers do. A test holds both against each other for the whole table.
    """
    if given.prices is None:
        return lambda _usage: 0 if given.is_free else None
    plain = token_rates(given)
    if plain is None:
        return lambda usage: bill.total(bill.lines(given, usage, {}))
    rates, reads_cache, writes_cache = plain
    flat = [tiers[-1][1] for tiers in rates]
    least = min((start for tiers in rates for start, _ in tiers[:-1]), default=MOST_TOKENS)

    def cost(usage: Usage) -> int | None:
        tokens_in, tokens_out, cached, written, _, audio_in, audio_out, hour = usage
        if audio_in or audio_out:
            return bill.total(bill.lines(given, usage, {}))
        tokens_in, tokens_out = tokens_in or 0, tokens_out or 0
        cached = (cached or 0) if reads_cache else 0
        written = (written or 0) if writes_cache else 0
        if cached + written > tokens_in:
            return None
        hour = min(hour or 0, written)
        counts = (tokens_in - cached - written, cached, written - hour, hour, tokens_out)
        at = flat
        if tokens_in > least:
            at = [next(rate for start, rate in tiers if tokens_in > start) for tiers in rates]
        total: int = sum(map(mul, counts, at))
        nanos, rest = divmod(total, TOKENS_PER_PRICE)
        return nanos + (rest * 2 > TOKENS_PER_PRICE or (rest * 2 == TOKENS_PER_PRICE and nanos % 2 == 1))

    return cost


class InputParts(NamedTuple):
    """What parts of some calls cost, in nano-dollars: what was read from a cache, written to one, and other input.

    The parts and the output add up to `whole`, what each call costs.
    """

    cached: "Numbers"
    written: "Numbers"
    rest: "Numbers"
    whole: "Numbers"


class PlainRates(NamedTuple):
    """Prices per token of input, output and cache alone; None where cached tokens cost what other input does."""

    input: Tiers
    output: Tiers
    read: Tiers | None
    write: Tiers | None
    hour: Tiers | None

    @property
    def most_tokens(self) -> int:
        """Calls of more are not for `parts`: the products would be too large."""
        highest = max(rate for tiers in self if tiers is not None for _, rate in tiers)
        return (1 << 60) // max(highest, 1)

    def parts(
        self, tokens_in: "Numbers", tokens_out: "Numbers", cached: "Numbers", written: "Numbers", hour: "Numbers"
    ) -> InputParts:
        """Return what the lines of `bill.parts` say of many calls without audio or charges, in one go.

        What was cached and written to a cache must be within the input, and what was written for an hour within that.
        """
        import numpy as np

        none = np.zeros_like(tokens_in)
        cached = none if self.read is None else cached
        written = none if self.write is None else written
        hour = none if self.hour is None else np.minimum(hour, written)
        counts = (tokens_in - cached - written, tokens_out, cached, written - hour, hour)
        tiers = (self.input, self.output, self.read, self.write, self.hour)
        exact = [
            none if each is None else count * _at(each, tokens_in) for count, each in zip(counts, tiers, strict=True)
        ]
        whole, rests = np.divmod(np.array(exact), TOKENS_PER_PRICE)
        nanos, rest = np.divmod(rests.sum(axis=0), TOKENS_PER_PRICE)
        is_odd = (whole.sum(axis=0) + nanos) % 2 == 1
        nanos += (rest * 2 > TOKENS_PER_PRICE) | ((rest * 2 == TOKENS_PER_PRICE) & is_odd)
        order = np.argsort(-rests, axis=0, kind="stable")
        is_more = np.arange(len(exact))[:, None] < nanos
        np.put_along_axis(whole, order, np.take_along_axis(whole, order, 0) + is_more, 0)
        return InputParts(whole[2], whole[3] + whole[4], whole[0], whole.sum(axis=0))


_PLAIN = frozenset({"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"})
_BESIDE = ("audio", "image", "video", "searches", "executions")
"""Prices of what no call has that `PlainRates` are for."""


def plain_rates(given: bill.Rates) -> PlainRates | None:
    """Return prices in the form in which many calls are priced at once, where they are as plain as most are."""
    prices = given.prices
    if prices is None or prices.input_mtok is None or given.per:
        return None
    named = {key: value for key, value in vars(prices).items() if value is not None}
    if any(key not in _PLAIN and not any(word in key for word in _BESIDE) for key in named):
        return None
    plain = [named.get(key) for key in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")]
    hour = named.get("cache_write_1h_mtok")
    if not all(_is_whole(price) for price in (*plain, hour) if price is not None) or (hour and plain[-1] is None):
        return None
    read, write, of_hour = (None if price is None else _tiers(price) for price in (*plain[2:], hour))
    return PlainRates(_tiers(plain[0]), _tiers(plain[1]), read, write, of_hour)


def _at(tiers: Tiers, tokens_in: "Numbers") -> "Numbers":
    import numpy as np

    return np.select([tokens_in > start for start, _ in tiers], [rate for _, rate in tiers])


def _tiers(price: "Decimal | TieredPrices | None") -> Tiers:
    """Return pairs (above so many input tokens, nano-dollars per million tokens), the highest tier first."""
    if price is None:
        return ((-1, 0),)
    if isinstance(price, Decimal):
        return ((-1, money.to_nanos(price)),)
    tiers = [(tier.start, money.to_nanos(tier.price)) for tier in reversed(price.tiers)]
    return (*tiers, (-1, money.to_nanos(price.base)))


def _is_whole(price: "Decimal | TieredPrices") -> bool:
    """Tell whether a price per million tokens is a whole number of nano-dollars."""
    parts = [price] if isinstance(price, Decimal) else [price.base, *(tier.price for tier in price.tiers)]
    return all(part * money.NANOS_PER_DOLLAR % 1 == 0 for part in parts)
