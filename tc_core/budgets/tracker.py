"""BudgetTracker: set limits, see what is left of them, and reserve by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from tc_core.budgets import periods, setting, sql
from tc_core.budgets.books import OutdatedError, Wanted
from tc_core.budgets.budget import Budget, amount_of
from tc_core.budgets.live import Live, live_of
from tc_core.budgets.refusals import refusal
from tc_core.budgets.reservation import Reservation
from tc_core.budgets.standing import Standing
from tc_core.budgets.status import BudgetStatus
from tc_core.errors import StorageError
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.event import check_moment, check_text, from_us, to_us
from tc_core.model.period import period as dates
from tc_core.model.period import zone
from tc_core.model.scope import Scope
from tc_core.record.label_texts import label_texts
from tc_core.runtime.recorders import open_storage, recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.keep.check import Finding
from tc_core.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """One line of a budget's history: `kind` is set, changed, worked out anew, override or removed."""

    at: datetime
    name: str
    kind: str
    by: str | None
    why: str | None
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "at": self.at.isoformat(), "details": dict(self.details)}


class BudgetTracker:
    """Sets budgets and tells how they stand.

    `storage` is a store, a path or a URL; without it the default store is used, which everything shares. Budgets lie in
    the store: they hold over restarts, and for all processes that record into it. Raises StorageError for a backend of
    one's own. Hard budgets stop calls where `instrument(enforce=True)` says so.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        opened = open_storage(storage)
        if not isinstance(opened, SqlStore):
            raise StorageError(f"{type(opened).__name__} cannot keep budgets: use SQLiteStorage or PostgreSQLStorage")
        self.storage = opened

    @property
    def _live(self) -> Live:
        return live_of(self.storage)

    @property
    def _standing(self) -> Standing:
        return Standing(self.storage, self._live)

    # Setting

    def set_budget(
        self,
        amount: float,
        period: periods.Written,
        filters: Mapping[str, Any] | None = None,
        *,
        name: str = "default",
        hard: bool = False,
        unit: str = "usd",
        tz: str | tzinfo = "UTC",
        thresholds: Iterable[float | str] = (),
        unpriced: str = "refuse",
        max_override: float = 1.0,
        by: str | None = None,
        why: str | None = None,
    ) -> BudgetStatus:
        """Set how much may be spent in each period, and return how that stands.

        `amount` is US dollars, or the `tokens` or `calls` that `unit` says. `period` is hour, day, week, month,
        quarter, year (also hourly, daily, ...) in the zone `tz`, a rolling window (`last-7-days`, a timedelta), a fixed
        range (`2026-01-01..2026-03-31`, or a pair), `total`, or one `run`, `session` or `workflow`: then each of these
        has the amount for itself. `filters` choose the calls that count, by dimensions, labels, model, provider or
        event type. A `hard` budget stops calls where that is switched on. `thresholds` are shares of the amount, such
        as 0.8 or "80%", whose passing is logged as a warning. `unpriced` says what becomes of calls whose model has no
        price under a hard budget: `refuse`, `allow`, or the name of a model by whose price they are counted.
        `max_override` is the most that an override may grant, as a share of the amount. It begins with what was spent
        in the present period. The same name again changes the limit, not what is spent; with another period, zone, unit
        or filters its books are worked out anew. Raises ValueError or ConfigurationError, which name the value.
        """
        wanted = setting.made(
            amount,
            period,
            filters,
            name=name,
            hard=hard,
            unit=unit,
            tz=tz,
            thresholds=thresholds,
            unpriced=unpriced,
            max_override=max_override,
        )
        found = setting.set_in(self.storage, self._live.books, wanted, by=by, why=why)
        return self._as_it_stands(found)

    def remove(self, name: str, *, by: str | None = None, why: str | None = None) -> None:
        """Take a budget away; its history stays. Raises ValueError for one that there is not."""
        setting.remove_from(self.storage, self._live.books, name, by=by, why=why)

    def override(
        self, name: str, amount: float, *, until: datetime | date | str | timedelta, by: str, why: str
    ) -> BudgetStatus:
        """Grant `amount` on top of a budget until a moment, and return how that stands.

        `by` and `why` are kept in the history. `until` is a moment, a date (its end), or how long from now. The last
        grant holds. Raises ValueError for more than the budget's `max_override`, or a moment that has passed.
        """
        check_text("by", by)
        check_text("why", why)
        budget = self._standing.named(name)
        now_us = clock.wall_ns() // 1000
        until_us = _moment(until, zone(budget.tz), now_us)
        if until_us <= now_us:
            raise ValueError(f"until must lie in the future, not {until!r}")
        extra = amount_of(amount, budget.unit)
        return self._as_it_stands(setting.grant(self.storage, self._live.books, name, extra, until_us, by, why))

    def list(self) -> Sequence[BudgetStatus]:
        """Return how all budgets stand, by their names; of one for each run, session or workflow the tightest."""
        self._standing.bring_up_to_date()
        return [self._standing.of(budget) for budget in self._standing.budgets()]

    def history(self, name: str | None = None) -> "Sequence[BudgetChange]":
        """Return who has changed a budget, or all of them, when and why, the oldest first."""
        with self.storage.question() as connection:
            found = sql.history(connection, name)
        return [
            BudgetChange(from_us(each.at_us), each.name, each.kind, each.by, each.why, each.details) for each in found
        ]

    def periods(self, name: str) -> "Sequence[BudgetStatus]":
        """Return how a budget stood in each of its periods that the books have, the oldest first."""
        self._standing.bring_up_to_date()
        return self._standing.periods(self._standing.named(name))

    # Asking

    def get_remaining(self, name: str | None = None, *, key: str | None = None) -> BudgetStatus:
        """Return how a budget stands in the present period.

        Without a name it is the one there is, or of several the one with the least left. `key` is the id of the run,
        session or workflow, of a budget for each of these; without it it is that with the least left. Raises ValueError
        for a name that is not set, or when none is.
        """
        self._standing.bring_up_to_date()
        if name is not None:
            return self._standing.of(self._standing.named(name), key)
        budgets = self._standing.budgets()
        if not budgets:
            raise ValueError("no budget is set: set_budget(100, 'monthly') sets one")
        return min((self._standing.of(budget, key) for budget in budgets), key=lambda found: (found.pct, found.name))

    def check_overage(self, name: str | None = None) -> bool:
        """Tell whether a budget is over its amount; without a name, whether any is. Exactly the amount is not over."""
        if name is not None:
            return self.get_remaining(name).is_over
        self._standing.bring_up_to_date()
        budgets = self._standing.budgets()
        if not budgets:
            raise ValueError("no budget is set: set_budget(100, 'monthly') sets one")
        return any(self._standing.of(budget).is_over for budget in budgets)

    # Booking by hand

    def add_usage(
        self, amount: float, *, name: str | None = None, at: datetime | None = None, **labels: object
    ) -> None:
        """Book what was spent elsewhere; it is never refused.

        It counts on the budget of that name, else on all budgets in dollars whose filters `labels` (with `model`,
        `provider`) match. `at` is when it was spent, by default now. Raises ValueError where no budget takes it.
        """
        at_us = clock.wall_ns() // 1000 if at is None else to_us(check_moment(at))
        budgets = (
            [self._standing.named(name)]
            if name is not None
            else [each for each in self._standing.budgets() if each.unit == "usd"]
        )
        taken = [
            (each, amount_of(amount, each.budget.unit, may_be_zero=True))
            for each in self._wanted(budgets, labels, at_us, 0, is_meant=name is not None)
        ]
        if not taken:
            raise ValueError(f"no budget takes usage with {dict(labels)!r}: see list()")
        self._book(ids.new_id(), taken, at_us)

    def reserve(self, estimate: float, *, name: str | None = None, **labels: object) -> Reservation:
        """Reserve for a block of code: `with tracker.reserve(0.03, agent_id="a") as reserved: ...`.

        It is asked of the hard budget of that name, else of all hard budgets in dollars whose filters `labels` match:
        of all of them or none. Entering raises BudgetExceededError where one has no room. See `Reservation`.
        """

        def concerned() -> Sequence[Wanted]:
            budgets = self._live.definitions.current()
            chosen = [setting.named(budgets, name)] if name is not None else [b for b in budgets if b.unit == "usd"]
            now_us = clock.wall_ns() // 1000
            return [
                each._replace(amount=amount_of(estimate, each.budget.unit, "estimate", may_be_zero=True))
                for each in self._wanted(chosen, labels, now_us, 0, is_meant=name is not None)
            ]

        def reserve(event_id: ids.EventId) -> Sequence[Wanted]:
            while True:
                wanted = [each for each in concerned() if each.budget.hard]
                if not wanted:
                    return []
                try:
                    full = self._live.books.reserve(event_id, wanted, self._live.definitions.version)
                except OutdatedError:
                    self._live.definitions.refresh()
                    continue
                if full:
                    raise refusal(full[0], wanted, clock.wall_ns() // 1000)
                return wanted

        recorder = recorder_for(self.storage)
        return Reservation(reserve, self._live.books, self._book, estimate, concerned, recorder)

    # Keeping

    def check(self, *, repair: bool = False) -> "Sequence[Finding]":
        """Compare the books with what events say, worked out anew; with `repair` they are set right."""
        self._standing.bring_up_to_date()
        return self._standing.findings(repair=repair)

    # Within

    def _as_it_stands(self, budget: Budget) -> BudgetStatus:
        self._standing.bring_up_to_date()
        return self._standing.of(budget)

    def _wanted(
        self, budgets: "Sequence[Budget]", labels: Mapping[str, object], at_us: int, amount: int, *, is_meant: bool
    ) -> "Sequence[Wanted]":
        """Return the pages that usage with these labels counts on; a budget that is meant takes whatever it is."""
        texts = dict(label_texts(labels))
        model, provider = texts.pop("model", None), texts.pop("provider", None)
        scope: Scope = recorder_for(self.storage).scope_here(None, texts)
        _, root = recorder_for(self.storage).place_here(None)
        found = []
        for budget in budgets:
            if is_meant or budget.is_about("llm_call", provider, model, scope):
                span = budget.span(at_us, scope, root)
                if span is not None:
                    found.append(Wanted(budget, span, amount))
        return found

    def _book(self, event_id: ids.EventId, taken: "Sequence[tuple[Wanted, int]]", at_us: int | None = None) -> None:
        """Book by hand, in place of what is reserved under the id."""
        moment = clock.wall_ns() // 1000 if at_us is None else at_us
        sums: dict[tuple[int, str], int] = {}
        for each, amount in taken:
            sums[each.key] = sums.get(each.key, 0) + amount

        def do(connection: Any) -> None:
            sql.use(connection, event_id, moment, [(each.budget, each.span, amount) for each, amount in taken])
            self._live.books.settle(connection, [event_id], sums)

        self.storage.database.transact(do)
        self._live.books.apply()


def _moment(until: datetime | date | str | timedelta, tz: tzinfo, now_us: int) -> int:
    if isinstance(until, timedelta):
        return now_us + int(until.total_seconds() * 1_000_000)
    found = dates(None, until, tz=tz).end
    if found is None:
        raise ValueError(f"cannot read {until!r} as a moment")
    return to_us(found)
