"""The waterfall: every billed input token of some calls, by where it comes from, and what was sent again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

from tc_core.ledger.scaling import largest_remainders, split_cost
from tc_core.ledger.sends import Call, Origins, Send, read
from tc_core.model import money
from tc_core.model.ports import Filters
from tc_core.store.sql import SqlStore

OriginKind = Literal["tools", "system", "user", "answer", "tool", "passage", "format", "unexplained", "no_details"]

MOST_SCALE = 1.2
"""So much more than was counted may be billed and still be explained by the counting; the rest is `unexplained`."""


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """Input tokens of one origin.

    `origin_kind` is `tools` (their schemas), `system`, `user`, `answer` (of a model), `tool` (what one has said),
    `passage` (what a retriever has found), `format` (what a request adds), `unexplained` (images, audio, and what
    providers add unseen) or `no_details` (calls of which the ledger has nothing). `origin_id` is the event or content
    where a row is about one. Of `tokens`, `first_tokens` were sent for the first time in their session, or without one
    in their run. `sends` counts how often a segment was part of a call. `cost` is US dollars, None without a price.
    """

    origin_kind: OriginKind
    origin_id: str | None
    name: str
    tokens: int
    first_tokens: int
    resent_tokens: int
    sends: int
    cost_nanos: int | None

    @property
    def cost(self) -> float | None:
        """The cost in dollars."""
        return None if self.cost_nanos is None else money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"cost": self.cost, **{each.name: getattr(self, each.name) for each in fields(self)}}


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Where the input tokens of some calls come from; the rows sum to the totals exactly.

    `scale` is what was billed over what was counted, of the calls that are explained; None where there are none. The
    total cost is that of the input, None where no call has a price; `unpriced_calls` are not in it. `estimated_calls`
    are calls whose tokens no provider has reported.
    """

    calls: int
    total_tokens: int
    cached_tokens: int
    first_tokens: int
    resent_tokens: int
    total_cost_nanos: int | None
    unpriced_calls: int
    estimated_calls: int
    scale: float | None
    rows: tuple[WaterfallRow, ...] = field(repr=False)

    @property
    def total_cost(self) -> float | None:
        """The cost of the input in dollars."""
        return None if self.total_cost_nanos is None else money.to_dollars(self.total_cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"total_cost": self.total_cost, **plain, "rows": [row.to_dict() for row in self.rows]}


def waterfall(
    store: SqlStore,
    filters: Filters | None = None,
    start_us: int | None = None,
    end_us: int | None = None,
    *,
    is_single: bool = False,
) -> Waterfall:
    """Return where the input of the calls that match comes from, the largest origin first.

    With `is_single` each content is a row of its own: one tool's one result, one answer, one message.
    """
    calls, origins = read(store, filters or {}, start_us, end_us)
    return _Adding(origins, is_single=is_single).of(calls)


@dataclass(frozen=True, slots=True)
class ContextPart:
    """One part of a call's prompt, as it was sent: where it comes from, its tokens, and whether it is sent again."""

    origin_kind: OriginKind
    origin_id: str | None
    name: str
    tokens: int
    is_resent: bool
    cost_nanos: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def context(store: SqlStore, event_id: str) -> tuple[ContextPart, ...]:
    """Return what fills the prompt of one call, in the order sent; nothing where no input is recorded.

    The tokens sum to what was billed. What requests add, and what is unexplained, comes last.
    """
    calls, origins = read(store, {"event_id": event_id}, None, None)
    return _Adding(origins, is_single=True).in_order(calls[0]) if calls else ()


@dataclass(slots=True)
class _Sum:
    tokens: int = 0
    first: int = 0
    sends: int = 0
    cost: int | None = None

    def add(self, tokens: int, first: int, sends: int, cost: int | None) -> None:
        self.tokens += tokens
        self.first += first
        self.sends += sends
        if cost is not None:
            self.cost = (self.cost or 0) + cost


class _Key(NamedTuple):
    kind: OriginKind
    id: str | None
    name: str


_FORMAT = _Key("format", None, "message format")
_UNEXPLAINED = _Key("unexplained", None, "images, audio, unseen")
_NO_DETAILS = _Key("no_details", None, "calls without details")


class _Adding:
    def __init__(self, origins: Origins, *, is_single: bool) -> None:
        self._origins, self._is_single = origins, is_single
        self._sums: dict[_Key, _Sum] = {}
        self._billed = self._weighed = 0

    def of(self, calls: Iterable[Call]) -> Waterfall:
        number = cached = unpriced = estimated = 0
        for call in calls:
            number += 1
            cached += min(call.cached_tokens, call.input_tokens)
            unpriced += call.zones is None
            estimated += call.is_estimated
            self._add(call)
        rows = [
            WaterfallRow(*key, each.tokens, each.first, each.tokens - each.first, each.sends, each.cost)
            for key, each in self._sums.items()
        ]
        rows.sort(key=lambda row: (-(row.cost_nanos or 0), -row.tokens, row.name, row.origin_id or ""))
        costs = [row.cost_nanos for row in rows if row.cost_nanos is not None]
        return Waterfall(
            calls=number,
            total_tokens=sum(row.tokens for row in rows),
            cached_tokens=cached,
            first_tokens=sum(row.first_tokens for row in rows),
            resent_tokens=sum(row.resent_tokens for row in rows),
            total_cost_nanos=sum(costs) if costs else None,
            unpriced_calls=unpriced,
            estimated_calls=estimated,
            scale=self._billed / self._weighed if self._weighed else None,
            rows=tuple(rows),
        )

    def _add(self, call: Call) -> None:
        parts = list(self._parts(call))
        tokens = [part[1] for part in parts]
        costs: Sequence[int | None] = [None] * len(parts) if call.zones is None else split_cost(tokens, call.zones)
        for (key, count, is_first, sends), cost in zip(parts, costs, strict=True):
            self._sums.setdefault(key, _Sum()).add(count, count if is_first else 0, sends, cost)

    def in_order(self, call: Call) -> tuple[ContextPart, ...]:
        parts = list(self._parts(call))
        counts = [part[1] for part in parts]
        costs: Sequence[int | None] = [None] * len(parts) if call.zones is None else split_cost(counts, call.zones)
        return tuple(
            ContextPart(*key, count, not is_first, cost)
            for (key, count, is_first, _), cost in zip(parts, costs, strict=True)
        )

    def _parts(self, call: Call) -> Iterator[tuple[_Key, int, bool, int]]:
        """Yield origin, tokens, whether it is sent for the first time, and how many sends it is; in the order sent."""
        if call.sends is None:
            yield _NO_DETAILS, call.input_tokens, True, 1
            return
        weights = [send.weight for send in call.sends]
        weighed = sum(weights) + call.format_weight
        billed = call.input_tokens if call.input_tokens <= weighed * MOST_SCALE else weighed
        counts = largest_remainders([*weights, call.format_weight], billed)
        self._billed += billed
        self._weighed += weighed
        for send, count in zip(call.sends, counts, strict=False):
            yield self._key(send), count, send.is_first, 1
        yield _FORMAT, counts[-1], call.is_first, 1
        if call.input_tokens > billed:
            yield _UNEXPLAINED, call.input_tokens - billed, True, 1

    def _key(self, send: Send) -> _Key:
        origin = self._origins.of(send)
        return _Key(origin.kind, origin.id if self._is_single else None, origin.name)


@dataclass(frozen=True, slots=True)
class WaterfallChange:
    """By how much one origin has grown from one waterfall to another; less is negative. Costs are US dollars."""

    origin_kind: OriginKind
    origin_id: str | None
    name: str
    tokens: int
    first_tokens: int
    cost_nanos: int

    @property
    def cost(self) -> float:
        """The difference in dollars."""
        return money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"cost": self.cost, **{each.name: getattr(self, each.name) for each in fields(self)}}


def difference(before: Waterfall, after: Waterfall) -> list[WaterfallChange]:
    """Return by how much each origin has grown from one waterfall to another: they sum to the whole difference.

    Those that changed most come first.
    """
    sides = [{(row.origin_kind, row.origin_id, row.name): row for row in each.rows} for each in (before, after)]
    found = []
    for key in sides[0].keys() | sides[1].keys():
        old, new = (_figures(side.get(key)) for side in sides)
        found.append(WaterfallChange(*key, *(now - then for then, now in zip(old, new, strict=True))))
    return sorted(found, key=lambda each: (-abs(each.cost_nanos), -abs(each.tokens), each.name, each.origin_id or ""))


def _figures(row: WaterfallRow | None) -> tuple[int, int, int]:
    return (0, 0, 0) if row is None else (row.tokens, row.first_tokens, row.cost_nanos or 0)
