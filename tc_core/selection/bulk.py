"""Pricing many calls at once: the same sums as one by one, in arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tc_core.meter import prices
from tc_core.meter.arithmetic import TOKENS_PER_PRICE, Tiers, TokenRates
from tc_core.model.ports import CallFacts
from tc_core.model.usage import Usage

Whole = NDArray[np.int64]

_US_PER_DAY = 86_400_000_000
_ANY = Usage(1, 1)
_MOST = 2**62
"""What a product of tokens and rates must stay below, so that no sum of five overflows."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Calls of one provider and tier: and their tokens."""

    provider: str | None
    tier: str | None
    tokens: tuple[Whole, Whole, Whole, Whole, Whole]
    """Input, output, cached, written to a cache, and of these for an hour."""
    days: tuple[int, ...]
    """The days (counted from 1970) on which there are any."""


class PlainCalls:
    """The calls that have prices per token alone; all others are in `others` and are priced one by one."""

    def __init__(self, calls: Sequence[CallFacts]) -> None:
        self.others: list[CallFacts] = []
        sorted_out: dict[tuple[str | None, str | None], list[CallFacts]] = {}
        for call in calls:
            usage = call.usage
            has_audio = usage.audio_input_tokens or usage.audio_output_tokens
            if call.charges is not None or has_audio or (usage.input_tokens is None and usage.output_tokens is None):
                self.others.append(call)
            else:
                sorted_out.setdefault((call.provider, call.service_tier), []).append(call)
        self._groups = [_group(provider, tier, each) for (provider, tier), each in sorted_out.items()]

    def cost_with(self, model: str, *, output: float = 1.0) -> int | None:
        """Return what they would have cost with a model, in nano-dollars; None where arrays cannot tell."""
        total = 0
        for group in self._groups:
            rates = _rates(model, group)
            cost = None if rates is None else _cost(rates, group.tokens, output)
            if cost is None:
                return None
            total += cost
        return total


def _group(provider: str | None, tier: str | None, calls: Sequence[CallFacts]) -> _Group:
    def column(name: str) -> Whole:
        return np.array([getattr(call.usage, name) or 0 for call in calls], dtype=np.int64)

    days = {call.at_us // _US_PER_DAY for call in calls}
    names = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    one, two, three, four, five = map(column, names)
    return _Group(provider, tier, (one, two, three, four, five), tuple(sorted(days)))


def _rates(model: str, group: _Group) -> TokenRates | None:
    """Return the prices that hold for a group; None where there are none per token alone, or where they change."""
    for provider in dict.fromkeys((group.provider, None)):  # another provider's model is known by its name alone
        found = {
            prices.token_rates_of_day(model, provider=provider, service_tier=group.tier, day=day) for day in group.days
        }
        if found != {None}:
            return found.pop() if len(found) == 1 else None
        at_us = group.days[0] * _US_PER_DAY
        if prices.price_of(_ANY, model, provider=provider, service_tier=group.tier, at_us=at_us) is not None:
            return None  # it has prices, but others than these
    return None


def _cost(rates: TokenRates, tokens: tuple[Whole, Whole, Whole, Whole, Whole], output: float) -> int | None:
    taken, made, cached, written, hour = tokens
    if output != 1.0:
        made = np.rint(made * output).astype(np.int64)
    nothing = np.zeros_like(taken)
    cached = cached if rates.reads_cache else nothing
    written = written if rates.writes_cache else nothing
    if (cached + written > taken).any():
        return None
    hour = np.minimum(hour, written)
    sums, most = nothing.copy(), 0
    counts = (taken - cached - written, cached, written - hour, hour, made)
    for count, tiers in zip(counts, rates.tiers, strict=True):
        most += int(count.max()) * max(rate for _, rate in tiers)
        sums += count * _at(tiers, taken)
    if most >= _MOST:
        return None
    nanos, rest = np.divmod(sums, TOKENS_PER_PRICE)
    goes_up = (rest * 2 > TOKENS_PER_PRICE) | ((rest * 2 == TOKENS_PER_PRICE) & (nanos % 2 == 1))
    return int(nanos.sum()) + int(goes_up.sum())


def _at(tiers: Tiers, taken: Whole) -> Whole | int:
    """Return the rate of each call, by how long its prompt is."""
    if len(tiers) == 1:
        return tiers[0][1]
    found = np.full(taken.shape, tiers[-1][1], dtype=np.int64)
    for start, rate in reversed(tiers[:-1]):
        found[taken > start] = rate
    return found
