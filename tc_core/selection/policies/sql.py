"""What is asked of a store about policies: which hold, who changed them, who was assigned how, and what came of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from tc_core.selection.policies.evidence import Counts
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.tables import STATES, PolicyChangeRow, PolicyRow, PolicySumRow, PolicyUnitRow
from tc_core.store.engine.database import Database
from tc_core.store.schema.tables import table

_POLICY, _CHANGE = table(PolicyRow), table(PolicyChangeRow)
_UNIT, _SUM = table(PolicyUnitRow), table(PolicySumRow)

ON, UNDONE, ROLLED_BACK = STATES
SUMS = ("calls", "errors", "cost_nanos", "saved_nanos")


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy as the store has it: its `state` is one of STATES, `since_us` when that began."""

    policy: Policy
    state: str
    salt: str
    since_us: int
    previous: Policy | None = None


class Change(NamedTuple):
    """One line of the log: what was done, by whom and why."""

    at_us: int
    name: str
    kind: str
    by: str
    why: str | None
    details: Mapping[str, Any]


class Sums(NamedTuple):
    """What became of some calls."""

    calls: int = 0
    errors: int = 0
    cost_nanos: int = 0
    saved_nanos: int = 0


Arms = tuple[Sums, Sums]
"""Of what was kept as it was, and of what a policy acted on."""


def version(connection: Connection) -> int:
    """Return the version of all policies: it grows with each change."""
    return connection.exec_driver_sql("SELECT coalesce(max(key), 0) FROM policy_change").scalar_one()  # type: ignore[no-any-return]  # a number


def applied(connection: Connection) -> list[Applied]:
    """Return all policies that were ever applied, by their names."""
    return [_read(row) for row in connection.execute(select(_POLICY).order_by(_POLICY.c.name))]


def _read(row: Any) -> Applied:
    previous = None if row.previous is None else Policy(**json.loads(row.previous))
    return Applied(Policy(**json.loads(row.definition)), STATES[row.state], row.salt, row.since_us, previous)


def save(connection: Connection, wanted: Applied) -> None:
    """Write a policy as it is from now on."""
    name = wanted.policy.name
    values = {
        "state": STATES.index(wanted.state),
        "definition": json.dumps(wanted.policy.to_dict()),
        "previous": None if wanted.previous is None else json.dumps(wanted.previous.to_dict()),
        "salt": wanted.salt,
        "since_us": wanted.since_us,
    }
    if not connection.execute(update(_POLICY).where(_POLICY.c.name == name).values(values)).rowcount:
        connection.execute(insert(_POLICY).values(name=name, **values))


def note(connection: Connection, change: Change) -> None:
    """Add a line to the log."""
    connection.execute(
        insert(_CHANGE).values(
            key=version(connection) + 1,
            name=change.name,
            at_us=change.at_us,
            kind=change.kind,
            by=change.by,
            why=change.why,
            details=json.dumps(change.details),
        )
    )


def log(connection: Connection, name: str | None = None) -> list[Change]:
    """Return who has changed a policy, or all, the oldest first."""
    question = select(_CHANGE).order_by(_CHANGE.c.key)
    if name is not None:
        question = question.where(_CHANGE.c.name == name)
    rows = connection.execute(question)
    return [Change(row.at_us, row.name, row.kind, row.by, row.why, json.loads(row.details)) for row in rows]


# Runs that were assigned, and what came of calls


class Unit(NamedTuple):
    """A run or a session, and how it was assigned."""

    salt: str
    unit: str
    arm: int
    at_us: int


def assign(connection: Connection, database: Database, units: Sequence[Unit]) -> None:
    """Note how runs were assigned; the first that notes one is right."""
    rows = sorted(set(units))
    database.insert_missing(connection, "policy_unit", Unit._fields, rows)


def add(connection: Connection, database: Database, sums: Mapping[tuple[str, int, int], Sums]) -> None:
    """Add what became of calls, by salt, arm and day."""
    rows = sorted((*key, *more) for key, more in sums.items())
    database.add_up(connection, "policy_sum", ("salt", "arm", "day"), SUMS, rows)


def arm_of(connection: Connection, salt: str, unit: str) -> int:
    """Return how a run was assigned, which must have been."""
    question = select(_UNIT.c.arm).where(_UNIT.c.salt == salt, _UNIT.c.unit == unit)
    return int(connection.execute(question).scalar_one())


def say_outcomes(connection: Connection, salt: str, outcomes: Mapping[str, bool]) -> int:
    """Note how runs came out; return how many of them were assigned."""
    statement = (
        update(_UNIT)
        .where(_UNIT.c.salt == salt, _UNIT.c.unit == bindparam("of_unit"))
        .values(success=bindparam("came_out"))
    )
    found = 0
    for unit, success in sorted(outcomes.items()):
        found += connection.execute(statement, {"of_unit": unit, "came_out": int(success)}).rowcount
    return found


def outcomes(connection: Connection, salt: str) -> tuple[Counts, Counts]:
    """Return how assigned runs came out that are in the store: those kept as they were, and the others."""
    question = (
        select(_UNIT.c.arm, func.count(), func.sum(_UNIT.c.success))
        .where(_UNIT.c.salt == salt, _UNIT.c.success.is_not(None))
        .group_by(_UNIT.c.arm)
    )
    found = {arm: Counts(int(good), int(count)) for arm, count, good in connection.execute(question)}
    return found.get(0, Counts()), found.get(1, Counts())


def forget_units(connection: Connection, salt: str) -> None:
    """Delete how runs were assigned under a definition that holds no more."""
    connection.execute(delete(_UNIT).where(_UNIT.c.salt == salt))


def sums(connection: Connection, salt: str) -> Arms:
    """Return what became of the calls under a policy."""
    columns = (func.coalesce(func.sum(_SUM.c[name]), 0) for name in SUMS)
    question = select(_SUM.c.arm, *columns).where(_SUM.c.salt == salt).group_by(_SUM.c.arm)
    found = {row[0]: Sums(*map(int, row[1:])) for row in connection.execute(question)}
    return found.get(0, Sums()), found.get(1, Sums())


def of_outcomes(events: Iterable[Any], unit: str) -> dict[str, bool]:
    """Return by run or session what outcome events say, the latest of each; they come in order of time."""
    found: dict[str, bool] = {}
    for event in events:
        whose = event.session_id if unit == "session" else event.root_id or event.event_id
        if whose is not None:
            found[whose] = bool(event.metadata.get("success"))
    return found
