"""The waterfall as it is defined, one part of one prompt after the other: what `ledger.sums` must equal."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, FromClause, select

from tc_core.ledger.canonical import ASSISTANT, RESULT, SCHEMA, SYSTEM, TOOL, what
from tc_core.ledger.relations import LEAST_DERIVED
from tc_core.ledger.scaling import largest_remainders
from tc_core.ledger.tables import NodeRow, ProducedRow, PromptRow, QuotedRow
from tc_core.ledger.tree import PER_REQUEST, PER_SEGMENT
from tc_core.ledger.waterfall import MOST_SCALE, Waterfall, WaterfallRow
from tc_core.meter import prices
from tc_core.model import ids
from tc_core.model.ports import Filters
from tc_core.model.usage import Usage
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ROOT, Conditions
from tc_core.store.schema.days import US_PER_DAY
from tc_core.store.schema.tables import SEED_KEYS, table
from tc_core.store.sql import SqlStore

Zones = Sequence[tuple[int, int]]


QUOTED = what(TOOL, RESULT)
"""What a quotation is taken for: however short, it is its maker's."""

_NODE = table(NodeRow)
_PROMPT = table(PromptRow)
_PRODUCED = table(ProducedRow)
_QUOTED = table(QuotedRow)

_LLM_CALL = SEED_KEYS["event_type", "llm_call"]
_TOOL = SEED_KEYS["event_type", "tool"]
_RETRIEVAL = SEED_KEYS["event_type", "retrieval"]
_PROVIDER = SEED_KEYS["usage_source", "provider"]


class Send(NamedTuple):
    """One segment in one call."""

    segment: int
    what: int
    weight: int
    is_first: bool


class Call(NamedTuple):
    """One call, and what was sent, in order; None where the ledger has nothing of it."""

    input_tokens: int
    cached_tokens: int
    zones: Zones | None
    is_estimated: bool
    sends: list[Send] | None
    is_first: bool
    """Whether it is the first call of its session."""
    format_weight: int = PER_REQUEST


class Origin(NamedTuple):
    """Where a content comes from."""

    kind: str
    id: str | None
    name: str


class _Node(NamedTuple):
    parent: int | None
    segment: int
    what: int
    weight: int


class Origins:
    """Knows who made which content."""

    def __init__(self, makers: Mapping[int, tuple[bytes, int, str | None, str | None]]) -> None:
        self._makers = makers
        self._known: dict[tuple[int, int], Origin] = {}

    def of(self, send: Send) -> Origin:
        """Return where a segment comes from: an event that has put it out, else whose words it is."""
        key = (send.segment, send.what)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._of(send)
        return known

    def _of(self, send: Send) -> Origin:
        role, kind = send.what >> 3, send.what & 7
        content = f"{send.segment & (1 << 64) - 1:016x}"
        if kind == SCHEMA:
            return Origin("tools", content, "tool schemas")
        maker = self._makers.get(send.segment)
        is_short = send.weight < LEAST_DERIVED + PER_SEGMENT and role != ASSISTANT and kind != RESULT
        if maker is not None and not is_short:  # a user may say "yes" as well as a model
            id_, event_type, name, agent = maker
            if event_type == _TOOL:
                return Origin("tool", ids.to_text(id_), f"tool {name}" if name else "tool results")
            if event_type == _RETRIEVAL:
                return Origin("passage", ids.to_text(id_), f"passages of {name}" if name else "passages")
            if event_type == _LLM_CALL:
                return Origin("answer", ids.to_text(id_), f"agent {agent}'s answers" if agent else "answers")
        if kind == RESULT:
            return Origin("tool", content, "tool results")
        if role == SYSTEM:
            return Origin("system", content, "system prompt")
        return Origin("answer", content, "answers") if role == ASSISTANT else Origin("user", content, "user")


def read(store: SqlStore, filters: Filters, start_us: int | None, end_us: int | None) -> tuple[list[Call], Origins]:
    """Return the model calls with known input that match, in order of time, and the makers of what they were sent."""
    with store.question() as connection:
        chosen = _events(store, connection, filters, start_us, end_us)
        others = _of_same_scopes(connection, chosen)
        nodes = nodes_to(connection, {row.node for row in (*chosen, *others) if row.node is not None})
        named = {key for row in chosen for key in (row.model, row.served_model, row.provider, row.service_tier) if key}
        names = store.interned.values(connection, named)
        calls = list(_calls(chosen, others, nodes, names))
        segments = {send.segment for call in calls for send in call.sends or ()}
        quoted = _quoted(connection, segments)
        sources = {source for quotes in quoted.values() for source, _ in quotes}
        makers = _makers(store, connection, segments | sources, {row.root for row in chosen})
    known = {segment: [each for each in quotes if each[0] in makers] for segment, quotes in quoted.items()}
    if known:
        calls = [call._replace(sends=call.sends and list(_split(call.sends, known))) for call in calls]
    return calls, Origins(makers)


def _events(
    store: SqlStore, connection: Connection, filters: Filters, start_us: int | None, end_us: int | None
) -> Sequence[Any]:
    conditions = Conditions(connection, store.database, store.interned).of(filters, start_us, end_us)
    tables: FromClause = EVENT.outerjoin(_PROMPT, _PROMPT.c.event == EVENT.c.key)
    if "root_id" in filters:
        tables = tables.join(ROOT, ROOT.c.key == EVENT.c.root)
    question = select(*(EVENT.c[name] for name in _COLUMNS), _PROMPT.c.node).select_from(tables)
    question = question.where(EVENT.c.event_type == _LLM_CALL, EVENT.c.input_tokens > 0, *conditions)
    return connection.execute(question.order_by(EVENT.c.at, EVENT.c.key)).all()


_COLUMNS = (
    "key",
    "at",
    "root",
    "session_id",
    "model",
    "served_model",
    "provider",
    "service_tier",
    "usage_source",
    "cost_nanos",
    "charges",
    *Usage._fields,
)


def _of_same_scopes(connection: Connection, chosen: Sequence[Any]) -> list[Any]:
    """Return the other calls that were billed in the sessions and runs of some calls: they may have sent it first."""
    keys = {row.key for row in chosen}
    sessions = {row.session_id for row in chosen if row.session_id is not None}
    roots = {row.root for row in chosen if row.session_id is None}
    question = (
        select(EVENT.c.key, EVENT.c.at, EVENT.c.root, EVENT.c.session_id, _PROMPT.c.node)
        .select_from(EVENT.join(_PROMPT, _PROMPT.c.event == EVENT.c.key))
        .where(EVENT.c.at <= max((row.at for row in chosen), default=0), EVENT.c.input_tokens > 0)
    )
    found: list[Any] = []
    for column, values in ((EVENT.c.session_id, sessions), (EVENT.c.root, roots)):
        for some in chunks(sorted(values)):
            scope = (
                column.in_(some) if column is EVENT.c.session_id else column.in_(some) & EVENT.c.session_id.is_(None)
            )
            found += [row for row in connection.execute(question.where(scope)) if row.key not in keys]
    return found


def nodes_to(connection: Connection, ends: set[int]) -> dict[int, _Node]:
    """Return all nodes on the ways to some ends."""
    found: dict[int, _Node] = {}
    for some in chunks(sorted(ends)):
        missing = [end for end in some if end not in found]
        ways = select(_NODE.c.id, _NODE.c.parent).where(_NODE.c.id.in_(missing)).cte("ways", recursive=True)
        ways = ways.union(select(_NODE.c.id, _NODE.c.parent).join(ways, ways.c.parent == _NODE.c.id))
        rows = connection.execute(
            select(_NODE.c.id, _NODE.c.parent, _NODE.c.segment, _NODE.c.what, _NODE.c.prefix).join(
                ways, ways.c.id == _NODE.c.id
            )
        ).all()
        prefixes = {row.id: row.prefix for row in rows}
        for id_, parent, segment, place, prefix in rows:
            before = PER_REQUEST if parent is None else prefixes[parent]
            found[id_] = _Node(parent, segment, place, prefix - before)
    return found


def _calls(
    chosen: Sequence[Any],
    others: Sequence[Any],
    nodes: Mapping[int, _Node],
    names: Mapping[int, str],
) -> Iterator[Call]:
    """Yield the chosen calls; all calls of a session tell what was sent before."""
    wanted = {row.key for row in chosen}
    zones = InputZones(names)
    seen: dict[tuple[bool, int], tuple[set[int], set[int]]] = {}
    for row in sorted((*chosen, *others), key=lambda row: (row.at, row.key)):
        scope = (True, row.session_id) if row.session_id is not None else (False, row.root)
        is_first = scope not in seen
        visited, segments = seen.setdefault(scope, (set(), set()))
        new: list[int] = []
        if row.node is not None:
            new = _new_nodes(row.node, nodes, visited)
        if row.key not in wanted:
            segments.update(nodes[node].segment for node in new)
            continue
        sends = None if row.node is None else _sends(row.node, nodes, set(new), segments)
        segments.update(nodes[node].segment for node in new)
        yield Call(
            row.input_tokens,
            row.cached_tokens or 0,
            zones.of(row),
            row.usage_source != _PROVIDER,
            sends,
            is_first,
        )


def _new_nodes(node: int | None, nodes: Mapping[int, _Node], visited: set[int]) -> list[int]:
    """Return the nodes on a way that was not gone before, the last first, and note them as gone."""
    new = []
    while node is not None and node not in visited:
        visited.add(node)
        new.append(node)
        node = nodes[node].parent
    return new


def _sends(node: int | None, nodes: Mapping[int, _Node], new: set[int], before: set[int]) -> list[Send]:
    places: list[tuple[int, _Node]] = []
    while node is not None:
        here = nodes[node]
        places.append((node, here))
        node = here.parent
    sent: set[int] = set()
    found = []
    for id_, here in reversed(places):
        is_first = id_ in new and here.segment not in before and here.segment not in sent
        if is_first:
            sent.add(here.segment)
        found.append(Send(here.segment, here.what, here.weight, is_first))
    return found


def _quoted(connection: Connection, segments: set[int]) -> dict[int, list[tuple[int, int]]]:
    """Return what some segments quote: the segments of outputs, and how many of their tokens are each one's."""
    found: dict[int, list[tuple[int, int]]] = {}
    for some in chunks(sorted(segments)):
        for row in connection.execute(select(_QUOTED).where(_QUOTED.c.segment.in_(some)).order_by(_QUOTED.c.source)):
            found.setdefault(row.segment, []).append((row.source, row.tokens))
    return found


def _split(sends: Sequence[Send], quoted: Mapping[int, Sequence[tuple[int, int]]]) -> Iterator[Send]:
    """Yield what was sent, and what is quoted in it as sends of its own; the weights sum to the same."""
    for send in sends:
        quotes = quoted.get(send.segment, ())
        yield send._replace(weight=send.weight - sum(tokens for _, tokens in quotes))
        for source, tokens in quotes:
            yield Send(source, QUOTED, tokens, send.is_first)


def _makers(
    store: SqlStore, connection: Connection, segments: set[int], roots: set[int]
) -> dict[int, tuple[bytes, int, str | None, str | None]]:
    """Return for each segment the event that has put it out: one of the runs in question, else the first of all."""
    question = select(
        _PRODUCED.c.segment, EVENT.c.id, EVENT.c.event_type, EVENT.c.name, EVENT.c.agent_id, EVENT.c.root, EVENT.c.at
    ).select_from(_PRODUCED.join(EVENT, EVENT.c.key == _PRODUCED.c.event))
    best: dict[int, tuple[tuple[bool, bool, int], Any]] = {}
    for some in chunks(sorted(segments)):
        for row in connection.execute(question.where(_PRODUCED.c.segment.in_(some))):
            rank = (row.root not in roots, row.event_type == _LLM_CALL, row.at)  # a tool's own result before its echo
            if row.segment not in best or rank < best[row.segment][0]:
                best[row.segment] = (rank, row)
    keys = {key for _, row in best.values() for key in (row.name, row.agent_id) if key is not None}
    names = store.interned.values(connection, keys)
    return {
        segment: (row.id, row.event_type, names.get(row.name), names.get(row.agent_id))
        for segment, (_, row) in best.items()
    }


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
            row.reasoning_tokens,
            row.charges,
            row.cost_nanos,
        )
        if key not in self._known:
            self._known[key] = self._priced(row)
        return self._known[key]

    def _priced(self, row: Any) -> _Prices | None:
        model = self._names.get(row.model) or self._names.get(row.served_model)
        if model is None:
            return None
        parts = prices.cost_parts(
            Usage(**{name: getattr(row, name) for name in Usage._fields}),
            model,
            served_model=self._names.get(row.served_model),
            provider=self._names.get(row.provider),
            service_tier=self._names.get(row.service_tier),
            at_us=row.at,
            charges=None if row.charges is None else json.loads(row.charges),
        )
        costs = [(part.kind, part.cost_nanos) for part in parts]
        own = [(kind, cost) for kind, cost in costs if " by " not in kind]
        cached, written, rest = (
            [cost for kind, cost in own if is_meant(kind)]
            for is_meant in (
                lambda kind: kind.startswith(_CACHED),
                lambda kind: kind.startswith(_WRITTEN),
                lambda kind: kind in _INPUT,
            )
        )
        if None in (*cached, *written, *rest):
            return None
        whole = sum(cost or 0 for _, cost in costs)
        if any(cost is None for _, cost in costs):  # the bill is of more than the table knows
            whole = max(whole, row.cost_nanos)
        return _Prices(sum(cached) if cached else None, sum(written) if written else None, sum(rest), whole)


def split_cost(tokens: Sequence[int], zones: Sequence[tuple[int, int]]) -> list[int]:
    """Return what each of some parts costs, which lie one behind the other over zones with prices of their own.

    A zone is its tokens and its whole cost in nano-dollars; together they have as many tokens as the parts. The costs
    sum to those of the zones exactly.
    """
    costs = []
    left = iter(zones)
    size, nanos = next(left, (0, 0))
    start = paid = edge = before = 0
    for count in tokens:
        edge += count
        while edge > start + size and (following := next(left, None)) is not None:
            start, paid = start + size, paid + nanos
            size, nanos = following
        now = paid + (nanos * (edge - start) // size if size else 0)
        costs.append(now - before)
        before = now
    return costs


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
    kind: str
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
