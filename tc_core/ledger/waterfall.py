"""The waterfall: every billed input token of some calls, by where it comes from, and what was sent again."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from tc_core.model import money, written
from tc_core.model.notebook import Bar, InNotebook, Shown
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
class Waterfall(InNotebook):
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

    def _shown(self) -> Shown:
        resent = written.percent(self.resent_tokens, self.total_tokens) or "nothing"
        said = f"{self.total_tokens:,} input tokens billed, {written.usd(self.total_cost_nanos)}. Re-sent: {resent}."
        decimals = written.column_decimals(row.cost_nanos for row in self.rows)
        rows = [
            [
                row.name,
                *(written.count(each) for each in (row.tokens, row.first_tokens, row.resent_tokens)),
                written.usd(row.cost_nanos, decimals=decimals),
            ]
            for row in self.rows
        ]
        bars = [Bar(row.name, row.tokens, f"{row.tokens:,}", part=row.first_tokens) for row in self.rows]
        legend = "orange: sent for the first time; blue: sent again"
        return Shown(said, ["origin", "tokens", "first", "re-sent", "cost"], rows, bars, legend=legend)


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
    from tc_core.ledger.sums import sums  # numpy, for those who ask

    found = sums(store, filters or {}, start_us, end_us, is_single=is_single, most_scale=MOST_SCALE)
    rows = [
        WaterfallRow(*origin, tokens, first_tokens, tokens - first_tokens, sends, cost_nanos)
        for origin, (tokens, first_tokens, sends, cost_nanos) in found.of_origins.items()
    ]
    rows.sort(key=lambda row: (-(row.cost_nanos or 0), -row.tokens, row.name, row.origin_id or ""))
    costs = [row.cost_nanos for row in rows if row.cost_nanos is not None]
    return Waterfall(
        calls=found.calls,
        total_tokens=sum(row.tokens for row in rows),
        cached_tokens=found.cached_tokens,
        first_tokens=sum(row.first_tokens for row in rows),
        resent_tokens=sum(row.resent_tokens for row in rows),
        total_cost_nanos=sum(costs) if costs else None,
        unpriced_calls=found.unpriced_calls,
        estimated_calls=found.estimated_calls,
        scale=found.scale,
        rows=tuple(rows),
    )


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
    from tc_core.ledger.sums import in_order

    return tuple(
        ContextPart(*origin, tokens, not is_first, cost_nanos)
        for origin, tokens, is_first, cost_nanos in in_order(store, event_id, most_scale=MOST_SCALE)
    )


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
