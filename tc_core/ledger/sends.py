"""Reading what was sent: the calls that a question is about, their prompts, and who made what is in them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, FromClause, select

from tc_core.ledger.canonical import ASSISTANT, RESULT, SCHEMA, SYSTEM, TOOL, what
from tc_core.ledger.prices import InputZones, Zones
from tc_core.ledger.relations import LEAST_DERIVED
from tc_core.ledger.tables import NodeRow, ProducedRow, PromptRow, QuotedRow
from tc_core.ledger.tree import PER_REQUEST, PER_SEGMENT
from tc_core.model import ids
from tc_core.model.ports import Filters
from tc_core.model.usage import Usage
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ROOT, Conditions
from tc_core.store.schema.tables import SEED_KEYS, table
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.ledger.waterfall import OriginKind

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

    kind: "OriginKind"
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
    *(name for name in Usage._fields if name != "reasoning_tokens"),
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
