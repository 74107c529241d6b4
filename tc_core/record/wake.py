"""What wakes a thread of ours.

Hooks set it wherever they run, also in a garbage collection that comes inside it: `threading.Event` has a lock that
such a thread would wait for in vain, `queue.SimpleQueue` is made for it.
"""

import time
from contextlib import suppress
from queue import Empty, SimpleQueue


class WakeSignal:
    """Wakes the one thread that waits for it; set several times before that, it wakes it once."""

    def __init__(self) -> None:
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._is_set = False
        self.is_over = False
        """Whether the thread is to end."""

    def set(self) -> None:
        """Wake the thread."""
        if not self._is_set:
            self._is_set = True
            self._wakes.put(None)

    def end(self) -> None:
        """Wake the thread for the last time."""
        self.is_over = True
        self._wakes.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until it is set, or for so many seconds; return whether it was set."""
        try:
            self._wakes.get(timeout=seconds)
        except Empty:
            return False
        return True

    def pause(self, seconds: float) -> None:
        """Sleep for so long whoever sets it, or until the end; what is set after that wakes the thread again."""
        deadline = time.monotonic() + seconds
        while not self.is_over and (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                self._wakes.get(timeout=left)
        self._is_set = False
