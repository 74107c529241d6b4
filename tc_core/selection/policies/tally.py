"""What a process has counted of its policies, until the store has it."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from tc_core.model.clock import clock
from tc_core.selection.policies import sql
from tc_core.selection.policies.acting import Acting
from tc_core.selection.policies.route import Route
from tc_core.selection.policies.sql import Sums, Unit
from tc_core.store.schema.days import US_PER_DAY
from tc_core.store.sql import SqlStore


class Tally:
    """Counts what became of calls, and collects how runs were assigned; any thread may count."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._lock = Lock()
        self._sums: dict[tuple[str, int, int], list[int]] = {}
        self._units: list[Unit] = []
        self._acting: list[Acting] = []
        """Policies that may have something to write, also such as are not on any more."""

    @property
    def has_some(self) -> bool:
        """Whether something is to be written."""
        return bool(self._sums or self._acting)

    def take_in(self, acting: Sequence[Acting]) -> None:
        """Ask these too what they have to write."""
        with self._lock:
            self._acting += [each for each in acting if each not in self._acting]

    def count(self, acting: Acting, arm: int, more: Sums) -> None:
        """Count what became of a call."""
        with self._lock:
            self._add(acting, arm, more)

    def _add(self, acting: Acting, arm: int, more: Sums) -> None:
        key = (acting.salt, arm, clock.wall_ns() // 1000 // US_PER_DAY)
        sums = self._sums.setdefault(key, [0] * len(more))
        for place, value in enumerate(more):
            sums[place] += value

    def write(self, on: Sequence[Acting]) -> None:
        """Write what was counted; what cannot be written now is later. `on` are asked again the next time.

        One thread at a time.
        """
        with self._lock:
            for acting in self._acting:
                self._units += acting.take_units() if isinstance(acting, Route) else ()
                saved = acting.take_saved()
                if saved:
                    self._add(acting, 1, Sums(saved_nanos=saved))
            self._acting = [each for each in self._acting if each in on]
            units, sums = list(self._units), {key: Sums(*values) for key, values in self._sums.items()}
        if not units and not sums:
            return
        database = self._store.database

        def do(connection: Any) -> None:
            sql.assign(connection, database, units)
            sql.add(connection, database, sums)

        database.transact(do)
        with self._lock:
            del self._units[: len(units)]
            for key, written in sums.items():
                left = [now - done for now, done in zip(self._sums.pop(key), written, strict=True)]
                if any(left):
                    self._sums[key] = left
