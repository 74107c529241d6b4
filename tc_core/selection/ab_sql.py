"""What A/B tests write and ask: how they are set up, who was assigned where, and how it came out."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, and_, case, func, select, update

from tc_core.model.ids import EventId
from tc_core.model.scope import DIMENSIONS
from tc_core.selection.ab_tables import AbTestRow, AbUnitRow
from tc_core.selection.assignment import NAMED_UNITS, RUN
from tc_core.store.engine.database import Database, chunks
from tc_core.store.read.filters import EVENT, ROOT, Conditions
from tc_core.store.schema.tables import LabelSet, table
from tc_core.store.sql import SqlStore

_TEST = table(AbTestRow)
_UNIT = table(AbUnitRow)
_LABEL_SET = table(LabelSet)
_UNIT_COLUMNS = ("test", "unit", "arm", "at_us")


class Setup(NamedTuple):
    """A test as it is set up: its row."""

    id: int
    name: str
    model_a: str
    model_b: str
    unit: str
    split: float
    low: float | None
    high: float | None
    agent_id: str | None
    salt: bytes
    hash_key: str
    start_us: int
    end_us: int
    stopped_us: int | None = None
    keep: str | None = None


class Unit(NamedTuple):
    """Where a unit was assigned, and how it came out."""

    arm: int
    at_us: int
    value: float | None


_SETUP = [_TEST.c[name] for name in Setup._fields]
_NEW = tuple(name for name in Setup._fields if name not in ("id", "stopped_us", "keep"))


# Tests


def setup(connection: Connection, name: str) -> Setup | None:
    """Return how a test is set up, or None."""
    row = connection.execute(select(*_SETUP).where(_TEST.c.name == name)).first()
    return None if row is None else Setup(*row)


def setups(connection: Connection) -> list[Setup]:
    """Return all tests, the newest first."""
    return [Setup(*row) for row in connection.execute(select(*_SETUP).order_by(_TEST.c.start_us.desc(), _TEST.c.id))]


def add(connection: Connection, database: Database, new: Setup) -> Setup:
    """Write a test where there is none of its name; return the one that there is now, whoever was first."""
    database.insert_missing(connection, "ab_test", _NEW, [tuple(getattr(new, name) for name in _NEW)])
    return setup(connection, new.name) or new


def stop(connection: Connection, id_: int, at_us: int, keep: str | None) -> None:
    """Note that a test was stopped, and which arm's model is kept; a second time changes the latter alone."""
    values = {"stopped_us": func.coalesce(_TEST.c.stopped_us, at_us), "keep": keep}
    connection.execute(update(_TEST).where(_TEST.c.id == id_).values(values))


# Units


def assign(connection: Connection, database: Database, rows: Iterable[tuple[int, bytes, int, int]]) -> None:
    """Write who is assigned where: the test, the unit, the arm, and when. Whoever is there stays as they are."""
    database.insert_missing(connection, "ab_unit", _UNIT_COLUMNS, sorted(set(rows)))


def unit(connection: Connection, test: int, unit_: bytes) -> Unit | None:
    """Return how a unit stands, or None; others who would change it wait until this transaction ends."""
    question = select(_UNIT.c.arm, _UNIT.c.at_us, _UNIT.c.value).where(_UNIT.c.test == test, _UNIT.c.unit == unit_)
    row = connection.execute(question.with_for_update()).first()
    return None if row is None else Unit(*row)


def set_outcome(connection: Connection, test: int, unit_: bytes, value: float, at_us: int) -> None:
    """Write how a unit came out."""
    place = and_(_UNIT.c.test == test, _UNIT.c.unit == unit_)
    connection.execute(update(_UNIT).where(place).values(value=value, value_us=at_us))


def assigned(connection: Connection) -> dict[int, tuple[int, int, int]]:
    """Return of each test how many units were assigned to a and to b, and how many outcomes there are."""
    counts = (func.sum(case((_UNIT.c.arm == 0, 1), else_=0)), func.sum(_UNIT.c.arm), func.count(_UNIT.c.value))
    question = select(_UNIT.c.test, *counts).group_by(_UNIT.c.test)
    return {test: (int(a), int(b), int(known)) for test, a, b, known in connection.execute(question)}


def outcomes(connection: Connection, test: int) -> list[tuple[int, float]]:
    """Return the arm and the value of each outcome, in the order in which they came."""
    question = select(_UNIT.c.arm, _UNIT.c.value).where(_UNIT.c.test == test, _UNIT.c.value.is_not(None))
    return [(arm, value) for arm, value in connection.execute(question.order_by(_UNIT.c.value_us, _UNIT.c.unit))]


def roots(connection: Connection, event_ids: Iterable[EventId]) -> dict[EventId, EventId]:
    """Return the ids of the runs that events are part of."""
    found: dict[EventId, EventId] = {}
    for some in chunks(list(event_ids)):
        question = select(EVENT.c.id, ROOT.c.id).join(ROOT, ROOT.c.key == EVENT.c.root).where(EVENT.c.id.in_(some))
        found.update((id_, root) for id_, root in connection.execute(question))
    return found


def units_between(store: SqlStore, unit_name: str, agent_id: str | None, start_us: int, end_us: int) -> tuple[int, int]:
    """Return how many units made calls in a span, and when the first call of any was (us), 0 for none."""
    filters: Mapping[str, str] = {} if agent_id is None else {"agent_id": agent_id}
    filters = {"event_type": "llm_call", **filters}
    with store.question() as connection:
        conditions = Conditions(connection, store.database, store.interned).of(filters, start_us, end_us)
        name = NAMED_UNITS.get(unit_name, unit_name)
        if unit_name == RUN:
            question = select(func.count(EVENT.c.root.distinct()), func.min(EVENT.c.at)).select_from(EVENT)
        elif name in DIMENSIONS:
            question = select(func.count(EVENT.c[name].distinct()), func.min(EVENT.c.at)).select_from(EVENT)
        else:
            value = store.database.label_value(_LABEL_SET.c.body, name)
            labels = EVENT.join(_LABEL_SET, _LABEL_SET.c.id == EVENT.c.labels)
            question = select(func.count(value.distinct()), func.min(EVENT.c.at)).select_from(labels)
        count, first = connection.execute(question.where(*conditions)).one()
    return int(count or 0), int(first or 0)
