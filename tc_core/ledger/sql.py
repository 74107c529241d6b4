"""The ledger's questions whose answers are many rows: each one comes as columns of numbers, not as rows of objects."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, FromClause, case, func, select
from sqlalchemy.sql.elements import NamedColumn

from tc_core.ledger.columns import UNKNOWN, Columns, Numbers, distinct, joined, ordered
from tc_core.ledger.tables import NodeRow, ProducedRow, PromptRow, QuotedRow
from tc_core.model.ports import Filters
from tc_core.model.usage import Usage
from tc_core.store.engine.database import Database
from tc_core.store.read.filters import EVENT, ROOT, Conditions
from tc_core.store.schema.tables import SEED_KEYS, table
from tc_core.store.sql import SqlStore

LLM_CALL = SEED_KEYS["event_type", "llm_call"]

FEW = 1000
"""So many ways are gone step by step inside the database; more are read node by node, one step of all at once."""

_NODE = table(NodeRow)
_PROMPT = table(PromptRow)
_PRODUCED = table(ProducedRow)
_QUOTED = table(QuotedRow)

USAGE = Usage._fields
_OF_CALLS: tuple[str, ...] = (
    "key",
    "at",
    "root",
    "session_id",
    "name",
    "agent_id",
    "model",
    "served_model",
    "provider",
)
_OF_CALLS += ("service_tier", "usage_source", "cost_nanos", *USAGE)
_HAS_CHARGES = case((EVENT.c.charges.is_not(None), 1), else_=0).label("has_charges")


def calls(
    store: SqlStore, connection: Connection, filters: Filters, start_us: int | None, end_us: int | None
) -> Columns:
    """Return the model calls with known input that match, and the `node` in which the prompt of each one ends."""
    conditions = Conditions(connection, store.database, store.interned).of(filters, start_us, end_us)
    tables: FromClause = EVENT.outerjoin(_PROMPT, _PROMPT.c.event == EVENT.c.key)
    if "root_id" in filters:
        tables = tables.join(ROOT, ROOT.c.key == EVENT.c.root)
    columns = [*(EVENT.c[name] for name in _OF_CALLS), _HAS_CHARGES, _PROMPT.c.node]
    return _columns(connection, columns, tables, EVENT.c.event_type == LLM_CALL, EVENT.c.input_tokens > 0, *conditions)


def charges(connection: Connection, database: Database, chosen: Columns) -> dict[int, str]:
    """Return what some calls are charged for beside plain tokens, as JSON, by the keys of their rows."""
    keys = chosen["key"][chosen["has_charges"] == 1]
    if not keys.size:
        return {}
    question = select(EVENT.c.key, EVENT.c.charges).where(EVENT.c.key.in_(database.listed(keys.tolist())))
    return {key: body for key, body in connection.execute(question)}  # noqa: C416  # rows are not pairs


def of_same_scopes(connection: Connection, database: Database, chosen: Columns) -> Columns:
    """Return the other calls that were billed in the sessions and runs of some calls: they may have sent it first."""
    columns = [EVENT.c.key, EVENT.c.at, EVENT.c.root, EVENT.c.session_id, _PROMPT.c.node]
    has_session = chosen["session_id"] != UNKNOWN
    sessions, roots = distinct(chosen["session_id"][has_session]), distinct(chosen["root"][~has_session])
    is_before = EVENT.c.at <= int(chosen["at"].max(initial=0))
    is_other = EVENT.c.key.not_in(database.listed(chosen["key"].tolist()))
    tables = EVENT.join(_PROMPT, _PROMPT.c.event == EVENT.c.key)
    scopes = [
        EVENT.c.session_id.in_(database.listed(sessions.tolist())),
        EVENT.c.root.in_(database.listed(roots.tolist())) & EVENT.c.session_id.is_(None),
    ]
    found = [
        _columns(connection, columns, tables, scope, is_before, is_other, EVENT.c.input_tokens > 0)
        for values, scope in zip((sessions, roots), scopes, strict=True)
        if values.size
    ]
    return joined([column.name for column in columns], found)


def nodes_to(connection: Connection, database: Database, ends: set[int]) -> Columns:
    """Return all nodes on the ways to some ends, by their ids."""
    columns = [_NODE.c[name] for name in ("id", "parent", "segment", "what", "prefix")]
    found: list[Columns] = []
    known: set[int] = set()
    wanted = ends
    while wanted:
        listed = _NODE.c.id.in_(database.listed(distinct(np.array([*wanted], np.int64)).tolist()))
        if len(wanted) > FEW:
            part = _columns(connection, columns, _NODE, listed)
        else:
            ways = select(_NODE.c.id, _NODE.c.parent).where(listed).cte("ways", recursive=True)
            ways = ways.union(select(_NODE.c.id, _NODE.c.parent).join(ways, ways.c.parent == _NODE.c.id))
            part = _columns(connection, columns, _NODE.join(ways, ways.c.id == _NODE.c.id))
        found.append(part)
        known.update(part["id"].tolist())
        wanted = set(part["parent"].tolist()) - known - {UNKNOWN}
    together = joined([column.name for column in columns], found)
    _, first = np.unique(together["id"], return_index=True)
    return {name: column[first] for name, column in together.items()}


def quoted(connection: Connection, database: Database, segments: Numbers) -> Columns:
    """Return what some segments quote: the segments of outputs, and how many of their tokens are each one's."""
    columns = [_QUOTED.c.segment, _QUOTED.c.source, _QUOTED.c.tokens]
    found = _columns(connection, columns, _QUOTED, _QUOTED.c.segment.in_(database.listed(segments.tolist())))
    order = ordered((found["segment"], found["source"]))
    return {name: column[order] for name, column in found.items()}


def produced(connection: Connection, database: Database, segments: Numbers) -> Columns:
    """Return which events have put out some segments."""
    listed = database.listed(segments.tolist())
    return _columns(connection, [_PRODUCED.c.segment, _PRODUCED.c.event], _PRODUCED, _PRODUCED.c.segment.in_(listed))


def makers(connection: Connection, database: Database, keys: Numbers) -> Columns:
    """Return what is asked of events that have put something out."""
    columns = [EVENT.c[name] for name in ("key", "event_type", "name", "agent_id", "root", "at")]
    return _columns(connection, columns, EVENT, EVENT.c.key.in_(database.listed(keys.tolist())))


def ids_of(connection: Connection, database: Database, keys: Iterable[int]) -> dict[int, bytes]:
    """Return the ids of events by the keys of their rows."""
    question = select(EVENT.c.key, EVENT.c.id).where(EVENT.c.key.in_(database.listed(list(keys))))
    return {key: id_ for key, id_ in connection.execute(question)}  # noqa: C416  # rows are not pairs


def _columns(
    connection: Connection,
    columns: Sequence[NamedColumn[Any]],
    tables: FromClause,
    *conditions: ColumnElement[bool],
) -> Columns:
    """Return columns of whole numbers as the driver gives them: an object for each row would take longer than all."""
    question = select(*(func.coalesce(column, UNKNOWN) for column in columns))
    cursor: Any = connection.execute(question.select_from(tables).where(*conditions)).cursor
    found = np.fromiter(chain.from_iterable(cursor), np.int64).reshape(-1, len(columns))
    return dict(zip((column.name for column in columns), np.ascontiguousarray(found.T), strict=True))
