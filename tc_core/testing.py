"""For tests of programs that use this package: what a block records, a clock to set, a model server on this machine.

>>> with ModelServer() as server, recorded() as events:
...     server.push(Step(text="Hello."))
...     run_my_agent(base_url=server.base_url)
>>> assert sum(event.cost for event in events) < 0.01
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from tc_core.demo.replay import RecordedAnswers
from tc_core.demo.script import Step, ToolCall
from tc_core.demo.server import Exchange, ModelServer
from tc_core.model.clock import clock
from tc_core.model.event import TrackingEvent, to_us
from tc_core.record.guard import faults
from tc_core.runtime import instrument, recorders
from tc_core.store.base import StorageBackend
from tc_core.store.storages import InMemoryStorage

__all__ = ["Exchange", "FakeClock", "ModelServer", "RecordedAnswers", "Step", "ToolCall", "recorded"]


@contextmanager
def recorded(*, frameworks: Iterable[str] | None = None, **labels: object) -> Iterator[list[TrackingEvent]]:
    """Record a block into memory, and give its events: the list is filled when the block ends, in order of time.

    It works beside whatever records already, and leaves that as it was. `frameworks` are those to hook, by default all
    that are installed; calls tracked by hand into the default store count too. `labels` are given to every event. Hooks
    raise errors that they otherwise swallow.
    """
    events: list[TrackingEvent] = []
    store = InMemoryStorage()
    try:
        with recording_into(store, frameworks=frameworks, labels=labels, strict=True):
            yield events
    finally:
        events += store.query_events()


@contextmanager
def recording_into(
    store: StorageBackend,
    *,
    frameworks: Iterable[str] | None = None,
    labels: Mapping[str, object] | None = None,
    strict: bool | None = None,
) -> Iterator[None]:
    """Record a block into a store, beside whatever records already, which is left as it was."""
    before, is_strict, chosen = instrument.wanted(), faults.strict, recorders.chosen()
    instrument.instrument(store, frameworks=frameworks, labels=labels or None, strict=strict)
    try:
        yield
    finally:
        store.flush()
        instrument.uninstrument()
        for name, storage in before.items():
            instrument.instrument(storage, frameworks=[name])
        recorders.choose(chosen)
        faults.strict = is_strict


class FakeClock:
    """A clock that stands still until it is told to go on: for what is recorded and asked inside the block.

    >>> with FakeClock(datetime(2026, 1, 31, 9, tzinfo=UTC)) as today:
    ...     run_my_agent()
    ...     today.advance(days=1)
    ...     run_my_agent()

    Each reading moves it on by a microsecond, so that events keep their order. It dates what hooks and trackers record,
    and is what `today`, `this-month` and the like mean; CrewAI dates its events itself. One at a time in a process.
    """

    def __init__(self, at: datetime) -> None:
        self._us = to_us(at if at.tzinfo is not None else at.astimezone())
        self._before = (clock.wall_ns, clock.steady_ns)

    @property
    def now(self) -> datetime:
        """The moment at which it stands, in UTC."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._us)

    def advance(self, by: timedelta | None = None, **units: float) -> None:
        """Go on by a duration, or by `days=`, `hours=`, `minutes=`, `seconds=`."""
        self._us += round((by or timedelta(**units)) / timedelta(microseconds=1))

    def __enter__(self) -> Self:
        self._before = (clock.wall_ns, clock.steady_ns)
        clock.wall_ns = clock.steady_ns = self._read
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        clock.wall_ns, clock.steady_ns = self._before

    def _read(self) -> int:
        self._us += 1
        return self._us * 1000
