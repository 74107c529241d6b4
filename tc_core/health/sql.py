"""Writing and reading what is kept of the health of recorded conversations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from tc_core.health.tables import STATES, ContextHealth
from tc_core.model import ids
from tc_core.model.event import from_us
from tc_core.model.ids import EventId
from tc_core.model.ports import Filters
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ROOT, Conditions
from tc_core.store.schema.tables import table
from tc_core.store.sql import SqlStore

_HEALTH = table(ContextHealth)
COLUMNS = tuple(column.name for column in _HEALTH.columns)


class Scores(NamedTuple):
    """The row of one call, but for its event; shares in thousandths."""

    state: int
    messages: int
    tokens: int
    usage: int | None
    rot: int
    repetition: int
    topic_coherence: int
    injection_risk: int
    staleness: int
    overhead_share: int


class Recorded(NamedTuple):
    """The health of a conversation at one recorded call."""

    event_id: str
    at: datetime
    run_id: str
    session_id: str | None
    agent_id: str | None
    model: str | None
    state: str
    messages: int
    tokens: int
    context_usage: float | None
    rot_percentage: float
    signals: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**self._asdict(), "at": self.at.isoformat()}


def write(store: SqlStore, found: Mapping[EventId, Scores]) -> None:
    """Keep the scores of calls whose events are in the store, in one transaction."""

    def do(connection: Connection) -> None:
        keys: dict[EventId, int] = {}
        for some in chunks(list(found)):
            known = connection.execute(select(EVENT.c.id, EVENT.c.key).where(EVENT.c.id.in_(some)))
            keys.update((row.id, row.key) for row in known)
        rows = sorted((keys[id_], *scores) for id_, scores in found.items() if id_ in keys)
        store.database.insert_missing(connection, "context_health", COLUMNS, rows)

    if found:
        store.database.transact(do)


def read(
    store: SqlStore, filters: Filters | None = None, start_us: int | None = None, end_us: int | None = None
) -> list[Recorded]:
    """Return the health at all calls that match, in order of time."""
    filters = filters or {}
    with store.question() as connection:
        conditions = Conditions(connection, store.database, store.interned).of(filters, start_us, end_us)
        named = (EVENT.c.session_id, EVENT.c.agent_id, EVENT.c.model)
        question = (
            select(
                EVENT.c.id, EVENT.c.at, ROOT.c.id.label("root_id"), *named, *(_HEALTH.c[name] for name in COLUMNS[1:])
            )
            .select_from(_HEALTH.join(EVENT, EVENT.c.key == _HEALTH.c.event).join(ROOT, ROOT.c.key == EVENT.c.root))
            .where(*conditions)
            .order_by(EVENT.c.at, EVENT.c.key)
        )
        rows = connection.execute(question).all()
        names = store.interned.values(connection, {key for row in rows for key in row[3:6] if key is not None})
    return [_recorded(row, names) for row in rows]


def _recorded(row: Any, names: Mapping[int, str]) -> Recorded:
    shares = ("repetition", "topic_coherence", "injection_risk", "staleness", "overhead_share")
    session, agent, model = (names.get(key) for key in row[3:6])
    return Recorded(
        ids.to_text(row.id),
        from_us(row.at),
        ids.to_text(row.root_id),
        session,
        agent,
        model,
        STATES[row.state],
        row.messages,
        row.tokens,
        None if row.usage is None else row.usage / 10,
        row.rot / 10,
        {"relevance": 1 - row.rot / 1000, **{name: getattr(row, name) / 1000 for name in shares}},
    )
