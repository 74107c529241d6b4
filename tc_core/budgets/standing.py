"""What the books say now: pages of the present periods, how budgets stand in them, and whether events agree."""

from collections.abc import Sequence
from datetime import datetime

from tc_core.budgets import periods, setting, sql
from tc_core.budgets.books import Page, now_of
from tc_core.budgets.budget import Budget
from tc_core.budgets.live import Live
from tc_core.budgets.periods import Span
from tc_core.budgets.status import BudgetStatus, status
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.event import to_us
from tc_core.store.keep.check import Finding
from tc_core.store.sql import SqlStore

_LOOKS = 3
"""How often a page is looked at that seems wrong: others may be recording."""


class Standing:
    """The books of one store, asked. A store that is only read has none: then all is worked out from events."""

    def __init__(self, store: SqlStore, live: Live) -> None:
        self._store = store
        self._live = live
        self._books = live.books

    def bring_up_to_date(self) -> None:
        """Have all in the books that is recorded by now."""
        self._store.flush()
        if not self._store.read_only:
            self._live.definitions.current()
            self._books.expire()
            self._books.apply()

    def budgets(self) -> Sequence[Budget]:
        """Return the budgets that are set."""
        if not self._store.read_only:
            return self._live.definitions.current()
        with self._store.question() as connection:
            return sql.budgets(connection)

    def named(self, name: str) -> Budget:
        """Return the budget of a name; raise ValueError for one that there is not."""
        return setting.named(self.budgets(), name)

    def of(self, budget: Budget, key: str | None = None) -> BudgetStatus:
        """Return how a budget stands in the present period, or for the run, session or workflow of a key."""
        now_us = clock.wall_ns() // 1000
        page = self._page(budget, key, now_us)
        calls, estimated = 0, self._books.estimates().get((budget.id, page.period), 0)
        if page.start_us is not None and page.end_us is not None:
            with self._store.question() as connection:
                calls = sql.calls(self._store, connection, budget, Span(page.period, page.start_us, page.end_us))
        return status(budget, page, now_us, estimated=estimated, calls=calls)

    def periods(self, budget: Budget) -> Sequence[BudgetStatus]:
        """Return how a budget stood in each period that the books have, the oldest first."""
        now_us, estimates = clock.wall_ns() // 1000, self._books.estimates()
        pages = [page for (id_, _), page in self._books.pages().items() if id_ == budget.id]
        pages.sort(key=lambda page: (page.start_us or 0, page.period))
        return [
            status(
                budget, page, min(now_us, page.end_us or now_us), estimated=estimates.get((budget.id, page.period), 0)
            )
            for page in pages
        ]

    def findings(self, *, repair: bool) -> Sequence[Finding]:
        """Compare the books with what events say; with `repair` they are set right."""
        budgets = {budget.id: budget for budget in self.budgets()}
        found = []
        for key, page in self._books.pages().items():
            budget = budgets.get(key[0])
            said = None if budget is None else self._difference(budget, page)
            if budget is None or said is None:
                continue
            if repair:
                self._books.open(budget, Span(page.period, page.start_us, page.end_us), again=True)
            found.append(Finding("repaired" if repair else "fault", "budgets", said))
        if not found and budgets:
            found.append(Finding("ok", "budgets", "the books agree with the events"))
        return found

    def _difference(self, budget: Budget, page: Page) -> str | None:
        """Return what differs; None where nothing does, or did when it was looked at once more."""
        key, span = (budget.id, page.period), Span(page.period, page.start_us, page.end_us)
        said = None
        for _ in range(_LOOKS):
            booked = self._books.pages([key]).get(key)
            with self._store.question() as connection:
                spent = sql.spent(self._store, connection, budget, span) + self._books.estimates().get(key, 0)
            if booked is None or booked.spent == spent:
                return None
            books, events = budget.said(booked.spent), budget.said(spent)
            said = f"{budget.name} in {page.period}: the books say {books}, the events {events}"
            self.bring_up_to_date()
        return said

    def _page(self, budget: Budget, key: str | None, now_us: int) -> Page:
        """Return the page of the present period; one that is not begun yet is begun, or only worked out."""
        if periods.is_each(budget.period) and key is None:
            pages = [page for (id_, _), page in self._books.pages().items() if id_ == budget.id]
            least = min(pages, key=lambda page: page.limit(now_us) - page.spent - page.reserved, default=None)
            return least or _empty(budget, Span("", None, None))
        span = _span(budget, key, now_us)
        known = self._books.pages([(budget.id, span.label)]).get((budget.id, span.label))
        if known is not None and not (periods.is_rolling(budget.period) and known.start_us != span.start_us):
            return known
        if self._store.read_only:
            with self._store.question() as connection:
                return _empty(budget, span)._replace(spent=sql.spent(self._store, connection, budget, span))
        self._books.open(budget, span, again=known is not None)
        return self._books.pages([(budget.id, span.label)]).get((budget.id, span.label)) or _empty(budget, span)


def _span(budget: Budget, key: str | None, now_us: int) -> Span:
    if periods.is_each(budget.period):
        return Span(ids.from_text(str(key)).hex() if budget.period == "run" else str(key), None, None)
    span: Span | None = budget.spans(now_us)
    if span is None:  # a fixed range that is over, or has not begun
        start, _, end = budget.period.partition("/")
        span = Span("range", *(to_us(datetime.fromisoformat(each)) if each else None for each in (start, end)))
    return now_of(budget, span, now_us)


def _empty(budget: Budget, span: Span) -> Page:
    limits = (budget.amount, budget.extra, budget.extra_until_us)
    return Page(budget.id, span.label, span.start_us, span.end_us, *limits, 0, 0)
