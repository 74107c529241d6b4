"""What a recorded call would have cost, had something been different."""

from collections.abc import Callable
from datetime import UTC, date
from functools import cache
from typing import NamedTuple

import orjson

from tc_core.costs.scenarios import Scenario
from tc_core.meter import prices
from tc_core.model import clock
from tc_core.model.event import to_us
from tc_core.model.period import midnight
from tc_core.model.ports import CallFacts
from tc_core.model.usage import Usage
from tc_core.record.reports import BILLED

_GIVEN = frozenset({None, BILLED})
"""Sources of costs that no table says: what the change does to the table's price, it does to them."""


_US_PER_DAY = 86_400_000_000

_Cost = Callable[[Usage], int | None]


class _Asked(NamedTuple):
    """What is to be priced; `charges` is JSON or None."""

    usage: Usage
    model: str
    served_model: str | None
    provider: str | None
    charges: str | None


class Repricing:
    """Prices calls as a scenario has them; remembers what it met on the way."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._changes_all = scenario.changes_every_call
        day = scenario.price_date
        self._at_us = to_us(midnight(day, UTC)) if isinstance(day, date) else None
        self.seen: set[str] = set()
        """Models of the scenario that calls have."""
        self.unknown: set[str] = set()
        """Models without a price."""
        self.too_long: dict[str, int] = {}
        """How many calls have more input than the model takes that would answer them."""
        self.windows: dict[str, int | None] = {}
        self.without_batch: set[str] = set()
        self._now_us = to_us(clock.now())
        self._of_day: dict[tuple[str, str | None, str | None, str | None, int], _Cost | None] = {}

    def after(self, call: CallFacts) -> tuple[int | None, bool]:
        """Return what a call would cost, and whether that rests on tokens that may be counted otherwise."""
        if call.cost_nanos == 0 and call.price_source == "cache":
            return 0, False
        if call.usage.input_tokens is None and call.usage.output_tokens is None:
            return call.cost_nanos, False
        other = self._other(call)
        if other is None and not self._changes_all:
            return call.cost_nanos, False
        usage = self._usage(call.usage)
        if other is not None and call.usage.input_tokens:
            self._check_window(other, usage.input_tokens or 0)
        price = self._price(call, usage, other)
        if price is not None and other is None and call.cost_nanos is not None and call.price_source in _GIVEN:
            of_table = self._price(call, call.usage, None, as_it_was=True)
            return (round(call.cost_nanos * price / of_table) if of_table else call.cost_nanos), False
        return price, other is not None and _maker(other) != _maker(call.served_model or call.model or "")

    def _other(self, call: CallFacts) -> str | None:
        """Return the model that takes the place of a call's own."""
        for name in (call.model, call.served_model):
            if name is not None and (other := self._scenario.model_map.get(name)) is not None:
                self.seen.add(name)
                return other
        return None

    def _usage(self, usage: Usage) -> Usage:
        scale, rate = self._scenario.prompt_tokens, self._scenario.cache_hit_rate
        if scale == 1 and rate is None:
            return usage
        tokens = None if usage.input_tokens is None else round(usage.input_tokens * scale)
        written = None if usage.cache_write_tokens is None else round(usage.cache_write_tokens * scale)
        cached = None if usage.cached_tokens is None else round(usage.cached_tokens * scale)
        if rate is not None and tokens is not None:
            cached = round(tokens * rate)
            written = None if written is None else min(written, tokens - cached)
        hour = usage.cache_write_1h_tokens
        return usage._replace(
            input_tokens=tokens,
            cached_tokens=cached,
            cache_write_tokens=written,
            cache_write_1h_tokens=None if hour is None or written is None else min(round(hour * scale), written),
            audio_input_tokens=None if usage.audio_input_tokens is None else min(usage.audio_input_tokens, tokens or 0),
        )

    def _price(self, call: CallFacts, usage: Usage, other: str | None, *, as_it_was: bool = False) -> int | None:
        model = other or call.model or call.served_model
        if model is None:
            return None
        tier = call.service_tier if as_it_was or not self._scenario.batch else "batch"
        at_us = call.at_us if as_it_was or self._at_us is None else self._at_us
        asked = _Asked(usage, model, None if other else call.served_model, call.provider, call.charges)
        cost = self._ask(asked, tier, at_us)
        if cost is None and other is not None and call.provider is not None:
            asked = asked._replace(provider=None)  # another provider's model
            cost = self._ask(asked, tier, at_us)
        if cost is None and tier == "batch" and self._scenario.batch:
            cost = self._ask(asked, tier, self._now_us)  # the table may know it only since some day
        if cost is None and tier == "batch" and self._scenario.batch:
            cost = self._ask(asked, call.service_tier, at_us)
            if cost is not None:
                self.without_batch.add(model)
        if cost is None and (other is not None or call.cost_nanos is not None):
            self.unknown.add(model)
        return cost

    def _ask(self, asked: "_Asked", tier: str | None, at_us: int) -> int | None:
        usage, model, served, provider, charges = asked
        if charges is None:
            key = (model, served, provider, tier, at_us // _US_PER_DAY)
            if key not in self._of_day:
                self._of_day[key] = prices.cost_of_day(
                    model, served_model=served, provider=provider, service_tier=tier, day=key[-1]
                )
            cost = self._of_day[key]
            if cost is not None:
                return cost(usage)
        given = None if charges is None else orjson.loads(charges)
        priced = prices.price_of(
            usage, model, served_model=served, provider=provider, service_tier=tier, at_us=at_us, charges=given
        )
        return None if priced is None else priced.cost_nanos

    def _check_window(self, model: str, tokens: int) -> None:
        if model not in self.windows:
            found = prices.look_up(model, None)
            self.windows[model] = None if found is None else found[1].context_window
        window = self.windows[model]
        if window is not None and tokens > window:
            self.too_long[model] = self.too_long.get(model, 0) + 1


@cache
def _maker(model: str) -> str:
    """Return who makes a model: models of one maker count tokens alike."""
    found = prices.look_up(model, None)
    return model if found is None else found[0]
