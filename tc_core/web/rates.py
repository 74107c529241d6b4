"""How often somebody may ask: so many at once, and then so many a second, for each address apart."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KNOWN = 4_096
"""Addresses beyond these push out the one that has asked least lately."""


class Rates:
    """Lets through `burst` at once and `per_second` from then on, for each name."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, name: str) -> float:
        """Take one; return 0, or without taking any in how many seconds there is one again."""
        now = self._clock()
        left, before = self._left.get(name, (self._burst, now))
        left = min(self._burst, left + (now - before) * self._per_second)
        is_one = left >= 1
        self._left[name] = (left - 1 if is_one else left, now)
        self._left.move_to_end(name)
        if len(self._left) > MOST_KNOWN:
            self._left.popitem(last=False)
        return 0.0 if is_one else (1 - left) / self._per_second
