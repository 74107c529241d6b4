"""What a call costs, by a dated price table.

The user's own prices come first. The table is genai-prices, which knows when a price took effect, and tiers by the
size of the prompt. An unknown model has no price, which is not a price of zero.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING

from tc_core.errors import PriceNotFoundError
from tc_core.meter import arithmetic, bill, catalogue, loading, own_prices, surcharges
from tc_core.model import clock, event, money
from tc_core.model.ports import CostPart, Priced
from tc_core.model.usage import Usage, whole_usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

_US_PER_DAY = 86_400_000_000

PRICED_TIERS = frozenset({"batch", "flex", "priority", "fast"})
"""Service tiers with prices of their own; all others, such as `default` and `on_demand`, are standard."""

_ROUTER_SEARCH = "online_searches"

_MAKERS = ("openai", "anthropic", "google", "x-ai", "perplexity", "cohere", "deepseek", "mistral")
_OPEN_WEIGHTS = ("gpt-oss", "gemma", "deepseek-r1", "deepseek-v", "deepseek-coder", "mistral-7b", "mistral-nemo")
"""Whose models a gateway on this machine may serve, and which of theirs anybody may run."""

_TIER_KEYS = ("service_tier", "processing", "speed")  # where the table of prices speaks of tiers


@dataclass(frozen=True, slots=True)
class _Rates:
    """The prices of one model at one time, resolved once."""

    source: str
    since: date | None
    rates: bill.Rates
    cost: Callable[[Usage], int | None]
    has_fee: bool = False
    """Whether a call costs something beside tokens and charges: then it is added up line by line."""


def calculate_cost(
    model: str,
    input_tokens: int,
    output_tokens: int,
    *,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    service_tier: str | None = None,
    at: datetime | None = None,
    provider: str | None = None,
) -> float | None:
    """Return what a call costs in US dollars, or None when the model has no known price.

    `input_tokens` include `cached_tokens` and `cache_write_tokens`. `service_tier` is `batch`, `flex`, `priority`,
    `fast`, or anything else for standard. `at` is when the call was made (default: now), since prices change. Source of
    the prices: the user's own, else the table of genai-prices. Raises ValueError for counts that no call can have.
    """
    usage = whole_usage(Usage(input_tokens, output_tokens, cached_tokens, cache_write_tokens))
    at_us = event.to_us(at or clock.now())
    price = price_of(usage, model, provider=provider, service_tier=service_tier, at_us=at_us)
    return None if price is None else money.to_dollars(price.cost_nanos)


def price_of(
    usage: Usage,
    model: str,
    *,
    served_model: str | None = None,
    provider: str | None = None,
    service_tier: str | None = None,
    at_us: int,
    charges: Mapping[str, int | float] | None = None,
) -> Priced | None:
    """Price one call made at `at_us` (microseconds UTC), by the model that answered, else by the one asked for.

    `service_tier` is what the provider calls the processing (`batch`, `flex`, `priority`, `fast`; all others are
    standard). `charges` are those of `tc_core.meter.usage.charges`, with tokens of other models as
    `<model>/<field of Usage>` and the region to which the call was bound as `inference_geo_<region>`. None when neither
    model has a price, or when the price table has none for that tier, or for a kind of token or charge that was used.
    """
    rates = _rates_of_call(model, served_model, provider, service_tier, at_us)
    if rates is None:
        return None
    if model.endswith(catalogue.ONLINE):
        charges = _with_search(charges)
    if not charges and not rates.has_fee:
        cost = rates.cost(usage)
        return None if cost is None else Priced(cost, rates.source, rates.since)
    found = _lines(rates.rates, usage, charges or {}, provider, service_tier, at_us)
    cost = bill.total(found)
    if cost is None or cost > event.MOST_COST_NANOS:  # which nobody was charged, and no store could hold
        return None
    beside = bill.total(line for line in found if line.is_beside)
    return Priced(cost, rates.source, rates.since, beside or 0)


def cost_of_day(
    model: str, *, served_model: str | None, provider: str | None, service_tier: str | None, day: int
) -> Callable[[Usage], int | None] | None:
    """Return what prices calls without charges of a whole day (counted from 1970), for many of them.

    None where there is no such price, or where a price follows the clock or has a fee: then `price_of` is to be asked.
    """
    rates = _rates_throughout(model, served_model, provider, service_tier, day)
    return None if rates is None else rates.cost


def plain_rates_of_day(
    model: str, *, served_model: str | None, provider: str | None, service_tier: str | None, day: int
) -> arithmetic.PlainRates | None:
    """Return the prices of a whole day where `cost_parts` of many calls without charges can be had at once."""
    rates = _rates_throughout(model, served_model, provider, service_tier, day)
    return None if rates is None else arithmetic.plain_rates(rates.rates)


def token_rates_of_day(
    model: str, *, provider: str | None, service_tier: str | None, day: int
) -> arithmetic.TokenRates | None:
    """Return the prices per token that hold a whole day (counted from 1970), for many calls without charges at once.

    None where there are none, or others too: then `price_of` is to be asked.
    """
    rates = _rates_throughout(model, None, provider, service_tier, day)
    return None if rates is None else arithmetic.token_rates(rates.rates)


def cost_parts(
    usage: Usage,
    model: str,
    *,
    served_model: str | None = None,
    provider: str | None = None,
    service_tier: str | None = None,
    at_us: int,
    charges: Mapping[str, int | float] | None = None,
) -> list[CostPart]:
    """Return the lines of which the cost of a call is the sum: each kind, how much of it, and its cost.

    The lines of a priced call add up to `price_of(...).cost_nanos`. What has no price has the cost None: it is why a
    call is unpriced. `input` is without what was cached or written to a cache, where these have prices of their own.
    """
    rates = _rates_of_call(model, served_model, provider, service_tier, at_us)
    given = bill.Rates() if rates is None else rates.rates
    if model.endswith(catalogue.ONLINE):
        charges = _with_search(charges)
    return bill.parts(_lines(given, usage, charges or {}, provider, service_tier, at_us))


def _with_search(charges: Mapping[str, int | float] | None) -> Mapping[str, int | float]:
    """Add the search that OpenRouter makes for a model `:online`, whose fee only its bill tells."""
    return {_ROUTER_SEARCH: 1, **(charges or {})}


def _rates_throughout(
    model: str, served_model: str | None, provider: str | None, service_tier: str | None, day: int
) -> _Rates | None:
    """Return the prices that hold a whole day (counted from 1970); None where one follows the clock or has a fee."""
    if model.endswith(catalogue.ONLINE):
        return None
    first, last = day * _US_PER_DAY, (day + 1) * _US_PER_DAY - 1
    rates = _rates_of_call(model, served_model, provider, service_tier, first)
    if rates is None or rates.has_fee or rates is not _rates_of_call(model, served_model, provider, service_tier, last):
        return None
    return rates


def _rates_of_call(
    model: str, served_model: str | None, provider: str | None, service_tier: str | None, at_us: int
) -> _Rates | None:
    loading.load_prices()
    found = _rates_on(model, served_model, provider, service_tier, at_us // _US_PER_DAY, own_prices.current())
    return found(at_us) if callable(found) else found


def _lines(
    given: bill.Rates,
    usage: Usage,
    charges: Mapping[str, int | float],
    provider: str | None,
    service_tier: str | None,
    at_us: int,
) -> list[bill.Line]:
    """Return the lines of a call, with those of other models at prices of their own."""
    others: dict[str, dict[str, int | float]] = {}
    own: dict[str, int | float] = {}
    for kind, count in charges.items():
        name, _, counted = kind.rpartition("/")
        if name and counted in Usage._fields:
            others.setdefault(name, {})[counted] = count
        else:
            own[kind] = count
    found = bill.lines(given, usage, own)
    bound = {kind: count for kind, count in own.items() if kind.startswith(surcharges.GEO)}
    for name, counts in others.items():
        rates = _rates_of_call(name, None, provider, service_tier, at_us)
        of_other = bill.Rates() if rates is None else rates.rates
        done = bill.lines(of_other, Usage(**counts), bound)  # type: ignore[arg-type]  # tokens are whole numbers
        found += [line._replace(by=name) for line in done]
    return found


@cache
def table_version() -> str:
    """Return name and version of the price table."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


@cache
def table_date() -> date:
    """Return the newest day up to today on which a price of the table took effect: it is at least that new."""
    from genai_prices.data import providers

    today = clock.now().date()
    starts: list[date] = [
        start
        for provider in providers
        for model in provider.models
        if isinstance(model.prices, list)
        for start in (getattr(conditional.constraint, "start_date", None) for conditional in model.prices)
        if start is not None and start <= today
    ]
    return max(starts)


_RatesOfDay = _Rates | Callable[[int], _Rates | None] | None
"""The rates of a whole day, or for the few models whose price follows the clock, what resolves them."""


@lru_cache(maxsize=4096)
def _rates_on(
    model: str,
    served_model: str | None,
    provider: str | None,
    service_tier: str | None,
    day: int,
    own: own_prices.PriceList,
) -> _RatesOfDay:
    """Return the rates of the first name that has some, the user's own before the table's."""
    tier = service_tier if service_tier in PRICED_TIERS else None
    names = [name for name in dict.fromkeys((served_model, model)) if name]
    if names and names[-1].endswith(catalogue.FREE):  # the answer may name the model without that
        names = names[-1:]
    for name in names if own.entries else ():
        rates = _own_rates(name, provider, tier, day, own)
        if rates is not None:
            return rates
    of_day = [_rates_of_day(name, provider, tier, day) for name in names]
    return partial(_first, of_day) if any(map(callable, of_day)) else _first(of_day, day * _US_PER_DAY)


def _first(found: Sequence[_RatesOfDay], at_us: int) -> _Rates | None:
    at_once = (each(at_us) if callable(each) else each for each in found)
    return next((rates for rates in at_once if rates is not None), None)


@lru_cache(maxsize=4096)
def _rates_of_day(model: str, provider: str | None, tier: str | None, day: int) -> _RatesOfDay:
    """Return the rates of a whole day by one name."""
    if catalogue.is_local(provider, model):
        return _free("local")
    info = _find(model, provider)
    if info is None:
        is_here = provider == catalogue.ON_LOOPBACK and not catalogue.is_of_cloud(model)
        return _free("local") if is_here else _for_nothing("free") if catalogue.is_free(provider, model) else None
    return partial(_resolve, info, tier) if _changes_within_a_day(info) else _resolve(info, tier, day * _US_PER_DAY)


@lru_cache(maxsize=4096)
def _own_rates(
    model: str, provider: str | None, tier: str | None, day: int, own: own_prices.PriceList
) -> _Rates | None:
    """Return the rates that the user gives a model, or None."""
    price = own.find(model, provider, tier, event.from_us(day * _US_PER_DAY).date())
    if price is None:
        return None
    is_whole = price.model.endswith(catalogue.ONLINE)  # what it says of such a model, it says of its searches too
    per = {_ROUTER_SEARCH: Fraction(0), **price.per} if is_whole else price.per
    if price.like is None:
        return _made("own prices", price.since, bill.Rates("", price.prices(), per))
    info, found = prices_like(price, provider, tier, day * _US_PER_DAY)
    return _made("own prices", price.since, bill.Rates(info.id, found, per))


def prices_like(
    price: own_prices.OwnPrice, provider: str | None, tier: str | None, at_us: int
) -> "tuple[ModelInfo, ModelPrice]":
    """Return the model and the prices of an entry that names it; raise PriceNotFoundError where that has none."""
    like = price.like or ""
    info = _find(like, provider) or _find(like, None)
    found = None if info is None else prices_at(info, tier, at_us)
    if info is None or found is None:
        raise PriceNotFoundError(f"own price {price.model!r} is to be like {like!r}, which has no known price")
    return info, own_prices.times(price.with_fee(found), price.factor)


def look_up(model: str, provider: str | None) -> "tuple[str, ModelInfo] | None":
    """Return the provider's and the model's entry of the table, or None."""
    loading.load_prices()
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    for provider_id, reference in _spellings(model, provider):
        try:
            found, info = snapshot.find_provider_model(reference, None, provider_id, None)
        except LookupError:
            continue
        return found.id, info
    return None


def _spellings(model: str, provider: str | None) -> Iterator[tuple[str | None, str]]:
    if provider == catalogue.ON_LOOPBACK and not catalogue.is_of_cloud(model):
        if not catalogue.bare_name(model).startswith(_OPEN_WEIGHTS):
            for maker in _MAKERS:
                yield from ((name, text) for name, text in catalogue.spellings(model, maker) if name == maker)
        return
    yield from catalogue.spellings(model, provider)
    is_azure = catalogue.provider_name(provider) == "azure" or model.startswith("azure/")
    if is_azure and (held := catalogue.model_within(model.removeprefix("azure/"), _on_azure())):
        yield from catalogue.spellings(held, "azure")


@cache
def _on_azure() -> frozenset[str]:
    """Return the names of models that Azure may serve."""
    from genai_prices.data import providers

    return frozenset(model.id.lower() for each in providers if each.id in ("azure", "openai") for model in each.models)


def _find(model: str, provider: str | None) -> "ModelInfo | None":
    found = look_up(model, provider)
    return None if found is None else found[1]


def _changes_within_a_day(info: "ModelInfo") -> bool:
    from genai_prices.types import TimeOfDateConstraint

    return isinstance(info.prices, list) and any(
        isinstance(conditional.constraint, TimeOfDateConstraint) for conditional in info.prices
    )


def _resolve(info: "ModelInfo", tier: str | None, at_us: int) -> _Rates | None:
    prices = prices_at(info, tier, at_us)
    if prices is None:
        return None
    if not any(value is not None for value in vars(prices).values()):
        return _for_nothing(table_version()) if info.id.endswith(catalogue.FREE) else None
    return _made(table_version(), start(info, at_us), bill.Rates(info.id, prices))


def _made(source: str, since: date | None, rates: bill.Rates) -> _Rates:
    has_fee = rates.prices is not None and rates.prices.requests_kcount is not None
    return _Rates(source, since, rates, arithmetic.cost_function(rates), has_fee)


def prices_at(info: "ModelInfo", tier: str | None, at_us: int) -> "ModelPrice | None":
    """Return the prices at a time; None for a tier whose prices the table does not know."""
    standard = info.get_prices(event.from_us(at_us))
    if tier is None:
        return standard
    prices = info.get_prices(event.from_us(at_us), dict.fromkeys(_TIER_KEYS, tier))
    return None if vars(prices) == vars(standard) else prices


def start(info: "ModelInfo", at_us: int) -> date | None:
    """Return the first day of the prices that hold at a time, where the table knows it."""
    prices = info.get_prices(event.from_us(at_us))
    conditional = info.prices if isinstance(info.prices, list) else []
    starts = [getattr(each.constraint, "start_date", None) for each in conditional if each.prices is prices]
    return starts[0] if starts else None


def _for_nothing(source: str) -> _Rates:
    """Return the rates of a hosted model whose tokens cost nothing; what comes beside them may."""
    from genai_prices.types import ModelPrice

    return _made(source, None, bill.Rates("", ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0))))


def _free(source: str) -> _Rates:
    return _made(source, None, bill.Rates(is_free=True))
