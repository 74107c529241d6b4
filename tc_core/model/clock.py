"""The clock by which events are dated, and `now` is meant: in one place, so that tests can set it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Clock:
    """Both clocks of this process; other times (of threads, retries and locks) are never set."""

    __slots__ = ("steady_ns", "wall_ns")

    def __init__(self) -> None:
        self.wall_ns: Callable[[], int] = time.time_ns
        """Nanoseconds since 1970."""
        self.steady_ns: Callable[[], int] = time.perf_counter_ns
        """Nanoseconds that only grow, for durations."""


clock = _Clock()


def now() -> datetime:
    """Return this moment in UTC."""
    return _EPOCH + timedelta(microseconds=clock.wall_ns() // 1000)
