"""Whether a call may be made: a reservation of what it will take, on all hard budgets that it counts on, or none."""

import asyncio
import time
from collections.abc import Sequence

from tc_core.budgets.books import Books, OutdatedError, Page, Wanted
from tc_core.budgets.budget import ALLOW, REFUSE, Budget
from tc_core.budgets.definitions import Definitions
from tc_core.budgets.estimate import Estimator, Expected
from tc_core.budgets.periods import Span
from tc_core.errors import BudgetExceededError
from tc_core.meter import prices
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.event import from_us
from tc_core.model.ids import EventId
from tc_core.model.part import ALLOWED, Decision, Request
from tc_core.model.usage import Usage
from tc_core.record import context

WAIT_SECONDS = 1.0
"""How long a call waits for others under way, where only what is reserved for them leaves it no room."""
_LOOK_SECONDS = 0.02
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
        by_hand = context.reserved.get()
        if by_hand is not None and by_hand.take() is not None:  # for the first call of its block
            self._books.rename(by_hand.event_id, event_id)
            _put(self._open, event_id)
            return
        deadline = time.monotonic() + (0.0 if _is_in_event_loop() else WAIT_SECONDS)
        while True:
            wanted = [Wanted(budget, span, amount_of(budget, request, expected, now_us)) for budget, span in concerned]
            try:
                full = self._books.reserve(event_id, wanted, self._definitions.version)
            except OutdatedError:
                concerned = self._concerned(self._definitions.refresh(), request, now_us)
                if not concerned:
                    return
                continue
            if not full:
                _put(self._open, event_id)
                return
            if not is_exact and request.content is not None and _is_near(full, wanted, now_us):
                expected, is_exact = _lower(expected, self.estimator.expected(request, exactly=True)), True
                continue
            if time.monotonic() > deadline or not _may_wait(full, wanted, now_us):
                raise refusal(full[0], wanted, now_us)
            time.sleep(_LOOK_SECONDS)

    def withdraw(self, event_id: EventId) -> None:
        """Give back what is reserved for a call that is not made after all."""
        if event_id in self._open:
            del self._open[event_id]
            self._books.withdraw(event_id)

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved for a call be so under the id that its event has."""
        if event_id in self._open:
            del self._open[event_id]
            self._books.rename(event_id, other)
            self.estimator.renamed(event_id, other)
            _put(self._open, other)

    def learn(self, item: object) -> None:
        """Take up what a call was billed: a step on the writer's thread."""
        record = getattr(item, "record", None)
        if record is not None:
            self._open.pop(record.id, None)
            self.estimator.learn(item)

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


def _put(table: dict[EventId, None], event_id: EventId) -> None:
    table[event_id] = None
    if len(table) > MOST_OPEN:
        table.pop(next(iter(list(table))), None)


def amount_of(budget: Budget, request: Request, expected: Expected, now_us: int) -> int:
    """Return what a call will take of a budget; raises BudgetExceededError for a price that is not known."""
    if budget.unit == "calls":
        return 1
    if budget.unit == "tokens":
        return sum(expected)
    usage, model = Usage(*expected), request.model
    price = None if model is None else prices.price_of(usage, model, provider=request.provider, at_us=now_us)
    if price is None and budget.unpriced not in (REFUSE, ALLOW):
        price = prices.price_of(usage, budget.unpriced, at_us=now_us)
    if price is not None:
        return price.cost_nanos
    if budget.unpriced == ALLOW:
        return 0
    raise BudgetExceededError(
        f"budget {budget.name!r} cannot tell what a call of {model!r} will cost: the model has no price. Give it one "
        "in a price file of your own (docs/prices.md), or set the budget with unpriced='allow', or with the name of a "
        "model whose price stands in for it",
        budget=budget.name,
        amount=budget.shown(budget.limit(now_us)),
    )


def refusal(page: Page, wanted: Sequence[Wanted], now_us: int) -> BudgetExceededError:
    """Return what a program is told of a call that has no room."""
    asked = next(each for each in wanted if each.key == (page.budget, page.period))
    budget, limit = asked.budget, page.limit(now_us)
    renews_at = None if page.end_us is None else from_us(page.end_us)
    under_way = f", {budget.said(page.reserved)} reserved for calls under way" if page.reserved else ""
    renews = "" if renews_at is None else f"; it renews at {renews_at:%Y-%m-%d %H:%M} UTC"
    return BudgetExceededError(
        f"budget {budget.name!r} has no room for this call: {budget.said(page.spent)} of {budget.said(limit)} spent"
        f"{under_way}, and it may take {budget.said(asked.amount)}{renews}",
        budget=budget.name,
        unit=budget.unit,
        amount=budget.shown(limit),
        spent=budget.shown(page.spent),
        reserved=budget.shown(page.reserved),
        asked=budget.shown(asked.amount),
        renews_at=renews_at,
    )


def _is_near(full: Sequence[Page], wanted: Sequence[Wanted], now_us: int) -> bool:
    asked = {each.key: each.amount for each in wanted}
    return all(
        (page.limit(now_us) - page.spent - page.reserved) * NEAR >= asked[page.budget, page.period] for page in full
    )


def _lower(guessed: Expected, counted: Expected) -> Expected:
    return min(guessed, counted)


def _may_wait(full: Sequence[Page], wanted: Sequence[Wanted], now_us: int) -> bool:
    """Tell whether there is room but for what is reserved."""
    asked = {each.key: each.amount for each in wanted}
    return all(page.spent + asked[page.budget, page.period] <= page.limit(now_us) for page in full)


def _is_in_event_loop() -> bool:
    """Tell whether waiting here would hold up the very calls that are waited for."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
