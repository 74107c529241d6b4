"""An A/B test of two models: who gets which, how it came out, and whether they differ, however often one looks."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from tc_core.errors import ABTestError
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.model.scope import Scope
from tc_core.record.context import labels
from tc_core.record.guard import attempt
from tc_core.runtime import hash_key
from tc_core.selection import ab_sql, assignment
from tc_core.selection.ab_definition import ARMS, METHODS, Definition, Method
from tc_core.selection.ab_live import LABEL
from tc_core.selection.ab_sql import Setup
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.selection.ab_results import ABTestResults

MOST = 1e100
"""Outcomes are not larger: their squares are added up."""
BOUNDS = (0.0, 1.0)
MOST_REMEMBERED = 10_000
REFRESH_SECONDS = 10.0
"""After so long a program sees that a test was stopped elsewhere."""


class ABTest(Definition):
    """An A/B test in a store: two models, and which unit (session, user, run) gets which.

    >>> test = create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14, name="support")
    >>> with test.using("session-17") as model:
    ...     answer = ask(model)
    >>> test.record_outcome("session-17", answer_was_good)
    >>> print(test.results().verdict)

    A unit gets the same model each time, in every process. Several processes may use one test at once.
    """

    def __init__(self, store: SqlStore, setup: Setup) -> None:
        self.storage = store
        super().__init__(setup)
        self._read_ns = clock.steady_ns()
        self._key = hash_key.hash_key()
        self._written: dict[bytes, None] = {}

    # Who gets what

    def assign(self, unit_id: str | int) -> str:
        """Return the model that a unit gets, and note that it is part of the test.

        It is the same each time. When the test is over it is the model that it was stopped with, else that of a, and
        nothing is noted. Raises ABTestError where the units of this test were named with another hash key.
        """
        unit, index = self._place(unit_id)
        if not self.is_running():
            return self.kept_model or self.model_a
        if unit not in self._written:
            row = (self._setup.id, unit, index, clock.wall_ns() // 1000)
            database = self.storage.database
            database.transact(lambda connection: ab_sql.assign(connection, database, [row]))
            self._remember(unit)
        return self.models[index]

    @contextmanager
    def using(self, unit_id: str | int) -> Iterator[str]:
        """Assign a unit, and give its model for a block: what is recorded inside counts as the test's.

        >>> with test.using("session-17") as model:
        ...     client.chat.completions.create(model=model, messages=messages)
        """
        model = self.assign(unit_id)
        if not self.is_running():
            yield model
            return
        with labels(**self.labels(self.arm(unit_id))):
            yield model

    def arm(self, unit_id: str | int) -> str:
        """Return the arm of a unit, `a` or `b`, and note nothing."""
        return ARMS[self._place(unit_id)[1]]

    def labels(self, arm: str) -> dict[str, str]:
        """Return the labels by which the calls of an arm are known: `{"ab_test.NAME": "a"}`."""
        return {f"{LABEL}{self.name}": arm}

    def unit_in(self, scope: Scope, root_id: EventId | None) -> str | None:
        """Return the unit that a call with these dimensions and labels belongs to; None where it has none."""
        return assignment.unit_in(self.unit, scope, root_id)

    def is_running(self, *, waits: bool = True) -> bool:
        """Tell whether units are assigned; what other processes do is seen within some seconds.

        Without `waits` the store is asked on a thread of its own, and what was known before is told meanwhile.
        """
        now_ns = clock.steady_ns()
        if abs(now_ns - self._read_ns) > REFRESH_SECONDS * 1e9:
            self._read_ns = now_ns
            if waits:
                self.refresh()
            else:  # a server may be away
                threading.Thread(target=attempt, args=(self.refresh,), name="tc-ab-test", daemon=True).start()
        return self.state == "running"

    def refresh(self) -> None:
        """Read how it is set up, and whether it was stopped."""
        with self.storage.database.reading() as connection:
            self._setup = ab_sql.setup(connection, self.name) or self._setup

    def check_key(self) -> None:
        """Raise ABTestError where units cannot be named here, since that took another hash key."""
        if self._setup.hash_key != hash_key.key_id(self._key):
            raise ABTestError(
                f"test {self.name!r} was set up with another hash key, so its units cannot be told here: "
                "set the same TOKEN_CALC_HASH_KEY for all programs that share the store"
            )

    def _place(self, unit_id: object) -> tuple[bytes, int]:
        self.check_key()
        return assignment.place(self._key, self._setup.salt, unit_id, self.split)

    def _remember(self, unit: bytes) -> None:
        self._written[unit] = None
        if len(self._written) > MOST_REMEMBERED:
            self._written.pop(next(iter(self._written)), None)

    # How it came out

    def record_outcome(self, unit_id: str | int, value: float = 1.0) -> bool:
        """Note how a unit came out: True or False, or a number between `bounds`; return whether it counts.

        A unit has one outcome: the same again changes nothing, another one is an ABTestError. So is one of a unit that
        was never assigned. Units that were assigned in time may come out after the end; once the test is stopped
        nothing counts any more.
        """
        unit, number = self._place(unit_id)[0], self._number(value)

        def note(connection: Connection) -> ab_sql.Unit | None:
            self._setup = ab_sql.setup(connection, self.name) or self._setup
            known = ab_sql.unit(connection, self._setup.id, unit)
            if known is not None and known.value is None and self._setup.stopped_us is None:
                ab_sql.set_outcome(connection, self._setup.id, unit, number, clock.wall_ns() // 1000)
            return known

        known = self.storage.database.transact(note)
        if known is None and self.state == "running":
            with self.storage.question():  # what is recorded, and assigned with that, is in the store afterwards
                pass
            known = self.storage.database.transact(note)
        if self.state == "stopped" or (known is None and self.state == "ended"):
            return False
        if known is None:
            raise ABTestError(
                f"{self.unit} {unit_id!r} was never assigned in test {self.name!r}: outcomes are recorded of what "
                "assign() or TokenCalculatorMiddleware(ab_test=...) has given a model"
            )
        if known.value is not None and known.value != number:
            raise ABTestError(
                f"{self.unit} {unit_id!r} has the outcome {known.value:g} in test {self.name!r} already, which stays: "
                f"{number:g} is not taken"
            )
        return known.value is None

    def results(self, method: Method = "mixture") -> "ABTestResults":
        """Return how it stands: see `ABTestResults`. Look as often as you like.

        `method` is "mixture", or "pairs": bets on pairs of outcomes, which are exact at every size and slower for small
        differences; that needs bounds. Choose before you look.
        """
        from tc_core.selection.ab_results import arm, results  # they load numpy

        if method not in METHODS:
            raise ValueError(f"method is {' or '.join(METHODS)}, not {method!r}")
        if method == "pairs" and self.bounds is None:
            raise ValueError(f"bets on pairs need bounds of outcomes, which test {self.name!r} was set up without")
        with self.storage.question() as connection:
            self._setup = ab_sql.setup(connection, self.name) or self._setup
            a, b, _ = ab_sql.assigned(connection).get(self._setup.id, (0, 0, 0))
            found = ab_sql.outcomes(connection, self._setup.id)
        totals = self.storage.totals([f"labels.{LABEL}{self.name}"], {"event_type": "llm_call"})
        arms = [
            arm(
                self.models[index],
                (a, b)[index],
                [value for which, value in found if which == index],
                totals.get((ARMS[index],)),
                are_shares=self.bounds == BOUNDS,
            )
            for index in (0, 1)
        ]
        return results(self._facts(), (arms[0], arms[1]), found, self.bounds, method)

    def stop(self, keep: str | None = None) -> "ABTestResults":
        """Take no further units and outcomes, for good; return the results.

        From then on everybody gets the model `keep`, else that of a. A second time changes that alone.
        """
        if keep is not None and keep not in (*self.models, *ARMS):
            raise ValueError(f"keep is a model of the test, {self.model_a!r} or {self.model_b!r}, not {keep!r}")
        index = None if keep is None else ARMS[self.models.index(keep)] if keep in self.models else keep
        self.storage.check_writable()
        with self.storage.question():  # what is recorded counts
            pass
        at_us = clock.wall_ns() // 1000
        self.storage.database.transact(lambda connection: ab_sql.stop(connection, self._setup.id, at_us, index))
        self.refresh()
        return self.results()

    def _number(self, value: object) -> float:
        if not isinstance(value, bool | int | float) and hasattr(value, "item"):
            value = value.item()  # what NumPy and pandas compare to is no bool of Python
        if not isinstance(value, bool | int | float) or not -MOST <= value <= MOST:
            raise ValueError(f"an outcome must be True, False or a number up to {MOST:g}, not {value!r}")
        bounds = self.bounds
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            raise ValueError(
                f"an outcome of test {self.name!r} lies between {bounds[0]:g} and {bounds[1]:g}, not at {value!r}: "
                "create_ab_test takes other bounds, or None"
            )
        return float(value)

    def _facts(self) -> Mapping[str, Any]:
        names = ("name", "unit", "split", "state", "started_at", "ends_at", "stopped_at", "kept_model")
        return {name: getattr(self, name) for name in names}
