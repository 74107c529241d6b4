"""What budgets add to recording: calls are stopped before they are made, and booked when their events are stored."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

from tc_core import settings
from tc_core.budgets import sql
from tc_core.budgets.books import Key, books_of, now_of
from tc_core.budgets.budget import Budget
from tc_core.budgets.definitions import Definitions
from tc_core.budgets.enforcement import Enforcement
from tc_core.budgets.periods import is_each, is_rolling, window
from tc_core.budgets.setting import declare
from tc_core.model.clock import clock
from tc_core.model.event import CALL_TYPES
from tc_core.model.ids import EventId
from tc_core.model.part import Booked, Change, Finding, Part, Transaction
from tc_core.model.scope import EMPTY_SCOPE
from tc_core.runtime.recorders import parts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

log = logging.getLogger("tc_core")

CHORE_SECONDS = 600.0
NAME = "budgets"


def part(store: StorageBackend) -> Part | None:
    """Return what budgets add to the recording into a store; None where it has no place for them."""
    if not isinstance(store, SqlStore) or store.read_only:
        return None
    return _registered(store).part


def live_of(store: SqlStore) -> "Live":
    """Return the budgets of a store, the same for all of one process; those of one that is only read record nothing."""
    parts(store)
    return _lives.get(store.identity) or Live(store)


_lives: "WeakValueDictionary[str, Live]" = WeakValueDictionary()


def _registered(store: SqlStore) -> "Live":
    found = _lives[store.identity] = Live(store)
    return found


class Live:
    """The budgets of one store, while it is recorded into."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.books = books_of(store)
        self.definitions = Definitions(store, self.books)
        self.enforcement = Enforcement(self.books, self.definitions)
        self._written: tuple[int, Sequence[Budget]] | None = None
        self._warned: set[tuple[Key, float]] = set()
        self._is_declared = False
        self.part = Part(
            name=NAME,
            enforce=self.enforce,
            withdraw=self.enforcement.withdraw,
            rename=self.enforcement.rename,
            cut=self.cut,
            steps=[self.enforcement.learn],
            write=self.write,
            committed=self.committed,
            chore=self.chore,
            checks=self.checks,
        )

    def enforce(self, is_enforced: bool) -> None:  # noqa: FBT001  # as the part is called
        """Begin or end to stop calls."""
        if is_enforced:
            self._declare()
        self.part.admit = self.enforcement.admit if is_enforced else None

    def cut(self, is_cut: bool) -> None:  # noqa: FBT001  # as the part is called
        """Begin or end to watch streams."""
        self.enforcement.cuts_streams = is_cut
        self.part.meter = self.enforcement.meter if is_cut else None

    def write(self, transaction: Transaction, changes: Sequence[Change]) -> None:
        """Book what a transaction writes: it gives back what was reserved for it, and counts as spent."""
        budgets = self._budgets(transaction.connection)
        if not budgets:
            return
        ids = [each.id for each in changes if each.after is not None and _is_settled(each.after)]
        roots = sql.roots(transaction.connection, [each.id for each in changes]) if _has_runs(budgets) else {}
        sums: dict[Key, int] = {}
        for change in changes:
            for booked, sign in ((change.before, -1), (change.after, 1)):
                if booked is not None:
                    self._add(sums, budgets, change, booked, sign, roots.get(change.id))
        sums = {key: more for key, more in sums.items() if more}
        if ids or sums:
            self.books.settle(transaction.connection, ids, sums)

    def _add(
        self,
        sums: dict[Key, int],
        budgets: Sequence[Budget],
        change: Change,
        booked: Booked,
        sign: int,
        root: EventId | None,
    ) -> None:
        for budget in budgets:
            if not budget.is_about(booked.event_type, booked.provider, booked.model, booked.scope):
                continue
            span = budget.span(change.at_us, booked.scope, root)
            if span is None or (is_rolling(budget.period) and not _is_in_window(budget, change.at_us)):
                continue
            key = (budget.id, span.label)
            sums[key] = sums.get(key, 0) + sign * budget.counts(booked, change.at_us)

    def _budgets(self, connection: Any) -> Sequence[Budget]:
        """Return the budgets as a transaction sees them."""
        version = sql.version(connection)
        if self._written is None or self._written[0] != version:
            self._written = version, sql.budgets(connection) if version else ()
        return self._written[1]

    def committed(self) -> None:
        """Bring the books up to date, and say what has come near its limit."""
        self.books.apply()
        self._warn()

    def _warn(self) -> None:
        budgets = [budget for budget in (self._written or (0, ()))[1] if budget.thresholds]
        now_us = clock.wall_ns() // 1000
        for budget in budgets:
            for key, page in self.books.pages().items():
                if key[0] != budget.id or (page.end_us is not None and page.end_us <= now_us):
                    continue
                limit = page.limit(now_us)
                passed = [each for each in budget.thresholds if page.spent >= each * limit]
                if passed and (key, max(passed)) not in self._warned:
                    self._warned.update((key, each) for each in passed)
                    said = f"{budget.said(page.spent)} of {budget.said(limit)} spent"
                    log.warning(
                        "token-calculator: budget %r has passed %.0f %%: %s", budget.name, 100 * max(passed), said
                    )

    def chore(self) -> float:
        """Book leases that have run out, let those of calls that are open run on, and begin periods as they come."""
        self._declare()
        self.books.renew(self.enforcement.open_ids())
        self.books.expire()
        self._renew()
        return CHORE_SECONDS

    def _renew(self) -> None:
        """Begin the present periods, so that the history has also those in which nobody asks."""
        now_us, pages = clock.wall_ns() // 1000, self.books.pages()
        for budget in self.definitions.current():
            span = None if is_each(budget.period) else budget.span(now_us, EMPTY_SCOPE, None)
            if span is not None and (budget.id, span.label) not in pages:
                self.books.open(budget, now_of(budget, span, now_us))

    def _declare(self) -> None:
        """Set the budgets of the settings file, once."""
        if not self._is_declared:
            declare(self.store, self.books, settings.load().budgets)
            self._is_declared = True

    def checks(self) -> Iterable[Finding]:
        """Say what the doctor should know."""
        budgets = self.definitions.current()
        if budgets:
            hard = sum(budget.hard for budget in budgets)
            is_on = self.part.admit is not None or settings.load().tracking.enforce
            said = f"{len(budgets)} set, {hard} of them hard"
            if hard and not is_on:
                said += "; hard ones stop calls where instrument(enforce=True) or TOKEN_CALC_ENFORCE=true says so"
            yield Finding("ok", NAME, said)


def _is_settled(booked: Booked) -> bool:
    """Tell whether a call's end is known: one that was given up may still have cost what is reserved for it."""
    return booked.event_type in CALL_TYPES and not (booked.status == "abandoned" and booked.cost_nanos is None)


def _has_runs(budgets: Sequence[Budget]) -> bool:
    return any(budget.period == "run" for budget in budgets)


def _is_in_window(budget: Budget, at_us: int) -> bool:
    start_us = window(budget.period, clock.wall_ns() // 1000).start_us
    return start_us is None or at_us >= start_us
