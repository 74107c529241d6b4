"""The questions for a lineage as bare numbers: of a run, of a workflow, of everything."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
from sqlalchemy import Connection, FromClause, TextClause, bindparam, case, func, select, text

from tc_core.lineage.bare_graph import NOWHERE, Numbers
from tc_core.model import ids
from tc_core.model.event import CALL_TYPES, TrackingEvent, to_us
from tc_core.model.period import Period
from tc_core.model.ports import Filters
from tc_core.model.provenance import FACT
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ORPHAN, PARENT, ROOT, Conditions
from tc_core.store.read.query import Reader
from tc_core.store.schema.tables import OPEN, SEED, SEED_KEYS, Dimension, ExternalId, table
from tc_core.store.sql import SqlStore

_EXTERNAL = table(ExternalId)
_DIMENSION = table(Dimension)

RELATION_OF = {key: value for key, kind, value in SEED if kind == "relation"}

_PAGE = 500
_PARENT = f"coalesce(e.parent, {NOWHERE})"
_ROWS = f'SELECT e."key", {_PARENT}, e.id, x.value FROM event e LEFT JOIN external_id x ON x.id = e.id WHERE e.'
_FACTS = f"SELECT source, relation, target FROM relation WHERE confidence >= {FACT} AND "
_WITHIN = '(SELECT "key" FROM event WHERE {} = :value)'
OUTLINE = (
    *("key", "parent", "id", "at", "latency_us", "event_type", "name", "model", "agent_id", "status", "error_type"),
    *("input_tokens", "output_tokens", "cached_tokens", "usage_source", "cost_nanos"),
)
"""The columns of an outline; the model is the one that answered, where it is known."""
_OF_OUTLINE = {"model": "coalesce(e.served_model, e.model)"}
_OUTLINE = ", ".join(_OF_OUTLINE.get(name, f'e."{name}"') for name in OUTLINE)
_LOST_PARENTS = 'SELECT o.event, p."key" FROM orphan o JOIN event p ON p.id = o.parent_id'
"""Events whose parent is recorded and yet was not taken for it: as it hangs under them itself."""


class AgentEvent(NamedTuple):
    """What is asked of an agent's event to say how well it did."""

    key: int
    parent: int | None
    agent_id: str
    event_type: str
    status: str
    latency_ms: float | None = None
    cost_nanos: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None

    @property
    def is_call(self) -> bool:
        """Whether it is a request to a model."""
        return self.event_type in CALL_TYPES

    @property
    def has_usage(self) -> bool:
        """Whether any token count is known."""
        return self.input_tokens is not None or self.output_tokens is not None


_OF_AGENTS: tuple[str, ...] = ("key", "parent", "agent_id", "event_type", "status", "latency_us", "cost_nanos")
_OF_AGENTS += ("input_tokens", "output_tokens", "cached_tokens")


class Found(NamedTuple):
    """Rows of (key, key of the parent), facts as (newer, relation, older), and what is known of ids by keys."""

    rows: Numbers
    facts: Numbers
    names: dict[int, str]


def of_scope(connection: Connection, column: Literal["root", "workflow_id"], value: int) -> Found:
    """Return the events of a run or a workflow, with all that they came from and all that came from them elsewhere."""
    rows = list(_asked(connection, text(f"{_ROWS}{column} = :value"), value=value))
    within = _WITHIN.format(column)
    facts: set[tuple[int, ...]] = set()
    for end in ("source", "target"):
        facts.update(_asked(connection, text(f"{_FACTS}{end} IN {within}"), value=value))
    names = {key: external or ids.to_text(id_) for key, _, id_, external in rows}
    parents = {key: parent for key, parent, *_ in rows}
    older, newer = {fact[2] for fact in facts} - names.keys(), {fact[0] for fact in facts} - names.keys()
    if older or newer:
        _follow_back(connection, older, parents, facts)
        _follow_on(connection, newer, parents, facts)
        names |= names_of(connection, parents.keys() - names.keys())
    parents |= {key: parent for key, parent in _lost_parents(connection).items() if key in parents}
    return Found(_array(parents.items(), 2), _array(sorted(facts), 3), names)


def outline_of(connection: Connection, root_id: str) -> tuple[list[Any], list[Sequence[int]]]:
    """Return a run in order of time as the columns of `OUTLINE`, and its facts as (newer, relation, older)."""
    root = connection.execute(select(EVENT.c.key).where(EVENT.c.id == ids.from_text(root_id))).scalar()
    if root is None:
        return [()] * len(OUTLINE), []
    question = f'SELECT {_OUTLINE} FROM event e WHERE e.root = {root:d} ORDER BY e.at, e."key"'
    cursor: Any = connection.exec_driver_sql(question).cursor
    columns: list[Any] = [[] for _ in OUTLINE]
    while rows := cursor.fetchmany(_PAGE):  # no more rows at once than the garbage collector overlooks
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    within = f'(SELECT "key" FROM event WHERE root = {root:d})'
    return columns, list(_raw(connection, f"{_FACTS}source IN {within}"))


def extent_of(connection: Connection, root_id: str) -> tuple[int, int]:
    """Return how many events a run has, and how many of them are open."""
    root = select(EVENT.c.key).where(EVENT.c.id == ids.from_text(root_id)).scalar_subquery()
    is_open = func.sum(case((EVENT.c.status == OPEN, 1), else_=0))
    events, still_open = connection.execute(select(func.count(), is_open).where(EVENT.c.root == root)).one()
    return events, int(still_open or 0)


def id_in_run(connection: Connection, root_id: str, tail: bytes) -> str | None:
    """Return the id of the event of a run whose sixteen bytes end so; None for one that is not there."""
    end = func.substr(EVENT.c.id, 17 - len(tail))
    root = select(EVENT.c.key).where(EVENT.c.id == ids.from_text(root_id)).scalar_subquery()
    key = connection.execute(select(EVENT.c.key).where(EVENT.c.root == root, end == tail)).scalar()
    return None if key is None else names_of(connection, [key])[key]


def of_everything(connection: Connection) -> Found:
    """Return all events and all facts, without ids."""
    rows = _array(_raw(connection, f'SELECT e."key", {_PARENT} FROM event e'), 2)
    facts = _array(_raw(connection, f"{_FACTS}1 = 1"), 3)
    lost = _lost_parents(connection)
    if lost:
        is_lost = np.isin(rows[:, 0], list(lost))
        rows[is_lost, 1] = [lost[key] for key in rows[is_lost, 0].tolist()]
    return Found(rows, facts, {})


def place_of(connection: Connection, event_id: str) -> tuple[int, int] | None:
    """Return the keys of an event and of its root; None for one that is not recorded."""
    question = select(EVENT.c.key, EVENT.c.root).where(EVENT.c.id == ids.from_text(event_id))
    found = connection.execute(question).one_or_none()
    return None if found is None else (found.key, found.root)


def key_of_workflow(connection: Connection, workflow_id: str) -> int | None:
    """Return the key of a workflow's name; None for one that no event has."""
    named = (_DIMENSION.c.kind == "workflow_id") & (_DIMENSION.c.value == workflow_id)
    found: int | None = connection.execute(select(_DIMENSION.c.id).where(named)).scalar()
    return found


def names_of(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    """Return the ids of events, by the keys of their rows."""
    question = select(EVENT.c.key, EVENT.c.id, _EXTERNAL.c.value).select_from(
        EVENT.outerjoin(_EXTERNAL, _EXTERNAL.c.id == EVENT.c.id)
    )
    return {
        key: external or ids.to_text(id_)
        for some in chunks(list(keys))
        for key, id_, external in connection.execute(question.where(EVENT.c.key.in_(some)))
    }


def ancestors(connection: Connection, key: int) -> set[int]:
    """Return the keys of an event and of all that holds it or that it came from."""
    parents: dict[int, int] = {}
    _follow_back(connection, {key}, parents, set())
    return set(parents)


def events(connection: Connection, store: SqlStore, event_ids: Iterable[str]) -> dict[str, TrackingEvent]:
    """Return events in full, by their ids."""
    return Reader(connection, store.database, store.interned).by_ids(event_ids)


def of_agents(connection: Connection, store: SqlStore, filters: Filters, asked: Period) -> list[AgentEvent]:
    """Return what is known of the agents' events that match, in order of time."""
    span = [None if moment is None else to_us(moment) for moment in (asked.start, asked.end)]
    conditions = Conditions(connection, store.database, store.interned).of(filters, *span)
    columns = (EVENT.c[name] for name in _OF_AGENTS)
    tables: FromClause = EVENT
    if "root_id" in filters:
        tables = tables.join(ROOT, ROOT.c.key == EVENT.c.root)
    if "parent_id" in filters:
        tables = tables.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent).outerjoin(
            ORPHAN, ORPHAN.c.event == EVENT.c.key
        )
    question = select(*columns).select_from(tables)
    rows = connection.execute(question.where(EVENT.c.agent_id.is_not(None), *conditions).order_by(EVENT.c.at)).all()
    texts = store.interned.values(connection, {text for row in rows for text in row[2:5]})
    return [
        AgentEvent(
            *(key, parent, texts[agent], texts[type_], texts[status]),
            None if latency_us is None else latency_us / 1000,
            *figures,
        )
        for key, parent, agent, type_, status, latency_us, *figures in rows
    ]


def retries_by_agent(connection: Connection, calls: Collection[int]) -> dict[str, int]:
    """Return how many of some calls try another one again, by their agents."""
    question = text(
        "SELECT r.source, d.value FROM relation r "
        'JOIN event e ON e."key" = r.source JOIN dimension d ON d.id = e.agent_id '
        f"WHERE r.relation = {SEED_KEYS['relation', 'retry_of']} AND r.confidence >= {FACT} GROUP BY r.source, d.value"
    )
    return dict(Counter(agent for key, agent in connection.execute(question) if key in calls))


def _follow_back(connection: Connection, keys: set[int], parents: dict[int, int], facts: set[tuple[int, ...]]) -> None:
    """Add what some events outside came from, and what they hang under."""
    while keys:
        parents |= _parents(connection, "key", keys)
        found = {*map(tuple, _some(connection, f"{_FACTS}source IN :keys", keys))}
        facts |= found
        keys = ({fact[2] for fact in found} | {parents.get(key, NOWHERE) for key in keys} - {NOWHERE}) - parents.keys()


def _follow_on(connection: Connection, keys: set[int], parents: dict[int, int], facts: set[tuple[int, ...]]) -> None:
    """Add what came from some events outside, and what hangs under them."""
    while keys:
        roots = {root for (root,) in _some(connection, 'SELECT DISTINCT root FROM event WHERE "key" IN :keys', keys)}
        parent_of, children = _parents(connection, "root", roots), dict[int, list[int]]()
        for key, parent in parent_of.items():
            children.setdefault(parent, []).append(key)
        below: set[int] = set()
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in below:
                below.add(key)
                waiting += children.get(key, ())
        for key in below:
            parents.setdefault(key, parent_of.get(key, NOWHERE))
        found = {*map(tuple, _some(connection, f"{_FACTS}target IN :keys", below))}
        facts |= found
        keys = {fact[0] for fact in found} - parents.keys()


def _parents(connection: Connection, column: Literal["key", "root"], keys: Iterable[int]) -> dict[int, int]:
    rows = _some(connection, f'SELECT e."key", {_PARENT} FROM event e WHERE e."{column}" IN :keys', keys)
    return {key: parent for key, parent in rows}  # noqa: C416  # rows are not pairs


def _some(connection: Connection, question: str, keys: Iterable[int]) -> Iterable[Sequence[int]]:
    asked = text(question).bindparams(bindparam("keys", expanding=True))
    return chain.from_iterable(connection.execute(asked, {"keys": some}).all() for some in chunks(sorted(keys)))


def _lost_parents(connection: Connection) -> dict[int, int]:
    return {event: parent for event, parent in connection.execute(text(_LOST_PARENTS))}  # noqa: C416  # the same


def _asked(connection: Connection, question: TextClause, **parameters: object) -> Iterable[tuple[Any, ...]]:
    """Yield rows as the driver gives them."""
    cursor: Any = connection.execute(question, parameters).cursor
    yield from cursor


def _raw(connection: Connection, question: str) -> Iterable[Sequence[int]]:
    """Yield rows as the driver gives them: a million objects of SQLAlchemy's would take longer than all the rest."""
    cursor: Any = connection.exec_driver_sql(question).cursor
    yield from cursor


def _array(rows: Iterable[Sequence[int]], width: int) -> Numbers:
    return np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, width)
