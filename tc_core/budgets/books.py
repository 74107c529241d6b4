"""The books: what is spent and reserved, by budget and period. What they must do, whichever database has them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from tc_core.budgets.budget import Budget
from tc_core.budgets.periods import Span, is_rolling, window
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.store.sql import SqlStore

LEASE_SECONDS = 3600.0
"""After so long without an end a reservation is booked as spent; it is renewed while the call is open."""

Key = tuple[int, str]
"""A budget's id and a period's label."""


class Wanted(NamedTuple):
    """What a call asks of one budget."""

    budget: Budget
    span: Span
    amount: int

    @property
    def key(self) -> Key:
        """The row that it asks of."""
        return self.budget.id, self.span.label


class Page(NamedTuple):
    """One budget in one period: what the books say. Amounts are nano-dollars, tokens or calls."""

    budget: int
    period: str
    start_us: int | None
    end_us: int | None
    amount: int
    extra: int
    extra_until_us: int
    spent: int
    reserved: int

    def limit(self, now_us: int) -> int:
        """Return the amount with what is granted on top now."""
        return self.amount + (self.extra if now_us < self.extra_until_us else 0)


class OutdatedError(Exception):
    """The budgets have changed since they were read."""


class Books(ABC):
    """The books of one store. All that changes them is one statement or one transaction, whoever else is at work."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store

    # Before a call

    @abstractmethod
    def version(self) -> int:
        """Return the version of the budgets that the books are kept by, 0 where there are no books."""

    def reserve(self, event_id: EventId, wanted: Sequence[Wanted], version: int) -> list[Page]:
        """Reserve all that is wanted or nothing; return the pages that have no room, none where it was reserved.

        Raises OutdatedError where the budgets have another version. What is reserved under this id already stays.
        """
        wanted = sorted(wanted, key=lambda each: each.key)
        now_us = clock.wall_ns() // 1000
        self._move_windows(wanted, now_us)
        while not self._take(event_id, wanted, now_us, version):
            if self.version() != version:
                raise OutdatedError
            pages = self.pages([each.key for each in wanted])
            missing = [each for each in wanted if each.key not in pages]
            if not missing:
                asked = {each.key: each.amount for each in wanted}
                full = [
                    page for key, page in pages.items() if page.spent + page.reserved + asked[key] > page.limit(now_us)
                ]
                if full or self.is_reserved(event_id):
                    return full
            for each in missing:
                self.open(each.budget, now_of(each.budget, each.span, now_us))
        return []

    def _move_windows(self, wanted: Sequence[Wanted], now_us: int) -> None:
        for each in wanted:
            if is_rolling(each.budget.period):
                span = window(each.budget.period, now_us)
                page = self.pages([each.key]).get(each.key)
                if page is not None and page.start_us != span.start_us:
                    self.open(each.budget, span, again=True)

    @abstractmethod
    def _take(self, event_id: EventId, wanted: Sequence[Wanted], now_us: int, version: int) -> bool:
        """Reserve by one statement; return whether it did."""

    @abstractmethod
    def extend(self, event_id: EventId, wanted: Sequence[Wanted]) -> list[Page]:
        """Have at least what is wanted be reserved under an id, all of it or nothing; return the pages without room.

        Pages on which nothing is reserved under that id are left as they are.
        """

    @abstractmethod
    def is_reserved(self, event_id: EventId) -> bool:
        """Tell whether anything is reserved under an id."""

    @abstractmethod
    def withdraw(self, event_id: EventId) -> None:
        """Give back what is reserved under an id."""

    @abstractmethod
    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved under an id be reserved under another one."""

    # After it

    @abstractmethod
    def settle(self, connection: Connection, ids: Sequence[EventId], sums: Mapping[Key, int]) -> None:
        """In a transaction of the store: give back what is reserved under ids, and add sums to what is spent."""

    @abstractmethod
    def apply(self) -> None:
        """Bring the books up to date with what was committed; safe for all who do it at once."""

    @abstractmethod
    def renew(self, ids: Sequence[EventId]) -> None:
        """Let the leases of calls that are open run on."""

    @abstractmethod
    def expire(self) -> int:
        """Book leases that have run out as spent; return how many. The call's event, when it comes, corrects it."""

    # Pages

    @abstractmethod
    def pages(self, keys: Sequence[Key] | None = None) -> dict[Key, Page]:
        """Return pages: those named, or all."""

    @abstractmethod
    def open(self, budget: Budget, span: Span, *, again: bool = False) -> None:
        """Begin a page with what events say was spent, unless it is there; `again` works out one that is."""

    @abstractmethod
    def follow(self) -> tuple[int, list[Budget]]:
        """Have the limits of pages that are not over be those of the budgets as they are set now, and return these.

        Pages and reservations of budgets that went are forgotten. Returns the version of the budgets as well.
        """

    @abstractmethod
    def estimates(self) -> dict[Key, int]:
        """Return what stands in `spent` for calls whose lease ran out."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held open."""


def now_of(budget: Budget, span: Span, now_us: int) -> Span:
    """Return a period with the bounds that it has now: those of a rolling window move."""
    return window(budget.period, now_us) if is_rolling(budget.period) else span


def more_of(asked: Mapping[Key, int], reserved: Mapping[Key, int]) -> dict[Key, int]:
    """Return by how much each reservation must grow, for those that are smaller than what is asked."""
    return {key: amount - reserved[key] for key, amount in asked.items() if amount > reserved.get(key, amount)}


def without_room(pages: Iterable[Page], more: Mapping[Key, int], now_us: int) -> list[Page]:
    """Return the pages on which so much more cannot be reserved."""
    found = [(page, more.get((page.budget, page.period), 0)) for page in pages]
    return [page for page, asked in found if asked and page.spent + page.reserved + asked > page.limit(now_us)]


def expiry_us() -> int:
    """Return when a lease that begins now runs out."""
    return clock.wall_ns() // 1000 + int(LEASE_SECONDS * 1_000_000)


def books_of(store: SqlStore) -> Books:
    """Return the books of a store: beside a SQLite file, else in the same database."""
    if store.database.writers_overlap:
        from tc_core.budgets.postgresql_books import PostgreSQLBooks

        return PostgreSQLBooks(store)
    from tc_core.budgets.sqlite_books import SQLiteBooks

    return SQLiteBooks(store)
