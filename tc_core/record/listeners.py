"""Telling listeners of committed events, on a thread of their own, so that a slow one holds up nobody."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from tc_core.model.event import EventRecord, TrackingEvent
from tc_core.record.guard import contained, faults

Listener = Callable[[Sequence[TrackingEvent]], object]
"""Called with events after their commit, in the order of the commits."""

MOST_WAITING = 100
"""Batches that wait for slow listeners; further ones are counted and not told."""


class Listeners:
    """Those who want to hear of events."""

    def __init__(self, listeners: list[Listener]) -> None:
        self.thread: threading.Thread | None = None
        self._listeners = listeners  # others add to it and take away from it while events are recorded
        self._waiting: SimpleQueue[list[EventRecord] | SimpleQueue[None] | None] = SimpleQueue()

    def add(self, listener: Listener) -> None:
        """Tell one more from now on; once is enough."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def wait(self, timeout: float) -> bool:
        """Return once all that was told is heard; False when that took too long."""
        if self.thread is None or threading.current_thread() is self.thread:
            return True
        heard: SimpleQueue[None] = SimpleQueue()
        self._waiting.put(heard)
        try:
            heard.get(timeout=max(timeout, 0.0))
        except Empty:
            return False
        return True

    def tell(self, records: list[EventRecord]) -> None:
        """Hand over a batch that is committed."""
        if not self._listeners or not records:
            return
        if self.thread is None:
            name, arguments = "token-calculator-listeners", (self._waiting,)
            self.thread = threading.Thread(target=self._run, args=arguments, name=name, daemon=True)
            self.thread.start()
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(records)
        else:
            faults.note("listeners: too slow", count=len(records))

    def close(self, timeout: float) -> None:
        """Let the listeners hear what waits, for at most `timeout` seconds."""
        if self.thread is not None:
            self._waiting.put(None)
            self.thread.join(timeout)
            self.begin()  # a listener that never comes back keeps the old thread

    def begin(self) -> None:
        """Begin anew: no thread, nothing waits."""
        self.thread = None
        self._waiting = SimpleQueue()

    def _run(self, waiting: "SimpleQueue[list[EventRecord] | SimpleQueue[None] | None]") -> None:
        while (records := waiting.get()) is not None:
            if isinstance(records, SimpleQueue):
                records.put(None)
                continue
            events = [record.to_event() for record in records]
            for listener in tuple(self._listeners):
                with contained(f"listener {getattr(listener, '__qualname__', type(listener).__qualname__)}"):
                    listener(events)
