"""A gate that a fork closes: database libraries have locks of their own, which must not be held while a process forks.

A child inherits the locks as they are, and not the threads that would release them.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FORK_WAIT_SECONDS = 0.5
"""How long a fork waits for threads that are inside."""


class Gate:
    """Counts the threads that are inside, and keeps further ones out while a process forks."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_closed = False
        self._mine = threading.local()

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside for a block; a thread that is inside already does not wait."""
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            with self._changed:
                while self._is_closed:
                    self._changed.wait(FORK_WAIT_SECONDS)
                self._inside += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                with self._changed:
                    self._inside -= 1
                    if self._is_closed:
                        self._changed.notify_all()

    def close(self) -> None:
        """Before a fork: let nobody in, and wait until all others are out, for a while."""
        deadline = time.monotonic() + FORK_WAIT_SECONDS
        with self._changed:
            self._is_closed = True
            mine = bool(getattr(self._mine, "depth", 0))
            while self._inside > mine and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())

    def open(self) -> None:
        """After a fork, in the parent: go on."""
        with self._changed:
            self._is_closed = False
            self._changed.notify_all()

    def renew(self) -> None:
        """After a fork, in the child: nobody is inside."""
        self._begin()


gate = Gate()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.close, after_in_parent=gate.open, after_in_child=gate.renew)
