"""What the input of a call costs, zone by zone: read from a cache, written to one, and the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

from tc_core.meter import prices
from tc_core.model.usage import Usage

Zones = Sequence[tuple[int, int]]
"""Tokens and what they cost in nano-dollars, in the order in which they lie in the prompt."""


class InputZones:
    """Prices the input of calls; those that are alike are priced once."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._known: dict[tuple[Any, ...], Zones | None] = {}

    def of(self, row: Any) -> Zones | None:
        """Return the zones of a call's input, None where it has no price."""
        if row.cost_nanos is None:
            return None
        read = row.input_tokens
        cached = min(row.cached_tokens or 0, read)
        written = min(row.cache_write_tokens or 0, read - cached)
        sizes = (cached, written, read - cached - written)
        nanos = self._table(row, cached, written)
        if nanos is None or row.cost_nanos == 0:
            return [(size, 0) for size in sizes] if row.cost_nanos == 0 else None
        return list(zip(sizes, nanos, strict=True))

    def _table(self, row: Any, cached: int, written: int) -> tuple[int, int, int] | None:
        model = self._names.get(row.model) or self._names.get(row.served_model)
        if model is None:
            return None

        def cost(usage: Usage) -> int | None:
            found = prices.price_of(
                usage,
                model,
                served_model=self._names.get(row.served_model),
                provider=self._names.get(row.provider),
                service_tier=self._names.get(row.service_tier),
                at_us=row.at,
            )
            return None if found is None else found.cost_nanos

        whole = cost(
            Usage(
                row.input_tokens,
                0,
                row.cached_tokens,
                row.cache_write_tokens,
                None,
                row.audio_input_tokens,
                None,
                row.cache_write_1h_tokens,
            )
        )
        if whole is None:
            return None
        of_cached = cost(Usage(cached, 0, cached)) if cached else 0
        of_written = (
            cost(Usage(written, 0, 0, written, cache_write_1h_tokens=row.cache_write_1h_tokens)) if written else 0
        )
        front = min((of_cached or 0), whole), min(of_written or 0, whole - min(of_cached or 0, whole))
        return (*front, whole - sum(front))
