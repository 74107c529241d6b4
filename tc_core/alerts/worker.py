"""A thread of our own that does steps of some work while there is any, and ends when there is none."""

import os
import threading
import time
import weakref
from collections.abc import Callable

from tc_core.record.guard import contained

AFTER_ERROR_SECONDS = 10.0
IDLE_SECONDS = 5.0
"""So long a thread waits for more before it ends."""


class Worker:
    """Calls `step` when it is woken, and again after as many seconds as that returns; None ends it until then.

    In a forked child it begins anew.
    """

    def __init__(self, name: str, step: Callable[[], float | None]) -> None:
        self._name, self._step = name, step
        self._left_alone: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._is_woken = self._is_ending = False
        self._asked = self._answered = 0

    @property
    def is_left_alone(self) -> bool:
        """Whether this is asked on a thread of it that was not waited for any longer: it touches no store any more."""
        return threading.current_thread() in self._left_alone

    def wake(self) -> None:
        """Have a step done soon; returns at once."""
        if os.getpid() != self._process:
            self._begin()
        with self._changed:
            if self._is_ending:
                return
            self._is_woken = True
            self._asked += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, args=(self._changed,), name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wake it, and return once a step that began after this has left nothing to do at once."""
        self.wake()
        if threading.current_thread() is self._thread:
            return False
        deadline = time.monotonic() + timeout
        with self._changed:
            wanted = self._asked
            return self._changed.wait_for(lambda: self._answered >= wanted, deadline - time.monotonic())

    def finish(self, timeout: float) -> None:
        """Do what is due at once, then end the thread; one that hangs is left alone. The next `wake` begins anew."""
        if os.getpid() != self._process or self._thread in (None, threading.current_thread()):
            return
        deadline = time.monotonic() + timeout
        with self._changed:
            self._is_woken = True  # what was put off for a moment is due now
            self._asked += 1
            wanted = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answered >= wanted, timeout)
            thread, self._is_ending = self._thread, True
            self._changed.notify_all()
        if thread is not None:
            thread.join(max(deadline - time.monotonic(), 0.0))
            if thread.is_alive():
                self._left_alone.add(thread)
        self._begin()

    def _run(self, changed: threading.Condition) -> None:
        seconds: float | None = 0.0
        while True:
            with changed:
                if seconds != 0:
                    changed.wait_for(
                        lambda: self._is_woken or self._is_ending, IDLE_SECONDS if seconds is None else seconds
                    )
                if changed is not self._changed:
                    return  # it was ended while a step hung, and has begun anew
                if self._is_ending or (seconds is None and not self._is_woken):
                    self._thread = None
                    return
                self._is_woken, asked = False, self._asked
            seconds = AFTER_ERROR_SECONDS
            with contained(self._name):
                seconds = self._step()
            if seconds != 0:
                with changed:
                    self._answered = max(self._answered, asked)
                    changed.notify_all()
