"""A gate that a fork closes: database libraries have locks of their own, which must not be held while a process forks.

A child inherits the locks as they are, and not the threads that would release them.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from tc_core.model.apart import obstacles

FORK_WAIT_SECONDS = 0.08
"""How long a fork waits for threads that are inside."""
FILE_WAIT_SECONDS = 2.0
"""How long it waits for those at a file of SQLite's; whoever only waits for a lock there comes out at once."""
_LOOK_SECONDS = 0.001


class Closable(Protocol):
    """What keeps connections that nobody uses at present."""

    def close_idle(self) -> None:
        """Close them; the next use opens new ones."""


class Gate:
    """Knows the threads that are inside, and keeps further ones out while a process forks.

    It has no lock: an exception of a signal's handler could strike between taking one and giving it up.
    """

    def __init__(self) -> None:
        self._to_close: WeakValueDictionary[int, Closable] = WeakValueDictionary()
        self.is_torn = False
        """Whether this process was forked while a thread was at a file: what that had open is open here as well."""
        self._begin()

    def _begin(self) -> None:
        self._inside: set[int] = set()
        self._at_files: set[int] = set()
        self._is_closed = False
        self._mine = threading.local()

    def closes_before_forks(self, each: Closable) -> None:
        """Have connections closed before each fork, as those to SQLite's files must be.

        SQLite keeps a process's locks on a file beside its connections. A child that inherits an open one believes
        that it holds the locks of its parent, which the system gives to no child: others then remove the log under it.
        """
        self._to_close[id(each)] = each

    @contextmanager
    def passed(self, *, at_file: bool = False) -> Iterator[None]:
        """Be inside for a block, also `at_file` where that opens a file of SQLite's.

        A thread that is inside already does not wait.
        """
        depth, me = getattr(self._mine, "depth", 0), threading.get_ident()
        entered = [room for room in ((self._inside, self._at_files) if at_file else (self._inside,)) if me not in room]
        try:
            self._mine.depth = depth + 1
            _enter(entered, me)  # first: who closes it sees either that, or is seen here
            while self._is_closed and not depth:
                _leave(entered, me)
                time.sleep(_LOOK_SECONDS)
                _enter(entered, me)
            yield
        finally:
            self._mine.depth = depth
            _leave(entered, me)

    @property
    def is_closed(self) -> bool:
        """Whether a fork waits for those who are inside."""
        return self._is_closed

    @property
    def is_passed_here(self) -> bool:
        """Whether this thread is inside."""
        return bool(getattr(self._mine, "depth", 0))

    def close(self) -> None:
        """Before a fork: let nobody in, wait for a while until all others are out, and close what they had open."""
        began, me = time.monotonic(), {threading.get_ident()}
        self._is_closed = True
        for inside, seconds in ((self._inside, FORK_WAIT_SECONDS), (self._at_files, FILE_WAIT_SECONDS)):
            while inside - me and time.monotonic() < began + seconds:
                time.sleep(_LOOK_SECONDS)
        for known in self._to_close.valuerefs():
            if (each := known()) is not None:
                each.close_idle()

    def open(self) -> None:
        """After a fork, in the parent: go on."""
        self._is_closed = False

    def renew(self) -> None:
        """After a fork, in the child: nobody is inside."""
        self.is_torn = self.is_torn or bool(self._at_files)
        self._begin()


def _enter(rooms: list[set[int]], who: int) -> None:
    for room in rooms:
        room.add(who)


def _leave(rooms: list[set[int]], who: int) -> None:
    for room in rooms:
        room.discard(who)


gate = Gate()
obstacles.append(lambda: gate.is_passed_here)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.close, after_in_parent=gate.open, after_in_child=gate.renew)
