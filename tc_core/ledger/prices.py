"""What the inputs of calls cost, zone by zone: read from a cache, written to one, and the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import orjson

from tc_core.ledger.columns import UNKNOWN, Columns, Mask, Numbers, grouped
from tc_core.ledger.sql import USAGE
from tc_core.meter import prices
from tc_core.meter.arithmetic import PlainRates
from tc_core.model.usage import Usage
from tc_core.store.schema.days import US_PER_DAY

_CACHED, _WRITTEN, _INPUT = "cached", "cache write", ("input", "audio input", "image input", "video input")
_ZONES = 3
_MOST = 1 << 62


class Zones(NamedTuple):
    """What each of some inputs costs, in the order in which the zones lie: their tokens, and nano-dollars.

    Both have a row for each zone. Of an input without a price `is_priced` is False, and all is 0.
    """

    is_priced: Mask
    sizes: Numbers
    nanos: Numbers

    def up_to(self, edges: Numbers, inputs: Numbers) -> Numbers:
        """Return what the front of some inputs costs, in nano-dollars, rounded down within a zone.

        `edges` say how many tokens of each one; `inputs` are their places, any number of times.
        """
        sizes, nanos = self.sizes, self.nanos
        if int(sizes.max(initial=0)) * int(np.abs(nanos).max(initial=0)) >= _MOST:
            sizes, nanos, edges = sizes.astype(object), nanos.astype(object), edges.astype(object)
        ends, paid = np.cumsum(sizes, axis=0), np.cumsum(nanos, axis=0) - nanos
        zone = (edges > ends[0][inputs]).astype(np.int64) + (edges > ends[1][inputs]).astype(np.int64)
        at = zone * sizes.shape[1] + inputs
        sizes, nanos, starts, paid = (each.ravel()[at] for each in (sizes, nanos, ends - sizes, paid))
        found: Numbers = paid + nanos * (edges - starts) // np.maximum(sizes, 1)
        return found.astype(np.int64)


def input_zones(calls: Columns, names: Mapping[int, str], charges: Mapping[int, str]) -> Zones:
    """Price the inputs of calls, which are columns as `sql.calls` gives them; `names` are of models and providers.

    `charges` are those of the calls that have any, by their keys.
    """
    read, costs = calls["input_tokens"], calls["cost_nanos"]
    cached = np.minimum(_or_none(calls["cached_tokens"]), read)
    written = np.minimum(_or_none(calls["cache_write_tokens"]), read - cached)
    is_priced, nanos = costs != UNKNOWN, np.zeros((_ZONES, len(read)), np.int64)
    table = _Table(calls, names, charges)
    plain, others = table.sorted_out(np.flatnonzero(is_priced & (costs != 0)))
    for rates, rows in plain:
        cached[rows] *= rates.read is not None
        written[rows] *= rates.write is not None
        parts = rates.parts(*(_or_none(calls[name][rows]) for name in _PLAIN))
        nanos[:, rows] = parts.cached, parts.written, parts.rest
        billed = np.flatnonzero((parts.whole != 0) & (parts.whole != costs[rows]))
        for place in billed.tolist():
            row, whole = rows[place], int(parts.whole[place])
            nanos[:, row] = [int(each) * int(costs[row]) // whole for each in nanos[:, row]]
    for row in others.tolist():
        of_table = table.of(row)
        if of_table is None:
            is_priced[row] = False
            continue
        cached[row] *= of_table.cached is not None
        written[row] *= of_table.written is not None
        nanos[:, row] = _billed(of_table, int(costs[row]))
    return Zones(is_priced, np.array([cached, written, read - cached - written]), nanos)


_PLAIN = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens")


class _Prices(NamedTuple):
    """What a call costs by the table, in nano-dollars; None where the table has no such price, so that it is input.

    `is_all` is False where something beside the input has no price, so that the whole is more than `whole`.
    """

    cached: int | None
    written: int | None
    rest: int
    whole: int
    is_all: bool


def _billed(of_table: _Prices, cost_nanos: int) -> list[int]:
    """Return what the zones cost: of a bill of the provider's own, the shares that they have by the table."""
    nanos = [of_table.cached or 0, of_table.written or 0, of_table.rest]
    whole = of_table.whole if of_table.is_all else max(of_table.whole, cost_nanos)
    if whole in (0, cost_nanos):
        return nanos
    return [each * cost_nanos // whole for each in nanos]


class _Named(TypedDict):
    """What a call was answered by, beside the model that it names."""

    served_model: str | None
    provider: str | None
    service_tier: str | None


class _Table:
    """Prices calls by the table of prices; those that are alike are priced once."""

    def __init__(self, calls: Columns, names: Mapping[int, str], charges: Mapping[int, str]) -> None:
        self._calls, self._names, self._charges = calls, names, charges
        self._days = calls["at"] // US_PER_DAY
        self._known: dict[tuple[int | str | None, ...], _Prices | None] = {}

    def sorted_out(self, rows: Numbers) -> tuple[list[tuple[PlainRates, Numbers]], Numbers]:
        """Return those calls that can be priced many at once, by their prices, and all others."""
        code, first = grouped([self._calls[name][rows] for name in _NAMES] + [self._days[rows]])
        rates = [self._rates(row) for row in rows[first].tolist()]
        of_rates: dict[PlainRates | None, list[int]] = {}
        for number, each in enumerate(rates):
            of_rates.setdefault(each, []).append(number)
        plain: list[tuple[PlainRates, Numbers]] = []
        others = np.isin(code, of_rates.pop(None, []))
        for each, numbers in of_rates.items():
            if each is None:
                continue
            is_meant = np.isin(code, numbers)
            is_plain = is_meant & self._is_plain(rows, each.most_tokens)
            others |= is_meant & ~is_plain
            plain.append((each, rows[is_plain]))
        return plain, rows[others]

    def of(self, row: int) -> _Prices | None:
        """Return what the parts of one call's input cost, line by line."""
        counts = (int(self._calls[name][row]) for name in (*_NAMES, *USAGE))
        key = (int(self._days[row]), self._charges_of(row), *counts)
        if key not in self._known:
            self._known[key] = self._priced(row)
        return self._known[key]

    def _is_plain(self, rows: Numbers, most_tokens: int) -> Mask:
        """Tell whose counts agree with each other, and who has no audio and no charges."""
        used = {name: _or_none(self._calls[name][rows]) for name in USAGE}
        is_whole = used["cached_tokens"] + used["cache_write_tokens"] <= used["input_tokens"]
        is_whole &= used["cache_write_1h_tokens"] <= used["cache_write_tokens"]
        has_audio = (used["audio_input_tokens"] != 0) | (used["audio_output_tokens"] != 0)
        is_large = np.maximum(used["input_tokens"], used["output_tokens"]) > most_tokens
        found: Mask = is_whole & ~has_audio & ~is_large & (self._calls["has_charges"][rows] == 0)
        return found

    def _rates(self, row: int) -> PlainRates | None:
        model, named = self._named(row)
        return None if model is None else prices.plain_rates_of_day(model, **named, day=int(self._days[row]))

    def _priced(self, row: int) -> _Prices | None:
        model, named = self._named(row)
        if model is None:
            return None
        counts = {name: int(self._calls[name][row]) for name in USAGE}
        usage = Usage(**{name: None if count == UNKNOWN else count for name, count in counts.items()})
        told = self._charges_of(row)
        charges = None if told is None else orjson.loads(told)
        parts = prices.cost_parts(usage, model, at_us=int(self._calls["at"][row]), charges=charges, **named)
        if any(part.cost_nanos is None and _is_input(part.kind) for part in parts):
            return None
        known = [(part.kind, part.cost_nanos) for part in parts if part.cost_nanos is not None]
        return _Prices(
            _sum(known, lambda kind: kind.startswith(_CACHED) and _is_input(kind)),
            _sum(known, lambda kind: kind.startswith(_WRITTEN) and _is_input(kind)),
            _sum(known, lambda kind: kind in _INPUT) or 0,
            sum(cost for _, cost in known),
            len(known) == len(parts),
        )

    def _charges_of(self, row: int) -> str | None:
        return self._charges.get(int(self._calls["key"][row]))

    def _named(self, row: int) -> tuple[str | None, _Named]:
        model, served, provider, tier = (self._names.get(int(self._calls[name][row])) for name in _NAMES)
        return model or served, _Named(served_model=served, provider=provider, service_tier=tier)


_NAMES = ("model", "served_model", "provider", "service_tier")


def _is_input(kind: str) -> bool:
    """Tell whether a line of a cost is part of the call's own input, and not of what another model did for it."""
    return kind in _INPUT or (kind.startswith((_CACHED, _WRITTEN)) and " by " not in kind)


def _sum(costs: Sequence[tuple[str, int]], is_meant: Callable[[str], bool]) -> int | None:
    found = [cost for kind, cost in costs if is_meant(kind)]
    return sum(found) if found else None


def _or_none(column: Numbers) -> Numbers:
    """Return counts with 0 where none is known."""
    return np.where(column == UNKNOWN, 0, column)
