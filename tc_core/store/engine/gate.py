"""A gate that a fork closes: database libraries have locks of their own, which must not be held while a process forks.

A child inherits the locks as they are, and not the threads that would release them.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tc_core.model.apart import obstacles

FORK_WAIT_SECONDS = 0.08
"""How long a fork waits for threads that are inside."""
_LOOK_SECONDS = 0.001


class Gate:
    """Knows the threads that are inside, and keeps further ones out while a process forks.

    It has no lock: an exception of a signal's handler could strike between taking one and giving it up.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._inside: set[int] = set()
        self._is_closed = False
        self._mine = threading.local()

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside for a block; a thread that is inside already does not wait."""
        depth, me, inside = getattr(self._mine, "depth", 0), threading.get_ident(), self._inside
        try:
            self._mine.depth = depth + 1
            if not depth:
                inside.add(me)  # first: who closes it sees either that, or is seen here
                while self._is_closed:
                    inside.discard(me)
                    time.sleep(_LOOK_SECONDS)
                    inside.add(me)
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                inside.discard(me)

    @property
    def is_passed_here(self) -> bool:
        """Whether this thread is inside."""
        return bool(getattr(self._mine, "depth", 0))

    def close(self) -> None:
        """Before a fork: let nobody in, and wait until all others are out, for a while."""
        deadline, me = time.monotonic() + FORK_WAIT_SECONDS, threading.get_ident()
        self._is_closed = True
        while self._inside - {me} and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def open(self) -> None:
        """After a fork, in the parent: go on."""
        self._is_closed = False

    def renew(self) -> None:
        """After a fork, in the child: nobody is inside."""
        self._begin()


gate = Gate()
obstacles.append(lambda: gate.is_passed_here)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.close, after_in_parent=gate.open, after_in_child=gate.renew)
