"""Whether a call may be made: a reservation of what it will take, on all hard budgets that it counts on, or none."""

import time
from collections.abc import Sequence
from typing import TypeVar

from tc_core.budgets.books import Books, OutdatedError, Page, Wanted
from tc_core.budgets.budget import Budget
from tc_core.budgets.definitions import Definitions
from tc_core.budgets.estimate import Estimator, Expected
from tc_core.budgets.periods import Span
from tc_core.budgets.refusals import LOOK_SECONDS, amount_of, deadline, may_wait, refusal
from tc_core.budgets.streams import StreamMeter
from tc_core.errors import BudgetExceededError
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.model.part import ALLOWED, Decision, Request
from tc_core.record import context

T = TypeVar("T")

NEAR = 2
"""Where what is left is more than an estimate divided by this, the prompt's tokens are counted before it is refused."""


class Enforcement:
    """Reserves for calls before they are made."""

    def __init__(self, books: Books, definitions: Definitions) -> None:
        self._books = books
        self._definitions = definitions
        self.estimator = Estimator()
        self._open: dict[EventId, None] = {}
        """The calls that this process has let through, and that are not recorded yet."""
        self.cuts_streams = False
        self._meters: dict[EventId, StreamMeter] = {}

    def admit(self, request: Request) -> Decision | None:
        """Reserve what a call will take; refuse it where a budget has no room."""
        try:
            self.reserve(request)
        except BudgetExceededError as error:
            return Decision(refusal=error)
        return ALLOWED

    def reserve(self, request: Request) -> None:
        """Reserve what a call will take; raises BudgetExceededError where a budget has no room."""
        now_us, event_id = clock.wall_ns() // 1000, request.event_id or ids.new_id()
        concerned = self._concerned(self._definitions.known(), request, now_us)
        concerned = concerned or self._concerned(self._definitions.current(), request, now_us)
        if not concerned:
            return
        expected, is_exact = self.estimator.expected(request), False
        by_hand, until = self._by_hand(), deadline()
        while True:
            known = frozenset() if by_hand is None else by_hand.budgets
            asked = [each for each in concerned if each[0].id not in known]
            wanted = [Wanted(budget, span, amount_of(budget, request, expected, now_us)) for budget, span in asked]
            try:
                full = self._books.reserve(event_id, wanted, self._definitions.version) if wanted else []
            except OutdatedError:
                concerned = self._concerned(self._definitions.refresh(), request, now_us)
                if not concerned:
                    return
                continue
            if not full:
                if by_hand is not None and not by_hand.hand_over(event_id):  # another call of the block was first
                    self._books.withdraw(event_id)
                    by_hand = None
                    continue
                self._let_through(event_id, request, expected, concerned)
                return
            if not is_exact and request.content is not None and _is_near(full, wanted, now_us):
                expected, is_exact = _lower(expected, self.estimator.expected(request, exactly=True)), True
                continue
            if time.monotonic() > until or not may_wait(full, wanted, now_us):
                raise refusal(full[0], wanted, now_us)
            time.sleep(LOOK_SECONDS)

    def _by_hand(self) -> context.Reserved | None:
        """Return what was reserved around the first call of a block."""
        found = context.reserved.get()
        return None if found is None or found.is_taken or found.books is not self._books else found

    def _let_through(
        self, event_id: EventId, request: Request, expected: Expected, concerned: Sequence[tuple[Budget, Span]]
    ) -> None:
        _put(self._open, event_id, None)
        if self.cuts_streams and request.event_type == "llm_call":
            per_character = self.estimator.per_character_of_output(request.model)
            meter = StreamMeter(self._books, event_id, request, expected, concerned, per_character)
            _put(self._meters, event_id, meter)

    def meter(self, event_id: EventId) -> StreamMeter | None:
        """Return what watches the stream of a call that was let through and that a budget is about."""
        return self._meters.get(event_id)

    def withdraw(self, event_id: EventId) -> None:
        """Give back what is reserved for a call that is not made after all."""
        self._meters.pop(event_id, None)
        if event_id in self._open:
            del self._open[event_id]
            self._books.withdraw(event_id)

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved for a call be so under the id that its event has."""
        if event_id in self._open:
            del self._open[event_id]
            self._books.rename(event_id, other)
            self.estimator.renamed(event_id, other)
            _put(self._open, other, None)
            meter = self._meters.pop(event_id, None)
            if meter is not None:
                meter.event_id = other
                _put(self._meters, other, meter)

    def learn(self, item: object) -> None:
        """Take up what a call was billed: a step on the writer's thread."""
        record = getattr(item, "record", None)
        if record is not None:
            self._open.pop(record.id, None)
            meter = self._meters.pop(record.id, None)
            self.estimator.learn(item, streamed=0 if meter is None else meter.characters)

    def open_ids(self) -> list[EventId]:
        """Return the calls that were let through and have not ended."""
        return list(self._open)

    def _concerned(self, budgets: Sequence[Budget], request: Request, now_us: int) -> list[tuple[Budget, Span]]:
        found = []
        root = request.root_id or request.event_id
        for budget in budgets:
            if budget.hard and budget.is_about(request.event_type, request.provider, request.model, request.scope):
                span = budget.span(now_us, request.scope, root)
                if span is not None:
                    found.append((budget, span))
        return found


MOST_OPEN = 10_000


def _put(table: dict[EventId, T], event_id: EventId, value: T) -> None:
    table[event_id] = value
    if len(table) > MOST_OPEN:
        table.pop(next(iter(list(table))), None)


def _is_near(full: Sequence[Page], wanted: Sequence[Wanted], now_us: int) -> bool:
    asked = {each.key: each.amount for each in wanted}
    return all(
        (page.limit(now_us) - page.spent - page.reserved) * NEAR >= asked[page.budget, page.period] for page in full
    )


def _lower(guessed: Expected, counted: Expected) -> Expected:
    return min(guessed, counted)
