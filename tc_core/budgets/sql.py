"""What is asked of a store about budgets: how they are set, who changed them, and what was spent by the events."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from tc_core.budgets.budget import ALLOW, REFUSE, Budget
from tc_core.budgets.periods import Span, is_each
from tc_core.budgets.tables import BudgetChangeRow, BudgetRow, BudgetUsageRow, SettlementRow
from tc_core.costs import filters as filtering
from tc_core.meter import prices
from tc_core.model.event import from_us, to_us
from tc_core.model.gaps import Gaps
from tc_core.model.ids import EventId
from tc_core.model.period import Period
from tc_core.model.ports import Filters, GroupKey
from tc_core.model.totals import Totals
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ROOT
from tc_core.store.read.query import Reader
from tc_core.store.read.sums import Summing
from tc_core.store.schema.tables import table
from tc_core.store.sql import SqlStore

_BUDGET = table(BudgetRow)
_CHANGE = table(BudgetChangeRow)
_USAGE = table(BudgetUsageRow)
_SETTLEMENT = table(SettlementRow)


class Change(NamedTuple):
    """One line of a budget's history: what was done, by whom and why."""

    at_us: int
    name: str
    kind: str
    by: str | None
    why: str | None
    details: Mapping[str, Any]


# How they are set


def version(connection: Connection) -> int:
    """Return the version of all budgets: it grows with each change."""
    return connection.exec_driver_sql("SELECT coalesce(max(key), 0) FROM budget_change").scalar_one()  # type: ignore[no-any-return]  # a number


def budgets(connection: Connection) -> list[Budget]:
    """Return all budgets, by their names."""
    return [_read(row) for row in connection.execute(select(_BUDGET).order_by(_BUDGET.c.name))]


def _read(row: Any) -> Budget:
    return Budget(
        row.id,
        row.name,
        row.amount,
        row.period,
        {name: tuple(values) for name, values in json.loads(row.filters).items()},
        bool(row.hard),
        row.unit,
        row.tz,
        tuple(json.loads(row.thresholds)),
        row.unpriced,
        row.max_override,
        row.extra,
        row.extra_until,
    )


def save(connection: Connection, budget: Budget, *, is_new: bool) -> None:
    """Write a budget that is new or has changed."""
    values = {
        "id": budget.id,
        "name": budget.name,
        "amount": budget.amount,
        "period": budget.period,
        "filters": json.dumps(budget.filters),
        "hard": int(budget.hard),
        "unit": budget.unit,
        "tz": budget.tz,
        "thresholds": json.dumps(budget.thresholds),
        "unpriced": budget.unpriced,
        "max_override": budget.max_override,
        "extra": budget.extra,
        "extra_until": budget.extra_until_us,
    }
    if is_new:
        connection.execute(insert(_BUDGET).values(values))
    else:
        connection.execute(update(_BUDGET).where(_BUDGET.c.id == budget.id).values(values))


def remove(connection: Connection, budget: Budget) -> None:
    """Delete a budget and what was booked on it by hand; its history stays."""
    connection.execute(delete(_BUDGET).where(_BUDGET.c.id == budget.id))
    connection.execute(delete(_USAGE).where(_USAGE.c.budget == budget.id))


def move_usage(connection: Connection, before: Budget, after: Budget) -> None:
    """Book what was booked by hand on one budget on the one that replaces it; where units differ it is lost."""
    if before.unit != after.unit:
        connection.execute(delete(_USAGE).where(_USAGE.c.budget == before.id))
        return
    for row in connection.execute(select(_USAGE).where(_USAGE.c.budget == before.id)).all():
        span = None if is_each(after.period) else after.spans(row.at)
        label = row.period if span is None else span.label
        key = (_USAGE.c.id == row.id) & (_USAGE.c.budget == before.id)
        connection.execute(update(_USAGE).where(key).values(budget=after.id, period=label))


def note(connection: Connection, change: Change) -> None:
    """Add a line to the history."""
    connection.execute(
        insert(_CHANGE).values(
            key=version(connection) + 1,
            name=change.name,
            at=change.at_us,
            kind=change.kind,
            by=change.by,
            why=change.why,
            details=json.dumps(change.details),
        )
    )


def history(connection: Connection, name: str | None) -> list[Change]:
    """Return who has changed a budget, or all, the oldest first."""
    question = select(_CHANGE).order_by(_CHANGE.c.key)
    if name is not None:
        question = question.where(_CHANGE.c.name == name)
    return [
        Change(row.at, row.name, row.kind, row.by, row.why, json.loads(row.details))
        for row in connection.execute(question)
    ]


# What was spent


def spent(store: SqlStore, connection: Connection, budget: Budget, span: Span) -> int:
    """Return what events and what was booked by hand have taken of a budget in a period."""
    filters = _filters(store, connection, budget, span)
    if is_each(budget.period):
        filters[budget.key_filter] = _key_of(budget, span)
    bounds = (span.start_us, span.end_us)
    totals = Summing(connection, store.database, store.interned, (), filters).totals(*bounds)[()]
    if budget.unit == "calls":
        found = totals.calls
    elif budget.unit == "tokens":
        found = totals.input_tokens + totals.output_tokens
    else:
        found = totals.cost_nanos
        if totals.unpriced and budget.unpriced not in (REFUSE, ALLOW):
            found += _by_stand_in(store, connection, budget, filters, bounds)
    return found + _by_hand(connection, budget, span)


def calls(store: SqlStore, connection: Connection, budget: Budget, span: Span) -> int:
    """Return how many calls of a period are recorded that a budget is about."""
    filters = _filters(store, connection, budget, span)
    return Summing(connection, store.database, store.interned, (), filters).totals(span.start_us, span.end_us)[()].calls


class _Asked(NamedTuple):
    """Sums of the transaction that is open, as those who work out filters ask for them."""

    store: SqlStore
    connection: Connection

    def totals(
        self,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        gaps: Gaps | None = None,  # as a reader is asked
    ) -> dict[GroupKey, Totals]:
        asked = Summing(self.connection, self.store.database, self.store.interned, group_by, filters or {})
        return asked.totals(*(None if each is None else to_us(each) for each in (start_time, end_time)))


def _filters(store: SqlStore, connection: Connection, budget: Budget, span: Span) -> dict[str, Any]:
    """Return the filters of a budget by the values that the calls of a period have."""
    start, end = (None if each is None else from_us(each) for each in (span.start_us, span.end_us))
    given = {name: list(values) for name, values in budget.filters.items()}
    return dict(filtering.resolved(_Asked(store, connection), given, Period(start, end)))


def _key_of(budget: Budget, span: Span) -> str:
    if budget.period != "run":
        return span.label
    digits = span.label
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _by_stand_in(
    store: SqlStore,
    connection: Connection,
    budget: Budget,
    filters: Filters,
    bounds: tuple[int | None, int | None],
) -> int:
    """Return what calls without a price cost by the price that stands in for theirs."""
    found = 0
    for event in Reader(connection, store.database, store.interned).events(filters, *bounds):
        if event.is_call and event.cost_nanos is None and event.has_usage and event.status != "open":
            price = prices.price_of(event.usage, budget.unpriced, at_us=to_us(event.timestamp))
            found += 0 if price is None else price.cost_nanos
    return found


def _by_hand(connection: Connection, budget: Budget, span: Span) -> int:
    question = select(func.coalesce(func.sum(_USAGE.c.amount), 0)).where(_USAGE.c.budget == budget.id)
    if span.label == "rolling":
        question = question.where(_USAGE.c.at >= span.start_us)
    else:
        question = question.where(_USAGE.c.period == span.label)
    return int(connection.execute(question).scalar_one())


def use(connection: Connection, id_: EventId, at_us: int, taken: Sequence[tuple[Budget, Span, int]]) -> None:
    """Write what is booked by hand."""
    for budget, span, amount in taken:
        connection.execute(insert(_USAGE).values(id=id_, budget=budget.id, period=span.label, at=at_us, amount=amount))


def roots(connection: Connection, ids: Sequence[EventId]) -> dict[EventId, EventId]:
    """Return the runs that events are part of."""
    found: dict[EventId, EventId] = {}
    for some in chunks(ids):
        question = select(EVENT.c.id, ROOT.c.id).join(ROOT, ROOT.c.key == EVENT.c.root).where(EVENT.c.id.in_(some))
        found.update((id_, root) for id_, root in connection.execute(question))
    return found


# Settlements


def settle(connection: Connection, ids: Sequence[EventId], sums: Mapping[tuple[int, str], int], applied: int) -> None:
    """Note what a transaction settles, and forget what the books have long had; the last one stays, for its number."""
    connection.exec_driver_sql(
        "DELETE FROM settlement WHERE seq < ? AND seq < (SELECT max(seq) FROM settlement)", (applied,)
    )
    connection.exec_driver_sql(
        "INSERT INTO settlement(seq, ids, sums) SELECT coalesce(max(seq), 0) + 1, ?, ? FROM settlement",
        (json.dumps([id_.hex() for id_ in ids]), json.dumps([[*key, more] for key, more in sorted(sums.items())])),
    )


def settlements(connection: Connection, since: int) -> list[tuple[int, str, str]]:
    """Return what was settled after a settlement, in order."""
    question = select(_SETTLEMENT.c.seq, _SETTLEMENT.c.ids, _SETTLEMENT.c.sums).where(_SETTLEMENT.c.seq > since)
    return [tuple(row) for row in connection.execute(question.order_by(_SETTLEMENT.c.seq))]


def last_settlement(connection: Connection) -> int:
    """Return the number of the last settlement, 0 where there was none."""
    return connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM settlement").scalar_one()  # type: ignore[no-any-return]  # a number


def mark(connection: Connection) -> int:
    """Return the number by which a SQLite store is told from another one at the same place."""
    return connection.exec_driver_sql("PRAGMA user_version").scalar_one()  # type: ignore[no-any-return]  # a number
