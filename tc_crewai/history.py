"""The model calls of a run in the order in which they began, and what became of them: which of them is another's retry.

All goes by the times that CrewAI's events carry, since their handlers run in any order.
"""

from bisect import insort
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

MOST_CALLS = 16
"""How many are remembered of a run; one may ask for months."""

RunKey = str


@dataclass(slots=True)
class Call:
    """A model call."""

    key: RunKey
    began_us: int
    request: Hashable = None
    """What tells whether another call asks the same."""
    failed_us: int | None = None


@dataclass(slots=True)
class History:
    """What has happened directly inside a run."""

    calls: list[Call] = field(default_factory=list)
    refused_us: list[int] = field(default_factory=list)
    """When a guardrail has refused an answer, of those refusals that no call is known to follow."""
    answers: list[Call] = field(default_factory=list)
    """The calls whose answers a guardrail may check: also those of the agents of a task."""
    unchecked: list[Call] = field(default_factory=list)
    """The calls of guardrails of which it is not known yet what they check."""

    def add(self, call: Call) -> None:
        """Note that a call begins."""
        _insert(self.calls, call)

    def fail(self, key: RunKey, at_us: int) -> None:
        """Note that a call has failed."""
        for call in self.calls:
            if call.key == key:
                call.failed_us = at_us

    def refuse(self, at_us: int) -> None:
        """Note that a guardrail has refused the last answer."""
        insort(self.refused_us, at_us)
        del self.refused_us[:-MOST_CALLS]

    def retries(self) -> Iterator[tuple[RunKey, RunKey]]:
        """Yield each retry not told yet, with the call that it repeats: what follows a failure or a refusal."""
        for failed in self.calls:
            if failed.failed_us is not None:
                after = self._first_since(failed.failed_us, other_than=failed)
                if after is not None and after.request == failed.request:
                    failed.failed_us = None
                    yield after.key, failed.key
        for refused_us in list(self.refused_us):
            after, before = self._first_since(refused_us), last_before(self.calls, refused_us)
            if after is not None and before is not None:
                self.refused_us.remove(refused_us)
                yield after.key, before.key

    def answer(self, call: Call) -> Iterator[tuple[RunKey, RunKey]]:
        """Note a call whose answer may be checked; yield the calls of guardrails that were told before it."""
        _insert(self.answers, call)
        for check in list(self.unchecked):
            if check.began_us > call.began_us:
                self.unchecked.remove(check)
                yield check.key, call.key

    def await_answer(self, check: Call) -> None:
        """Note the call of a guardrail which came before the call whose answer it checks."""
        _insert(self.unchecked, check)

    def _first_since(self, at_us: int, *, other_than: Call | None = None) -> Call | None:
        return next((call for call in self.calls if call.began_us >= at_us and call is not other_than), None)


def last_before(calls: list[Call], at_us: int) -> Call | None:
    """Return the last call that began before a moment."""
    return next((call for call in reversed(calls) if call.began_us < at_us), None)


def _insert(calls: list[Call], call: Call) -> None:
    insort(calls, call, key=lambda each: each.began_us)
    del calls[:-MOST_CALLS]
