"""PolicyManager: try policies on what was recorded, apply them, take them back, and see what they do."""

from collections.abc import Iterator, Sequence
from datetime import date, tzinfo
from getpass import getuser
from pathlib import Path
from typing import Any

from tc_core import settings
from tc_core.errors import PolicyError, StorageError
from tc_core.model.clock import clock
from tc_core.model.event import check_text, from_us
from tc_core.model.period import Period, period, zone
from tc_core.runtime.recorders import open_storage
from tc_core.selection.policies import changes, guard, review, room, sql
from tc_core.selection.policies.dry_run import PolicyDryRun
from tc_core.selection.policies.evidence import share
from tc_core.selection.policies.live import live_of
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.proposals import proposals
from tc_core.selection.policies.registry import hosts_of
from tc_core.selection.policies.route import place
from tc_core.selection.policies.simulation import simulate
from tc_core.selection.policies.sql import Applied, Unit
from tc_core.selection.policies.status import PolicyChange, PolicyStatus
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

PERIOD = "last-30-days"
"""The recorded calls that a dry run is about where nothing is said."""


class PolicyManager:
    """Tries policies on what was recorded, applies them and takes them back.

    `storage` is a store, a path or a URL; without it the default store is used. Policies lie in the store: they hold
    over restarts and for all processes that record into it with `instrument(enforce=True)`, within seconds. Raises
    StorageError for a backend of one's own.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        opened = open_storage(storage)
        if not isinstance(opened, SqlStore):
            raise StorageError(f"{type(opened).__name__} cannot keep policies: use SQLiteStorage or PostgreSQLStorage")
        self.storage = opened

    # Trying

    def proposals(
        self,
        *,
        start_date: str | date | None = PERIOD,
        end_date: str | date | None = None,
        tz: str | tzinfo = "UTC",
    ) -> Sequence[PolicyDryRun]:
        """Return policies that would have saved something of the recorded calls of a period, the largest first."""
        return proposals(self.storage, period(start_date, end_date, tz=zone(tz)))

    def dry_run(
        self,
        policy: Policy | str,
        *,
        start_date: str | date | None = PERIOD,
        end_date: str | date | None = None,
        tz: str | tzinfo = "UTC",
    ) -> PolicyDryRun:
        """Return what a policy, or the one of a name, would have saved of the recorded calls of a period.

        Dates are as in `CostTracker.get_costs`. A name is that of a policy that was applied, of the settings file, or
        of `proposals`; raises PolicyError for another one, and for one that names a model which nobody knows.
        """
        asked = period(start_date, end_date, tz=zone(tz))
        meant = self._meant(policy, asked)
        guard.check_names(self.storage, meant)
        return simulate(self.storage, meant, asked)

    # Applying

    def apply(
        self,
        policy: Policy | str,
        *,
        by: str | None = None,
        why: str | None = None,
        start_date: str | date | None = PERIOD,
        end_date: str | date | None = None,
        tz: str | tzinfo = "UTC",
    ) -> PolicyStatus:
        """Have a policy, or the one of a name, hold from now on; one of the same name is replaced.

        Programs that record with `instrument(enforce=True)` follow within seconds; what each framework can do is in
        `hosts`. Raises PolicyError for a model that nobody knows, and for one that would do harm: without a price, of
        another maker, or dearer for the recorded calls of the period; and for a hard budget that would be broken.
        """
        asked = period(start_date, end_date, tz=zone(tz))
        meant = self._meant(policy, asked)
        guard.check_names(self.storage, meant)
        if meant.kind == "route":
            guard.check_model(meant)
            self._check_costs(meant, simulate(self.storage, meant, asked))
        found = changes.apply(self.storage, meant, by=_who(by), why=why)
        live_of(self.storage).look()
        return self._status(found)

    def undo(self, name: str, *, by: str | None = None, why: str | None = None) -> PolicyStatus:
        """Take back what was applied last under a name: what was on before that is on again, or nothing.

        Raises PolicyError where none of that name is on.
        """
        check_text("name", name)
        found = changes.undo(self.storage, name, by=_who(by), why=why)
        live_of(self.storage).look()
        return self._status(found)

    def hosts(self, policy: Policy | str) -> dict[str, str]:
        """Return what each framework does of a policy, and what it has no way for."""
        return hosts_of(self._meant(policy, period(PERIOD, None)))

    # Looking

    def list(self) -> Sequence[PolicyStatus]:
        """Return how all policies stand: those that were applied, and those of the settings file, by their names."""
        self._catch_up()
        with self.storage.database.reading() as connection:
            applied = sql.applied(connection)
        found = {each.policy.name: self._status(each) for each in applied}
        for policy in self._of_settings():
            found.setdefault(policy.name, PolicyStatus(policy, "off"))
        return [found[name] for name in sorted(found)]

    def log(self, name: str | None = None) -> Sequence[PolicyChange]:
        """Return who has applied, changed or taken back which policy, when and why; the oldest first."""
        self._catch_up()
        with self.storage.database.reading() as connection:
            found = sql.log(connection, name)
        return [PolicyChange(from_us(each.at_us), *each[1:]) for each in found]

    # Outcomes

    def record_outcome(self, name: str, unit_id: str, success: bool) -> None:  # noqa: FBT001  # as in `outcome`
        """Say how a run or a session came out under a policy of kind `route`; `WorkflowTracker.outcome` does so too.

        Raises PolicyError where no policy of that name is on, or it has assigned no such unit.
        """
        self._catch_up()
        applied = self._on(name)
        known = self.storage.database.transact(
            lambda connection: sql.say_outcomes(connection, applied.salt, {unit_id: bool(success)})
        )
        if not known:
            raise PolicyError(
                f"policy {name!r} has assigned no {applied.policy.unit} {unit_id!r}: outcomes count for those whose "
                "calls it was asked about"
            )

    def assign(self, name: str, unit_id: str) -> str:
        """Return the model that a run or a session asks under a policy, where the host has no way to be routed."""
        applied = self._on(name)
        with self.storage.database.reading() as connection:
            kept, routed = sql.outcomes(connection, applied.salt)
        policy = applied.policy
        routable = share(kept, routed, floor=policy.floor or 0.0, margin=policy.margin or 0.0)
        arm = int(place(applied.salt, unit_id) < routable)
        database, unit = self.storage.database, Unit(applied.salt, unit_id, arm, clock.wall_ns() // 1000)

        def do(connection: Any) -> int:
            sql.assign(connection, database, [unit])
            return sql.arm_of(connection, applied.salt, unit_id)

        model = applied.policy.to if database.transact(do) else applied.policy.model
        return model or ""

    def review(self) -> Sequence[PolicyStatus]:
        """Take up outcomes now, as programs that record do every few seconds; return how all policies stand."""
        self._catch_up()
        with self.storage.database.reading() as connection:
            on = [each for each in sql.applied(connection) if each.state == sql.ON]
        for applied in on:
            why = review.review(self.storage, applied)
            if why is not None:
                changes.take_back(self.storage, applied, why)
        live_of(self.storage).look(again=True)
        return self.list()

    # Inside

    def _catch_up(self) -> None:
        """Have the store know what this process has recorded and counted."""
        self.storage.flush()
        live_of(self.storage).catch_up()

    def _status(self, applied: Applied) -> PolicyStatus:
        with self.storage.database.reading() as connection:
            kept, acted = sql.sums(connection, applied.salt)
            as_before, routed = sql.outcomes(connection, applied.salt)
        return PolicyStatus(applied.policy, applied.state, from_us(applied.since_us), acted, kept, routed, as_before)

    def _of_settings(self) -> Iterator[Policy]:
        for each in settings.load().policies:
            yield changes.of_settings(each)

    def _meant(self, policy: Policy | str, asked: Period) -> Policy:
        if isinstance(policy, Policy):
            return policy
        known = {each.name: each for each in self._of_settings()}
        if policy in known:
            return known[policy]
        known |= {each.policy.name: each.policy for each in self.list()}
        if policy not in known:
            known |= {each.policy.name: each.policy for each in proposals(self.storage, asked)}
        if policy not in known:
            names = ", ".join(sorted(known)) or "none is known"
            raise PolicyError(f"there is no policy {policy!r}; there are: {names}")
        return known[policy]

    def _on(self, name: str) -> Applied:
        with self.storage.database.reading() as connection:
            found = next((each for each in sql.applied(connection) if each.policy.name == name), None)
        if found is None or found.state != sql.ON or found.policy.kind != "route":
            raise PolicyError(f"no policy {name!r} of kind 'route' is on: `token-calc policies list` shows which are")
        return found

    def _check_costs(self, policy: Policy, found: PolicyDryRun) -> None:
        if found.saved_nanos is not None and found.acts and found.saved_nanos <= 0:
            raise PolicyError(
                f"policy {policy.name!r} would save nothing: the {found.acts:,} recorded calls would have cost "
                f"${-found.saved_nanos / 1e9:.6f} more at {policy.to!r}. Name a cheaper model"
            )
        if not found.acts:
            guard.check_prices(policy)
        room.check(self.storage, policy)


def _who(by: str | None) -> str:
    """Return who makes a change: who is named, else who is logged in."""
    if by is not None:
        check_text("by", by)
        return by
    try:
        return getuser()
    except (KeyError, OSError):  # a user without a name
        return "unknown"
