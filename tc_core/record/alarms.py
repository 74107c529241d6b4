"""One thread for all stores that sleeps until the next chore of one of them is due."""

import heapq
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from tc_core.record.guard import contained


class Alarms:
    """Wakes writers that rest; it keeps none alive."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[float, int, weakref.WeakMethod[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._serial = itertools.count()

    def set(self, seconds: float, wake: Callable[[], object]) -> None:
        """Have a method called in so many seconds."""
        self._asked.put((time.monotonic() + seconds, next(self._serial), weakref.WeakMethod(wake)))
        if self._thread is None or not self._thread.is_alive():  # it may be that of the process that forked us
            self._thread = threading.Thread(target=self._run, name="token-calculator-alarms", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        waiting: list[tuple[float, int, weakref.WeakMethod[Any]]] = []
        while True:
            seconds = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else None
            try:
                heapq.heappush(waiting, self._asked.get(timeout=seconds))
            except Empty:
                wake = heapq.heappop(waiting)[2]()
                if wake is not None:
                    with contained("wake a writer"):
                        wake()


alarms = Alarms()
