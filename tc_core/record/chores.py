"""Small steps of other work that the writer's thread does now and then."""

import time
from collections.abc import Callable, Iterable

from tc_core.record.guard import contained

Chore = Callable[[], float | None]
"""Does one step; returns in how many seconds it wants to be called again, or None for never."""

AFTER_ERROR_SECONDS = 600.0
MOST_SECONDS = 3600.0
"""A chore is called at least so often: a machine may sleep, and its clock may be set."""


class Chores:
    """Knows when each is due."""

    def __init__(self, chores: Iterable[Chore]) -> None:
        self._due = dict.fromkeys(chores, 0.0)

    def do(self) -> float | None:
        """Do what is due; return in how many seconds the next one is, or None where there is none."""
        for chore, due in list(self._due.items()):
            now = time.monotonic()
            if due > now:
                continue
            self._due[chore] = now + AFTER_ERROR_SECONDS
            with contained(f"chore {getattr(chore, '__qualname__', type(chore).__qualname__)}"):
                seconds = chore()
                if seconds is None:
                    del self._due[chore]
                else:
                    self._due[chore] = time.monotonic() + min(max(seconds, 0.0), MOST_SECONDS)
        return max(min(self._due.values()) - time.monotonic(), 0.0) if self._due else None
