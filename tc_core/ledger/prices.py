"""What the input of a call costs, zone by zone: read from a cache, written to one, and the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tc_core.meter import prices
from tc_core.model.usage import Usage
from tc_core.store.schema.days import US_PER_DAY

Zones = Sequence[tuple[int, int]]
"""Tokens and what they cost in nano-dollars, in the order in which they lie in the prompt."""

_CACHED, _WRITTEN, _INPUT = "cached", "cache write", ("input", "audio input", "image input", "video input")


class _Prices(NamedTuple):
    """What a call costs by the table, in nano-dollars; None where the table has no such price, so that it is input."""

    cached: int | None
    written: int | None
    rest: int
    whole: int


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
        cached, written = 0 if of_table.cached is None else cached, 0 if of_table.written is None else written
        sizes = (cached, written, row.input_tokens - cached - written)
        nanos = (of_table.cached or 0, of_table.written or 0, of_table.rest)
        if of_table.whole not in (0, row.cost_nanos):  # a bill of the provider's own, split as the table would
            nanos = tuple(each * row.cost_nanos // of_table.whole for each in nanos)
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
        return _Prices(
            _sum(known, lambda kind: kind.startswith(_CACHED)),
            _sum(known, lambda kind: kind.startswith(_WRITTEN)),
            _sum(known, lambda kind: kind in _INPUT) or 0,
            sum(cost for _, cost in known),
        )


def _sum(costs: Sequence[tuple[str, int]], is_meant: Callable[[str], bool]) -> int | None:
    found = [cost for kind, cost in costs if is_meant(kind)]
    return sum(found) if found else None
