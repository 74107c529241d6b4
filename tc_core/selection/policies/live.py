"""What policies add to recording: they are asked about a call before it is made, where a program lets calls be changed.

That is where `instrument(enforce=True)` says so. A store is looked into again every few seconds, when a call is asked
about or has been stored; what is counted is written after the commit of the events that it is about.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import Iterable
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

from tc_core import settings
from tc_core.meter import prices
from tc_core.model.clock import clock
from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.part import ALLOWED, Decision, Finding, Followed, Part, Request
from tc_core.runtime.recorders import parts
from tc_core.selection.policies import changes, guard, review, sql
from tc_core.selection.policies.acting import Acting
from tc_core.selection.policies.registry import acting_of
from tc_core.selection.policies.route import Route
from tc_core.selection.policies.sql import Sums
from tc_core.selection.policies.tally import Tally
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

log = logging.getLogger("tc_core")

NAME = "policies"
GUARD = "the guard"
LOOK_SECONDS = 2.0
"""So old is what is known of the store's policies at most, while calls are made."""
REVIEW_SECONDS = 10.0
IDLE_SECONDS = 60.0
MOST_OPEN = 10_000
_ORDER = ("loop", "route", "cache", "trim")
"""Kinds in the order in which they are asked: an answer is kept by the model that gives it in the end."""


def part(store: StorageBackend) -> Part | None:
    """Return what policies add to the recording into a store; None where it has no place for them."""
    if not isinstance(store, SqlStore) or store.read_only:
        return None
    found = _lives[store.identity] = Live(store)
    return found.part


def live_of(store: SqlStore) -> "Live":
    """Return the policies of a store at work, the same for all of one process."""
    parts(store)
    return _lives.get(store.identity) or Live(store)


_lives: "WeakValueDictionary[str, Live]" = WeakValueDictionary()


def _after_fork() -> None:
    for live in list(_lives.values()):
        live.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Live:
    """The policies of one store, while it is recorded into."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self._is_enforced = False
        self.begin()
        self.part = Part(
            name=NAME,
            enforce=self.enforce,
            withdraw=self.withdraw,
            rename=self.rename,
            followed=self.followed,
            steps=[self.ended],
            committed=self.committed,
            chore=self.chore,
            checks=self.checks,
        )

    def begin(self) -> None:
        """Begin with nothing known: a child of a fork leaves what its parent has counted to that."""
        self.acting: tuple[Acting, ...] = ()
        self._version = -1
        self._looked_ns = 0
        self._turn = RLock()
        self._tally = Tally(self.store)
        self._open: OrderedDict[EventId, list[tuple[Acting, int]]] = OrderedDict()
        """What was decided of calls that are under way."""
        self._failures: dict[str, guard.Failures] = {}
        self._heard_us: dict[str, int] = {}
        """Until when outcomes were taken up."""
        self._untold: list[tuple[Acting, str]] = []
        """Policies to be taken back, and why."""

    # Before a call

    def enforce(self, is_enforced: bool) -> None:  # noqa: FBT001  # as the part is called
        """Begin or end to act."""
        self._is_enforced = is_enforced
        if is_enforced:
            changes.declare(self.store, settings.load().policies)
        self.look()

    def admit(self, request: Request) -> Decision | None:
        """Say what becomes of a request, by all policies that are about it."""
        if self._is_due(self._looked_ns, LOOK_SECONDS):
            self.look()
        found, noted = Decision(), list[tuple[Acting, int]]()
        for acting in self.acting:
            verdict = acting.decide(request) if acting.policy.is_about(request) else None
            if verdict is None:
                continue
            noted.append((acting, verdict.arm))
            said = verdict.decision
            if said is None:
                continue
            if said.refusal is not None or said.answer is not None:
                self._tally.count(acting, 1, Sums(1))
                return Decision(found.model, said.answer, said.refusal)
            found = Decision(said.model or found.model, compress_at=said.compress_at or found.compress_at)
            if isinstance(said.model, str):
                request = request._replace(model=said.model)
        if request.event_id is not None and (noted or found != ALLOWED):
            self._open[request.event_id] = noted
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return found if found != ALLOWED else ALLOWED

    def withdraw(self, event_id: EventId) -> None:
        """Forget a request that is not made after all."""
        if self._open.pop(event_id, None) is not None:
            for acting in self.acting:
                acting.withdraw(event_id)

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what was decided of a request be known by the id that its event has."""
        noted = self._open.pop(event_id, None)
        if noted is not None:
            self._open[other] = noted
            for acting in self.acting:
                acting.rename(event_id, other)

    def followed(self, event_id: EventId, what: Followed) -> None:
        """Take note of what a host has made of a request."""
        acts = [acting for acting in self.acting if acting.followed(event_id, what)]
        if acts and event_id in self._open:
            self._open[event_id] = [(each, int(arm or each in acts)) for each, arm in self._open[event_id]]

    # After a call, on the writer's thread

    def ended(self, item: Any) -> None:
        """Take note of how a call has ended: a step."""
        record: EventRecord | None = getattr(item, "record", None)
        if not self._open or record is None or record.status == "open":
            return
        noted = self._open.pop(record.id, None)
        if noted is None:
            return
        for acting, arm in noted:
            acting.ended(record.id, record)
            has_failed = record.status == "error"
            saved = self._saved(acting, record) if arm else 0
            self._tally.count(acting, arm, Sums(1, int(has_failed), record.cost_nanos or 0, saved))
            why = self._runs_of_failures(acting).ended(arm, has_failed=has_failed)
            if why is not None:
                self._stop(acting, why)

    def _runs_of_failures(self, acting: Acting) -> guard.Failures:
        return self._failures.setdefault(acting.salt, guard.Failures())

    def _saved(self, acting: Acting, record: EventRecord) -> int:
        if not isinstance(acting, Route) or record.usage is None or record.cost_nanos is None:
            return 0
        priced = prices.price_of(
            record.usage, acting.policy.model or "", service_tier=record.service_tier, at_us=record.at_us
        )
        return 0 if priced is None else priced.cost_nanos - record.cost_nanos

    def _stop(self, acting: Acting, why: str) -> None:
        """Act no more at once; the store is told after the commit."""
        if acting in self.acting:
            self.acting = tuple(each for each in self.acting if each is not acting)
            self._untold.append((acting, why))

    def committed(self) -> None:
        """Write what was counted, and take back what has failed."""
        if self._tally.has_some or self._untold:
            self.catch_up()
        if self._is_enforced and self._is_due(self._looked_ns, LOOK_SECONDS):
            self.look()

    def catch_up(self) -> None:
        """Bring the store up to date: what was counted, and what is to be taken back."""
        with self._turn:
            self._tally.write(self.acting)
            while self._untold:
                acting, why = self._untold.pop()
                changes.take_back(self.store, acting.applied, why)
                log.warning("token-calculator: policy %r is rolled back: %s", acting.policy.name, why)

    def chore(self) -> float:
        """Look into the store, and see whether policies still do what they should."""
        if not self._is_enforced:
            return IDLE_SECONDS
        self.look()
        if not self.acting:
            return IDLE_SECONDS
        self.review()
        return REVIEW_SECONDS

    def _is_due(self, since_ns: int, seconds: float) -> bool:
        return clock.steady_ns() - since_ns >= seconds * 1e9

    # What holds

    def look(self, *, again: bool = False) -> None:
        """Read which policies are on, where that has changed, or `again`."""
        self._looked_ns = clock.steady_ns()
        if not self._is_enforced:
            self.acting, self.part.admit = (), None
            return
        with self.store.database.reading() as connection:
            version = sql.version(connection)
            is_same = version == self._version and not again
            found = [] if is_same else [each for each in sql.applied(connection) if each.state == sql.ON]
        if not is_same:
            before = {each.salt: each for each in self.acting}
            made = [before.get(each.salt) or acting_of(each) for each in found]
            self.acting = tuple(sorted(made, key=lambda each: _ORDER.index(each.policy.kind)))
            self._tally.take_in(made)
            self._version = version
            self._read_shares()
        self.part.admit = self.admit if self.acting else None

    def _read_shares(self) -> None:
        for acting in self.acting:
            if isinstance(acting, Route):
                with self.store.database.reading() as connection:
                    acting.learn(*sql.outcomes(connection, acting.salt))

    def review(self) -> None:
        """Take up outcomes; roll back what they, or errors, speak against, and route more where they speak for it."""
        self.catch_up()
        for acting in self.acting:
            now_us = clock.wall_ns() // 1000
            why = review.review(self.store, acting.applied, self._heard_us.get(acting.salt))
            self._heard_us[acting.salt] = now_us
            if why is not None:
                self._stop(acting, why)
        self.catch_up()
        self._read_shares()

    def checks(self) -> Iterable[Finding]:
        """Say what the doctor should know."""
        with self.store.database.reading() as connection:
            found = sql.applied(connection)
        on = [each.policy.name for each in found if each.state == sql.ON]
        back = [each.policy.name for each in found if each.state == sql.ROLLED_BACK]
        if back:
            said = f"{', '.join(back)} rolled back by the guard: `token-calc policies log` says why"
            yield Finding("warning", NAME, said)
        if on:
            said = f"{len(on)} on: {', '.join(on)}"
            if not (self._is_enforced or settings.load().tracking.enforce):
                said += "; they act where instrument(enforce=True) or TOKEN_CALC_ENFORCE=true says so"
            yield Finding("ok", NAME, said)
