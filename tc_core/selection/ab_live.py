"""What A/B tests add to recording: whose calls carry an arm is assigned to it, in the transaction of the calls."""

from collections.abc import Iterable, Sequence
from functools import partial

from tc_core.model.clock import clock
from tc_core.model.event import from_us
from tc_core.model.part import Change, Finding, Part, Transaction
from tc_core.runtime import hash_key
from tc_core.selection import ab_sql
from tc_core.selection.ab_sql import Setup
from tc_core.selection.assignment import RUN, place, unit_in
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

NAME = "ab_tests"
LABEL = "ab_test."
"""What the label of a call begins with that belongs to a test; then comes the test's name, and its value is the arm."""


def part(store: StorageBackend) -> Part | None:
    """Return what writes down who is assigned where; None where nothing can be written."""
    if not isinstance(store, SqlStore) or store.read_only:
        return None
    return Part(name=NAME, write=Assigning().write, checks=partial(examine, store))


def examine(store: SqlStore) -> Iterable[Finding]:
    """Yield what the doctor says of tests: those that are over and were not stopped, or that take part in nothing."""
    key, now_us = hash_key.key_id(hash_key.hash_key()), clock.wall_ns() // 1000
    with store.database.reading() as connection:
        tests = [each for each in ab_sql.setups(connection) if each.stopped_us is None]
    for each in tests:
        if each.end_us <= now_us:
            said = f"test {each.name!r} is over: `token-calc abtest status {each.name}` says what came of it"
            yield Finding("warning", NAME, f"{said}, `stop` ends it")
        elif each.hash_key != key:
            said = f"test {each.name!r} was set up with another hash key: programs that share it set the same "
            yield Finding("warning", NAME, f"{said}TOKEN_CALC_HASH_KEY")
        else:
            yield Finding("ok", NAME, f"test {each.name!r} runs until {from_us(each.end_us):%Y-%m-%d %H:%M} UTC")


class Assigning:
    """Assigns the units of recorded calls. Nobody waits for it: it writes with the calls, also after a kill."""

    def __init__(self) -> None:
        self._known: dict[str, Setup] = {}

    def write(self, transaction: Transaction, changes: Sequence[Change]) -> None:
        """Write the units of new calls that carry an arm."""
        found = [
            (name, change)
            for change in changes
            if change.before is None and change.after is not None and change.after.scope.labels
            for name in change.after.scope.labels
            if name.startswith(LABEL)
        ]
        if not found:
            return
        tests = {name: self._test(transaction, name.removeprefix(LABEL)) for name in {name for name, _ in found}}
        by_run = {change.id for name, change in found if (test := tests[name]) is not None and test.unit == RUN}
        roots = ab_sql.roots(transaction.connection, by_run) if by_run else {}
        rows = []
        for name, change in found:
            test = tests[name]
            unit_id = None if test is None else unit_in(test.unit, change.after.scope, roots.get(change.id))  # type: ignore[union-attr]  # those without are left out above
            if test is not None and unit_id is not None:
                unit, arm = place(hash_key.hash_key(), test.salt, unit_id, test.split)
                rows.append((test.id, unit, arm, change.at_us))
        ab_sql.assign(transaction.connection, transaction.database, rows)

    def _test(self, transaction: Transaction, name: str) -> Setup | None:
        """Return a test whose units this process can name; one that is not known yet may be by the next batch."""
        known = self._known.get(name)
        if known is None:
            known = ab_sql.setup(transaction.connection, name)
            if known is None or known.hash_key != hash_key.key_id(hash_key.hash_key()):
                return None
            self._known[name] = known
        return known
