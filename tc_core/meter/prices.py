"""What a call costs, by a dated price table.

The table is genai-prices. It knows when a price took effect, and tiers by the size of the prompt. An
unknown model has no price, which is not a price of zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from tc_core.meter import catalogue
from tc_core.model import event, money
from tc_core.model.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_US_PER_DAY = 86_400_000_000
_TOKENS_PER_PRICE = 1_000_000

PRICED_TIERS = frozenset({"batch", "flex", "priority", "fast"})
"""Service tiers with prices of their own; all others, such as `default` and `on_demand`, are standard."""

_TIER_KEYS = ("service_tier", "processing", "speed")  # where the table of prices speaks of tiers

# What we can count beyond plain input and output: these go through the library's own arithmetic.
_SPECIAL_PRICES = ("requests_kcount", "reasoning_mtok", "audio_mtok", "audio_read_mtok")


class Price(NamedTuple):
    """A call's cost, the table it comes from, and the day from which that price holds, where the table knows it."""

    cost_nanos: int
    source: str
    since: date | None


@dataclass(frozen=True, slots=True)
class _Rates:
    """The prices of one model at one time, resolved once."""

    source: str
    since: date | None
    cost: Callable[[Usage], int | None]


def calculate_cost(
    model: str,
    input_tokens: int,
    output_tokens: int,
    *,
    cached_tokens: int = 0,
    at: datetime | None = None,
    provider: str | None = None,
) -> float | None:
    """Return what a call costs in US dollars, or None when the model has no known price.

    `input_tokens` include `cached_tokens`. `at` is when the call was made (default: now), since prices
    change. Source of the prices: the table of genai-prices.
    """
    at_us = event.to_us(at or datetime.now(UTC))
    price = price_of(Usage(input_tokens, output_tokens, cached_tokens), model, provider=provider, at_us=at_us)
    return None if price is None else money.to_dollars(price.cost_nanos)


def price_of(
    usage: Usage,
    model: str,
    *,
    served_model: str | None = None,
    provider: str | None = None,
    service_tier: str | None = None,
    at_us: int,
) -> Price | None:
    """Price one call made at `at_us` (microseconds UTC), by the model that answered, else by the one asked for.

    `service_tier` is what the provider calls the processing (`batch`, `flex`, `priority`, `fast`; all others are
    standard). None when neither model has a price, or when the price table has none for that tier, or for a kind of
    token that was used.
    """
    tier = service_tier if service_tier in PRICED_TIERS else None
    for name in dict.fromkeys((served_model, model)):
        rates = _rates(name, provider, tier, at_us) if name else None
        if rates is None:
            continue
        cost = rates.cost(usage)
        return None if cost is None else Price(cost, rates.source, rates.since)
    return None


@cache
def table_version() -> str:
    """Return name and version of the price table."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


@cache
def table_date() -> date:
    """Return the newest day up to today on which a price of the table took effect: it is at least that new."""
    from genai_prices.data import providers

    today = datetime.now(UTC).date()
    starts: list[date] = [
        start
        for provider in providers
        for model in provider.models
        if isinstance(model.prices, list)
        for start in (getattr(conditional.constraint, "start_date", None) for conditional in model.prices)
        if start is not None and start <= today
    ]
    return max(starts)


def _rates(model: str, provider: str | None, tier: str | None, at_us: int) -> _Rates | None:
    of_day = _rates_of_day(model, provider, tier, at_us // _US_PER_DAY)
    return of_day(at_us) if callable(of_day) else of_day


@lru_cache(maxsize=4096)
def _rates_of_day(
    model: str, provider: str | None, tier: str | None, day: int
) -> "_Rates | Callable[[int], _Rates | None] | None":
    """Return the rates of a whole day, or for the few models whose price follows the clock, what resolves them."""
    info = _find(model, provider)
    if info is None:
        return _free("local") if catalogue.is_local(provider, model) else None
    return partial(_resolve, info, tier) if _changes_within_a_day(info) else _resolve(info, tier, day * _US_PER_DAY)


def _find(model: str, provider: str | None) -> "ModelInfo | None":
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    for provider_id, reference in catalogue.spellings(model, provider):
        try:
            return snapshot.find_provider_model(reference, None, provider_id, None)[1]
        except LookupError:
            continue
    return None


def _changes_within_a_day(info: "ModelInfo") -> bool:
    from genai_prices.types import TimeOfDateConstraint

    return isinstance(info.prices, list) and any(
        isinstance(conditional.constraint, TimeOfDateConstraint) for conditional in info.prices
    )


def _resolve(info: "ModelInfo", tier: str | None, at_us: int) -> _Rates | None:
    standard = prices = info.get_prices(event.from_us(at_us))
    if tier is not None:
        prices = info.get_prices(event.from_us(at_us), dict.fromkeys(_TIER_KEYS, tier))
        if vars(prices) == vars(standard):
            return None  # the table does not know what this tier costs
    if not any(value is not None for value in vars(prices).values()):
        return _free(table_version()) if info.id.endswith(":free") else None
    return _Rates(table_version(), _start(info, standard), _cost_function(prices))


def _start(info: "ModelInfo", prices: "ModelPrice") -> date | None:
    if not isinstance(info.prices, list):
        return None
    starts = [getattr(c.constraint, "start_date", None) for c in info.prices if c.prices is prices]
    return starts[0] if starts else None


def _free(source: str) -> _Rates:
    return _Rates(source, None, lambda _usage: 0)


def _cost_function(prices: "ModelPrice") -> Callable[[Usage], int | None]:
    """Return the arithmetic for one set of prices: from tokens to nano-dollars.

    The library's own takes 60 us a call; nearly every model has only prices per token of input, output
    and cache, for which four products of integers do. A test holds both against each other for the whole table.
    """
    input_price, output_price = prices.input_mtok, prices.output_mtok
    read_price, write_price = prices.cache_read_mtok, prices.cache_write_mtok
    hour_price = prices.cache_write_1h_mtok or write_price
    plain = [price for price in (input_price, output_price, read_price, write_price, hour_price) if price is not None]
    is_special = any(key.endswith(_SPECIAL_PRICES) for key, value in vars(prices).items() if value is not None)
    if is_special or not all(_is_whole(price) for price in plain):
        return lambda usage: _library_cost(prices, usage) if _covers(prices, usage) else None
    rates = [_tiers(price) for price in (input_price, read_price, write_price, hour_price, output_price)]

    def cost(usage: Usage) -> int | None:
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
