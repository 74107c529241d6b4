"""What becomes of a hook that comes inside another piece of our work: it is put off until that is done.

A garbage collection may come between any two steps of ours and close a stream, whose hook is then called right there,
on whatever thread and with whatever locks that holds. It would find things half done, and could wait for a lock whose
owner waits for one of this thread's.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Inside(threading.local):
    """Of each thread: whether it is at work on what hooks change, and the hooks that were put off meanwhile."""

    is_busy = False
    draining: tuple[object, ...] = ()
    """The writers whose queues it is writing to their stores, the innermost last."""
    _is_catching_up = False

    def __init__(self) -> None:
        self.put_off: deque[Callable[[], object]] = deque()

    def catch_up(self) -> None:
        """Call what was put off, in its order; nothing is locked here, and what one raises costs that one alone."""
        from tc_core.record.guard import contained

        if self._is_catching_up or self.is_busy:
            return
        self._is_catching_up = True
        try:
            while self.put_off:
                with contained("a hook that was put off"):
                    self.put_off.popleft()()
        finally:
            self._is_catching_up = False


inside = Inside()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off the hooks that come inside a block; locks are to be taken in it, so that they are given up before."""
    if inside.is_busy:
        yield
        return
    inside.is_busy = True
    try:
        yield
    finally:
        inside.is_busy = False
        if inside.put_off:
            inside.catch_up()
