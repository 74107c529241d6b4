"""What the calls would have cost with another model, each priced by itself at its own time."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from tc_core.costs.repricing import Repricing
from tc_core.costs.scenarios import Scenario
from tc_core.meter import prices
from tc_core.model import money
from tc_core.model.ports import CallFacts
from tc_core.record.reports import BILLED
from tc_core.selection.bulk import PlainCalls
from tc_core.selection.calls import Calls
from tc_core.selection.facts import place_of


class Cost(NamedTuple):
    """What all calls would have cost in nano-dollars; None where one cannot be priced, and `missing` says why."""

    nanos: int | None
    missing: str | None = None


class Pricing:
    """Prices the same calls with one model after the other."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._plain = PlainCalls(calls.calls) if calls.as_of is None else None
        costs = [call.cost_nanos for call in calls.calls]
        self.now: int | None = None if None in costs or not costs else sum(cost or 0 for cost in costs)
        """What the calls have cost in nano-dollars, None where that is not known."""

    def cost_with(self, model: str, *, output: float = 1.0) -> Cost:
        """Price the calls as if another model had been asked, with `output` times as many output tokens."""
        calls, names = self._calls, self._calls.names
        plain = None if self._plain is None else self._plain.cost_with(model, output=output)
        if plain is None or self._plain is None:
            return one_by_one(model, calls.for_model(model), names, output)
        others = one_by_one(model, self._plain.others, names, output)
        return others if others.nanos is None else Cost(plain + others.nanos)


def one_by_one(model: str, calls: Sequence[CallFacts], names: Collection[str], output: float = 1.0) -> Cost:
    """Price calls of the models `names` as if another had been asked, each by itself."""
    repricing = Repricing(Scenario(model_map=dict.fromkeys(names, model)))
    total = 0
    for call in calls:
        cost, _ = repricing.after(call if output == 1.0 else _wordier(call, output))
        if cost is None:
            return Cost(None, _missing(model, call))
        total += cost
    return Cost(total)


def cost_again(calls: Sequence[CallFacts]) -> tuple[int, int, int]:
    """Price calls again by their own models; return what they cost, that sum, and how many differ.

    The two are equal to the last nano-dollar unless a price has changed since; costs that the provider stated are what
    they are.
    """
    before = after = differ = 0
    for call in calls:
        cost = call.cost_nanos or 0
        before += cost
        again = cost if call.price_source in (None, BILLED) else _own(call)
        after += again or 0
        differ += again != cost
    return before, after, differ


def is_of_another_maker(model: str, other: str) -> bool:
    """Tell whether two models may count the same text differently."""
    first, second = place_of(model), place_of(other)
    return first is None or second is None or first.provider != second.provider


def _own(call: CallFacts) -> int | None:
    priced = prices.price_of(
        call.usage,
        call.model or call.served_model or "",
        served_model=call.served_model,
        provider=call.provider,
        service_tier=call.service_tier,
        at_us=call.at_us,
        charges=_charges(call),
    )
    return None if priced is None else priced.cost_nanos


def _wordier(call: CallFacts, output: float) -> CallFacts:
    made = call.usage.output_tokens
    if made is None:
        return call
    return call._replace(usage=call.usage._replace(output_tokens=round(made * output)))


def _missing(model: str, call: CallFacts) -> str:
    """Say for what of a call a model has no price."""
    place = place_of(model)
    if place is None and prices.price_of(call.usage, model, at_us=call.at_us) is None:
        return "no price is known for it"
    parts = prices.cost_parts(
        call.usage, model, service_tier=call.service_tier, at_us=call.at_us, charges=_charges(call)
    )
    kinds = sorted({part.kind for part in parts if part.cost_nanos is None})
    if call.service_tier in prices.PRICED_TIERS and (not kinds or len(kinds) == len(parts)):
        return f"it has no price for the tier {call.service_tier!r}, which calls have"
    return f"it has no price for {', '.join(kinds) or 'what the calls have'}"


def _charges(call: CallFacts) -> Mapping[str, Any] | None:
    return None if call.charges is None else orjson.loads(call.charges)


def dollars(nanos: int | None) -> float | None:
    """Return US dollars; None stays None."""
    return None if nanos is None else money.to_dollars(nanos)


def in_words(dollars: float) -> str:
    """Write US dollars for a sentence: `$4.13`, `$0.0412`, `$0.000021`, `$0`."""
    return f"${dollars:,.2f}" if dollars >= 1 else f"${Decimal(f'{dollars:.3g}'):f}"
