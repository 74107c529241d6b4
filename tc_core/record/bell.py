"""What wakes a thread of ours.

Hooks ring it wherever they run, also in a garbage collection that comes inside it: `threading.Event` has a lock that
such a thread would wait for in vain, `queue.SimpleQueue` is made for it.
"""

import time
from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """Wakes the one thread that waits for it; rung several times before that, it wakes it once."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()
        self._is_rung = False
        self.is_over = False
        """Whether the thread is to end."""

    def ring(self) -> None:
        """Wake the thread."""
        if not self._is_rung:
            self._is_rung = True
            self._rings.put(None)

    def end(self) -> None:
        """Wake the thread for the last time."""
        self.is_over = True
        self._rings.put(None)

    def wait(self) -> None:
        """Sleep until it is rung."""
        self._rings.get()

    def pause(self, seconds: float) -> None:
        """Sleep for so long whoever rings, or until the end; what is rung after that wakes the thread again."""
        deadline = time.monotonic() + seconds
        while not self.is_over and (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                self._rings.get(timeout=left)
        self._is_rung = False
