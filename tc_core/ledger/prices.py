"""What the input of a call costs, zone by zone: read from a cache, written to one, and the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

from tc_core.meter import prices
from tc_core.model.usage import Usage
from tc_core.store.schema.days import US_PER_DAY

Zones = Sequence[tuple[int, int]]
"""Tokens and what they cost in nano-dollars, in the order in which they lie in the prompt."""

_Prices = tuple[int, int, int, int, bool, bool]
"""What the zones cost, what the whole call costs, and whether the first two have prices of their own."""

_CACHED, _WRITTEN, _INPUT = "cached", "cache write", ("input", "audio input", "image input", "video input")


class InputZones:
    """Prices the input of calls; those that are alike are priced once."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._known: dict[tuple[Any, ...], _Prices | None] = {}

    def of(self, row: Any) -> Zones | None:
        """Return the zones of a call's input, None where it has no price."""
        if row.cost_nanos is None:
            return None
        cached = min(row.cached_tokens or 0, row.input_tokens)
        written = min(row.cache_write_tokens or 0, row.input_tokens - cached)
        sizes = (cached, written, row.input_tokens - cached - written)
        if row.cost_nanos == 0:
            return [(size, 0) for size in sizes]
        of_table = self._of_table(row)
        if of_table is None:
            return None
        *nanos, whole, has_cached, has_written = of_table
        cached, written = cached if has_cached else 0, written if has_written else 0  # else they cost what input does
        sizes = (cached, written, row.input_tokens - cached - written)
        if whole != row.cost_nanos and whole:  # a bill of the provider's own, split as the table would
            nanos = [each * row.cost_nanos // whole for each in nanos]
        return list(zip(sizes, nanos, strict=True))

    def _of_table(self, row: Any) -> _Prices | None:
        """Return what the three zones cost by the table, and the whole call."""
        key = (
            row.model,
            row.served_model,
            row.provider,
            row.service_tier,
            row.at // US_PER_DAY,
            row.input_tokens,
            row.output_tokens,
            row.cached_tokens,
            row.cache_write_tokens,
            row.audio_input_tokens,
            row.audio_output_tokens,
            row.cache_write_1h_tokens,
        )
        if key not in self._known:
            self._known[key] = self._priced(row)
        return self._known[key]

    def _priced(self, row: Any) -> _Prices | None:
        model = self._names.get(row.model) or self._names.get(row.served_model)
        if model is None:
            return None
        parts = prices.cost_parts(
            Usage(**{name: getattr(row, name) for name in Usage._fields if name != "reasoning_tokens"}),
            model,
            served_model=self._names.get(row.served_model),
            provider=self._names.get(row.provider),
            service_tier=self._names.get(row.service_tier),
            at_us=row.at,
        )
        costs = [(part.kind, part.cost_nanos) for part in parts]
        if any(cost is None for _, cost in costs):
            return None
        known = [(kind, cost or 0) for kind, cost in costs]
        return (
            sum(cost for kind, cost in known if kind.startswith(_CACHED)),
            sum(cost for kind, cost in known if kind.startswith(_WRITTEN)),
            sum(cost for kind, cost in known if kind in _INPUT),
            sum(cost for _, cost in known),
            any(kind.startswith(_CACHED) for kind, _ in known),
            any(kind.startswith(_WRITTEN) for kind, _ in known),
        )
