"""The books of a store on a server: tables beside the events, settled in the transaction that stores them.

Pages are locked in the order of their keys, both to reserve and to settle, so that no two wait for each other. What is
reserved is not flushed: a crash of the server may lose the reservations of its last moment, never what was spent.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from tc_core.budgets import sql
from tc_core.budgets.books import Books, Key, Page, Wanted, expiry_us, more_of, without_room
from tc_core.budgets.budget import Budget
from tc_core.budgets.periods import Span
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.store.engine.postgresql import PostgreSQL

_COLUMNS = "budget, period, start_at, end_at, amount, extra, extra_until, spent, reserved"

_TAKE = """
WITH unflushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
asked AS (SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS asked(budget, period, asked)),
wanted AS MATERIALIZED (
  SELECT page.budget, page.period, asked.asked,
    page.spent + page.reserved + asked.asked <= page.amount + CASE WHEN page.extra_until > %s THEN page.extra ELSE 0 END
      AS fits
  FROM budget_period AS page JOIN asked USING (budget, period) ORDER BY page.budget, page.period FOR UPDATE OF page),
taken AS (
  UPDATE budget_period AS page SET reserved = page.reserved + wanted.asked FROM wanted, unflushed
  WHERE page.budget = wanted.budget AND page.period = wanted.period
    AND (SELECT count(*) FROM wanted WHERE fits) = %s
    AND (SELECT coalesce(max(key), 0) FROM budget_change) = %s
    AND NOT EXISTS (SELECT 1 FROM reservation WHERE event = %s)
  RETURNING page.budget, page.period, wanted.asked)
INSERT INTO reservation(event, budget, period, amount, expires, state)
SELECT %s, budget, period, asked, %s, 0 FROM taken
"""


class PostgreSQLBooks(Books):
    """The books in the same database as the events."""

    @property
    def _database(self) -> PostgreSQL:
        found = self.store.database
        if not isinstance(found, PostgreSQL):
            raise TypeError(f"{found} is no server")
        return found

    def version(self) -> int:
        """Return the version of the budgets."""
        _, ((found,),) = self._database.do_at_once("SELECT coalesce(max(key), 0) FROM budget_change")
        return int(found)

    def _take(self, event_id: EventId, wanted: Sequence[Wanted], now_us: int, version: int) -> bool:
        columns = [
            [each.budget.id for each in wanted],
            [each.span.label for each in wanted],
            [each.amount for each in wanted],
        ]
        rest = (now_us, len(wanted), version, event_id, event_id, expiry_us())
        done, _ = self._database.do_at_once(_TAKE, (*columns, *rest))
        return done == len(wanted)

    def extend(self, event_id: EventId, wanted: Sequence[Wanted]) -> list[Page]:
        """Reserve more under an id, with the pages locked in the order of their keys."""
        asked, now_us = {each.key: each.amount for each in wanted}, clock.wall_ns() // 1000
        page = (
            f"SELECT {_COLUMNS} FROM budget_period WHERE (budget, period) IN "
            "(SELECT * FROM unnest(%s::bigint[], %s::text[])) ORDER BY budget, period FOR UPDATE"
        )
        reserved = "SELECT budget, period, amount FROM reservation WHERE event = %s AND state = 0"
        grown = (
            "UPDATE reservation SET amount = reservation.amount + more.amount "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS more(budget, amount) "
            "WHERE event = %s AND reservation.budget = more.budget"
        )

        def do(connection: Connection) -> list[Page]:
            pages = [Page(*row) for row in connection.exec_driver_sql(page, _columns(sorted(asked))).all()]
            found = connection.exec_driver_sql(reserved, (event_id,)).all()
            more = more_of(asked, {(budget, period): amount for budget, period, amount in found})
            full = without_room(pages, more, now_us)
            if more and not full:
                budgets = [budget for budget, _ in more]
                connection.exec_driver_sql(grown, (budgets, list(more.values()), event_id))
                _add(connection, {key: (0, amount) for key, amount in more.items()})
            return full

        return self.store.database.transact(do)

    def is_reserved(self, event_id: EventId) -> bool:
        """Tell whether anything is reserved under an id."""
        _, found = self._database.do_at_once("SELECT 1 FROM reservation WHERE event = %s LIMIT 1", (event_id,))
        return bool(found)

    def withdraw(self, event_id: EventId) -> None:
        """Give back what is reserved under an id."""
        self.store.database.transact(lambda connection: _give_back(connection, [event_id], {}))

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved under an id be reserved under another one."""
        self._database.do_at_once("UPDATE reservation SET event = %s WHERE event = %s", (other, event_id))

    def settle(self, connection: Connection, ids: Sequence[EventId], sums: Mapping[Key, int]) -> None:
        """Give back and add up, in the transaction that stores the events."""
        _give_back(connection, ids, sums)

    def apply(self) -> None:
        """Nothing is to be done: what is committed is in the books."""

    def renew(self, ids: Sequence[EventId]) -> None:
        """Let the leases of calls that are open run on."""
        if ids:
            statement = "UPDATE reservation SET expires = GREATEST(expires, %s) WHERE event = ANY(%s) AND state = 0"
            self._database.do_at_once(statement, (expiry_us(), list(ids)))

    def expire(self) -> int:
        """Book leases that have run out as spent."""
        now_us = clock.wall_ns() // 1000
        question = "SELECT 1 FROM reservation WHERE state = 0 AND expires <= %s LIMIT 1"
        if not self._database.do_at_once(question, (now_us,))[1]:
            return 0

        def do(connection: Connection) -> int:
            statement = (
                "UPDATE reservation SET state = 1 WHERE state = 0 AND expires <= %s RETURNING budget, period, amount"
            )
            rows = connection.exec_driver_sql(statement, (now_us,)).all()
            changed: dict[Key, tuple[int, int]] = {}
            for budget, period, amount in rows:
                _change(changed, (budget, period), amount, -amount)
            _add(connection, changed)
            return len(rows)

        return self.store.database.transact(do)

    def pages(self, keys: Sequence[Key] | None = None) -> dict[Key, Page]:
        """Return pages: those named, or all."""
        question, parameters = f"SELECT {_COLUMNS} FROM budget_period", ()
        with self.store.database.reading() as connection:
            if keys is None:
                rows: Iterable[Any] = connection.exec_driver_sql(question, parameters).all()
            else:
                chosen = f"{question} WHERE (budget, period) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))"
                rows = connection.exec_driver_sql(chosen, _columns(keys)).all()
        return {(row[0], row[1]): Page(*row) for row in rows}

    def open(self, budget: Budget, span: Span, *, again: bool = False) -> None:
        """Begin a page with what events say was spent, while nobody writes any."""
        key = (budget.id, span.label)

        def do(connection: Connection) -> None:
            spent = sql.spent(self.store, connection, budget, span)
            if again:
                connection.exec_driver_sql(
                    "UPDATE budget_period SET start_at = %s, spent = %s + "
                    "(SELECT coalesce(sum(amount), 0) FROM reservation "
                    "WHERE budget = %s AND period = %s AND state = 1) WHERE budget = %s AND period = %s",
                    (span.start_us, spent, *key, *key),
                )
                return
            limits = (budget.amount, budget.extra, budget.extra_until_us)
            connection.exec_driver_sql(
                f"INSERT INTO budget_period({_COLUMNS}, since_seq) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, 0) "
                "ON CONFLICT DO NOTHING",
                (*key, span.start_us, span.end_us, *limits, spent),
            )

        self.store.database.transact(do, alone=True)

    def follow(self) -> tuple[int, list[Budget]]:
        """Have the limits of pages follow the budgets as they are set now."""
        now_us = clock.wall_ns() // 1000

        def do(connection: Connection) -> tuple[int, list[Budget]]:
            version, budgets = sql.version(connection), sql.budgets(connection)
            for budget in budgets:
                connection.exec_driver_sql(
                    "UPDATE budget_period SET amount = %s, extra = %s, extra_until = %s "
                    "WHERE budget = %s AND (end_at IS NULL OR end_at > %s)",
                    (budget.amount, budget.extra, budget.extra_until_us, budget.id, now_us),
                )
            known = [budget.id for budget in budgets]
            for name in ("reservation", "budget_period"):
                connection.exec_driver_sql(f"DELETE FROM {name} WHERE NOT budget = ANY(%s::bigint[])", (known,))
            return version, budgets

        return self.store.database.transact(do, alone=True)

    def estimates(self) -> dict[Key, int]:
        """Return what stands in `spent` for calls whose lease ran out."""
        question = "SELECT budget, period, sum(amount)::bigint FROM reservation WHERE state = 1 GROUP BY 1, 2"
        with self.store.database.reading() as connection:
            return {(budget, period): amount for budget, period, amount in connection.exec_driver_sql(question)}

    def close(self) -> None:
        """Nothing is held open beside the store's own connections."""


def _give_back(connection: Connection, ids: Sequence[EventId], sums: Mapping[Key, int]) -> None:
    changed = {key: (more, 0) for key, more in sums.items()}
    if ids:
        statement = "DELETE FROM reservation WHERE event = ANY(%s) RETURNING budget, period, amount, state"
        for budget, period, amount, state in connection.exec_driver_sql(statement, (list(ids),)).all():
            _change(changed, (budget, period), -amount if state else 0, 0 if state else -amount)
    _add(connection, changed)


def _change(changed: dict[Key, tuple[int, int]], key: Key, spent: int, reserved: int) -> None:
    before = changed.get(key, (0, 0))
    changed[key] = (before[0] + spent, before[1] + reserved)


def _add(connection: Connection, changed: Mapping[Key, tuple[int, int]]) -> None:
    """Change pages, which are locked in the order of their keys first."""
    if not changed:
        return
    keys = sorted(changed)
    chosen = "WHERE (budget, period) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))"
    connection.exec_driver_sql(
        f"SELECT 1 FROM budget_period {chosen} ORDER BY budget, period FOR UPDATE", _columns(keys)
    )
    connection.exec_driver_sql(
        "UPDATE budget_period AS page SET spent = page.spent + more.spent, reserved = page.reserved + more.reserved "
        "FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[]) AS more(budget, period, spent, reserved) "
        "WHERE page.budget = more.budget AND page.period = more.period",
        (*_columns(keys), [changed[key][0] for key in keys], [changed[key][1] for key in keys]),
    )


def _columns(keys: Sequence[Key]) -> tuple[list[int], list[str]]:
    return [budget for budget, _ in keys], [period for _, period in keys]
