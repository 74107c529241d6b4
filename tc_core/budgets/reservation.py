"""Reserving by hand: what a block of code will take, which is settled with what it took."""

from collections.abc import Callable, Sequence
from contextvars import Token
from types import TracebackType
from typing import Self

from tc_core.budgets.books import Books, Wanted
from tc_core.budgets.budget import amount_of
from tc_core.model import ids
from tc_core.record import context

Book = Callable[[ids.EventId, Sequence[tuple[Wanted, int]]], None]


class Reservation:
    """A reservation for a block. The first call recorded inside takes it over, and settles it with what that cost.

    Without such a call it is settled by `settle`, or given back by `release`. A block that does neither is booked with
    its estimate, since it may have spent it; one that raises gives back.
    """

    def __init__(
        self,
        reserve: Callable[[ids.EventId], Sequence[Wanted]],
        books: Books,
        book: Book,
        estimate: float,
        concerned: Callable[[], Sequence[Wanted]],
        recorder: object,
    ) -> None:
        self.event_id = ids.new_id()
        self.estimate = estimate
        self._reserve, self._books, self._book, self._concerned = reserve, books, book, concerned
        self._is_open = False
        self._reserved = context.Reserved(self.event_id, recorder, books)
        self._token: Token[context.Reserved | None] | None = None

    def settle(self, cost: float) -> None:
        """Book what was spent in place of what was reserved; more than once, or after a recorded call, does nothing."""
        taken = [(each, amount_of(cost, each.budget.unit, "cost", may_be_zero=True)) for each in self._concerned()]
        if self._close() and not self._is_taken():
            self._book(self.event_id, taken)

    def release(self) -> None:
        """Give back what was reserved: nothing was spent."""
        if self._close() and not self._is_taken():
            self._books.withdraw(self.event_id)

    def __enter__(self) -> Self:
        wanted = self._reserve(self.event_id)
        self._reserved.budgets = frozenset(each.budget.id for each in wanted)
        self._is_open = True
        self._token = context.reserved.set(self._reserved)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.reserved.reset(self._token)
        if error is not None:
            self.release()
        else:
            self.settle(self.estimate)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _close(self) -> bool:
        was_open, self._is_open = self._is_open, False
        return was_open

    def _is_taken(self) -> bool:
        """Tell whether a recorded call has taken it over; nobody takes it from now on."""
        context.catch_up_hosts()
        return self._reserved.take() is None
