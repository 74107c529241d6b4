"""The sums of a waterfall: over many calls at once, and exact to the token and the nano-dollar."""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from tc_core.ledger import sql
from tc_core.ledger.columns import NOWHERE, UNKNOWN, Columns, Mask, Numbers
from tc_core.ledger.firsts import Firsts, first_sends
from tc_core.ledger.origins import Origin
from tc_core.ledger.parts import Parts, parts_of
from tc_core.ledger.paths import Paths, blocks
from tc_core.ledger.prices import Zones, input_zones
from tc_core.ledger.scaling import largest_remainders_of_each
from tc_core.ledger.tree import PER_REQUEST
from tc_core.model.ports import Filters
from tc_core.store.schema.tables import SEED_KEYS
from tc_core.store.sql import SqlStore

MOST_AT_ONCE = 1 << 18
"""So many parts of prompts are worked on at once: some megabytes."""

A = TypeVar("A", bound="_Adding")

_FORMAT = Origin("format", None, "message format")
_UNEXPLAINED = Origin("unexplained", None, "images, audio, unseen")
_NO_DETAILS = Origin("no_details", None, "calls without details")

_PROVIDER = SEED_KEYS["usage_source", "provider"]
_PRICED_BY = ("model", "served_model", "provider", "service_tier")


class Sum(NamedTuple):
    """Input tokens of one origin; `cost_nanos` is None where no call has a price."""

    tokens: int
    first_tokens: int
    sends: int
    cost_nanos: int | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Of some calls; `scale` is what was billed over what was counted, None where nothing was counted."""

    calls: int
    cached_tokens: int
    unpriced_calls: int
    estimated_calls: int
    scale: float | None
    of_origins: dict[Origin, Sum]


def sums(
    store: SqlStore,
    filters: Filters,
    start_us: int | None,
    end_us: int | None,
    *,
    is_single: bool,
    most_scale: float,
) -> Sums:
    """Return the sums over the model calls with known input that match; see `waterfall`."""
    return _added(_Adding, store, filters, start_us, end_us, is_single=is_single, most_scale=most_scale).sums()


def in_order(store: SqlStore, event_id: str, *, most_scale: float) -> "list[Part]":
    """Return the parts of one call's prompt in the order sent; nothing where its input is not known."""
    return _added(_InOrder, store, {"event_id": event_id}, None, None, is_single=True, most_scale=most_scale).parts


def _added(
    kind: type[A],
    store: SqlStore,
    filters: Filters,
    start_us: int | None,
    end_us: int | None,
    *,
    is_single: bool,
    most_scale: float,
) -> A:
    with store.question() as connection:
        calls = sql.calls(store, connection, filters, start_us, end_us)
        others = sql.of_same_scopes(connection, store.database, calls)
        ends = {*calls["node"].tolist(), *others["node"].tolist()} - {UNKNOWN}
        nodes = sql.nodes_to(connection, store.database, ends)
        paths = Paths(nodes, calls["node"], others["node"])
        parts = parts_of(store, connection, paths, calls, is_single=is_single)
        named = set(np.concatenate([calls[name] for name in _PRICED_BY]).tolist()) - {UNKNOWN}
        charges = sql.charges(connection, store.database, calls)
        zones = input_zones(calls, store.interned.values(connection, named), charges)
    adding = kind(calls, zones, parts)
    at = paths.places(calls["node"])
    adding.add_whole(np.flatnonzero(at == NOWHERE))
    detailed = np.flatnonzero(at != NOWHERE)
    firsts = first_sends(calls, others, paths)
    for some in blocks(paths.lengths[at[detailed]], MOST_AT_ONCE):
        rows = detailed[some]
        adding.add(rows, at[rows], paths, firsts, most_scale)
    return adding


class Part(NamedTuple):
    """One part of one prompt; `cost_nanos` is None without a price."""

    origin: Origin
    tokens: int
    is_first: bool
    cost_nanos: int | None


class _Adding:
    """Adds up what calls have been sent, by the codes of origins; the last three are those that no part has."""

    def __init__(self, calls: Columns, zones: Zones, parts: Parts) -> None:
        self._calls, self._zones, self._parts = calls, zones, parts
        count = len(parts.origins)
        self._format, self._unexplained, self._no_details = range(count, count + 3)
        self._origins = [*parts.origins, _FORMAT, _UNEXPLAINED, _NO_DETAILS]
        self._codes = np.append(parts.codes, self._format)
        self._weights = np.append(parts.weights, PER_REQUEST)
        self._tokens, self._first, self._sends, self._costs = (np.zeros(count + 3, np.int64) for _ in range(4))
        self._is_priced = np.zeros(count + 3, np.bool_)
        self._billed = self._weighed = 0

    def add_whole(self, rows: Numbers) -> None:
        """Add calls of which the ledger has nothing."""
        tokens = self._calls["input_tokens"][rows]
        is_first = np.ones(len(rows), np.bool_)
        self._put(np.full(len(rows), self._no_details), rows, tokens, is_first, self._zones.up_to(tokens, rows))

    def add(self, rows: Numbers, ends: Numbers, paths: Paths, firsts: Firsts, most_scale: float) -> None:
        """Add calls whose prompts end in some nodes."""
        read, weighed = self._calls["input_tokens"][rows], paths.prefixes[ends]
        billed = np.where(read <= weighed * most_scale, read, weighed)
        self._billed += int(billed.sum())
        self._weighed += int(weighed.sum())
        parts, starts = paths.flat(ends, behind=len(self._codes) - 1)
        tokens = largest_remainders_of_each(self._weights[parts], starts, billed)
        sizes = np.diff(starts, append=len(parts))
        call = np.repeat(np.arange(len(rows)), sizes)
        first_parts = firsts.parts(rows, starts, paths)
        is_first = np.zeros(len(parts), np.bool_)
        is_first[first_parts] = True
        is_first[starts + sizes - 1] = firsts.is_first_call[rows]
        edges = np.cumsum(tokens)
        edges -= (edges[starts] - tokens[starts])[call]
        paid = self._zones.up_to(edges, rows[call])
        costs = np.diff(paid, prepend=0)
        costs[starts] = paid[starts]
        self._put(self._codes[parts], rows[call], tokens, is_first, costs)
        over = np.flatnonzero(read > billed)
        edges, beyond, rows = billed[over], (read - billed)[over], rows[over]
        costs = self._zones.up_to(edges + beyond, rows) - self._zones.up_to(edges, rows)
        self._put(np.full(len(over), self._unexplained), rows, beyond, np.ones(len(over), np.bool_), costs)

    def _put(self, codes: Numbers, rows: Numbers, tokens: Numbers, is_first: Mask, costs: Numbers) -> None:
        self._sends += np.bincount(codes, minlength=len(self._sends))
        for total, each in ((self._tokens, tokens), (self._first, tokens * is_first), (self._costs, costs)):
            np.add.at(total, codes, each)
        self._is_priced[codes[self._zones.is_priced[rows]]] = True

    def sums(self) -> Sums:
        """Return the sums of all that was added."""
        found: dict[Origin, Sum] = {}
        columns = (self._tokens, self._first, self._sends, self._costs, self._is_priced)
        for origin, tokens, first, sends, cost, is_priced in zip(
            self._origins, *(column.tolist() for column in columns), strict=True
        ):
            if sends:
                before = found.get(origin, Sum(0, 0, 0, None))
                found[origin] = Sum(
                    before.tokens + tokens,
                    before.first_tokens + first,
                    before.sends + sends,
                    (before.cost_nanos or 0) + cost if is_priced else before.cost_nanos,
                )
        calls = self._calls
        cached = np.where(calls["cached_tokens"] == UNKNOWN, 0, calls["cached_tokens"])
        return Sums(
            calls=len(calls["key"]),
            cached_tokens=int(np.minimum(cached, calls["input_tokens"]).sum()),
            unpriced_calls=int((~self._zones.is_priced).sum()),
            estimated_calls=int((calls["usage_source"] != _PROVIDER).sum()),
            scale=self._billed / self._weighed if self._weighed else None,
            of_origins=found,
        )


class _InOrder(_Adding):
    """Keeps the parts of a call as they come, in place of adding them up."""

    def __init__(self, calls: Columns, zones: Zones, parts: Parts) -> None:
        super().__init__(calls, zones, parts)
        self.parts: list[Part] = []

    def _put(self, codes: Numbers, rows: Numbers, tokens: Numbers, is_first: Mask, costs: Numbers) -> None:
        is_priced = self._zones.is_priced[rows]
        columns = (each.tolist() for each in (codes, tokens, is_first, costs, is_priced))
        for code, count, is_new, cost, is_known in zip(*columns, strict=True):
            self.parts.append(Part(self._origins[code], count, is_new, cost if is_known else None))
