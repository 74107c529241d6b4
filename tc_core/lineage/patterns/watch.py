"""Patterns live: the detectors hear of events as they are recorded, on the listeners' thread."""

import threading
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Self

from tc_core.ledger.prompts import PromptReader
from tc_core.lineage.patterns.detector import Detectors
from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.patterns.seen import read, recorded
from tc_core.model.event import TrackingEvent
from tc_core.runtime.recorders import wait_for_parts
from tc_core.store.sql import SqlStore

LEDGER_SECONDS = 30.0
"""So long it is waited, on a thread that holds up nobody, until the ledger has read what calls were sent."""
GROWTH = 2
"""A finding is told again once it has so many times the events that it had."""


class Watch:
    """Detectors that listen to a store until `stop`, or to the end of a `with` block.

    `callback` is called with each pattern that is found, and again when it has grown to twice its size. One that turns
    out to be none, as polling does that hears something new in the end, is no longer among `patterns()`.
    """

    def __init__(
        self,
        store: SqlStore,
        callback: Callable[[Pattern], object],
        kinds: Collection[str] | None,
        limits: PatternLimits | None,
    ) -> None:
        self._store, self._callback = store, callback
        self._detectors = Detectors(kinds, limits)
        self._reader = PromptReader(store)
        self._lock = threading.Lock()
        store.add_listener(self._listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.stop()

    def patterns(self) -> list[Pattern]:
        """Return what was found so far, as `ProvenanceAnalyzer.patterns` would of the same events."""
        with self._lock:
            return self._detectors.patterns()

    def stop(self) -> None:
        """Listen no more; a second time does nothing."""
        if self._listen in self._store.listeners:
            self._store.remove_listener(self._listen)

    def _listen(self, events: Sequence[TrackingEvent]) -> None:
        ended = [event.event_id for event in events if event.status != "open"]
        if not ended:
            return
        wait_for_parts(self._store, LEDGER_SECONDS)  # what prompts say is read after the event is written
        told: list[Pattern] = []
        with self._lock:
            for seen in read(self._reader, recorded(self._store, ended)):
                told += [each.pattern() for each in self._detectors.see(seen) if _is_news(each)]
        for pattern in told:
            self._callback(pattern)


def _is_news(finding: Finding) -> bool:
    if finding.is_withdrawn or finding.count < GROWTH * finding.told_at:
        return False
    finding.told_at = finding.count
    return True
