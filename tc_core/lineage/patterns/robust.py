"""What is usual, judged by the median and the median deviation from it: a few odd values change neither."""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Hashable
from statistics import median
from typing import NamedTuple

MAD_TO_DEVIATION = 1.4826
"""Times the median absolute deviation: the standard deviation, where values are spread normally."""

MOST_GROUPS = 2_000


class Usual(NamedTuple):
    """What is usual of a group, and above what a value stands out."""

    median: float
    bound: float
    known: int


class _Group:
    """The last values of one group, in the order in which they came and in the order of their size."""

    __slots__ = ("by_size", "by_time")

    def __init__(self) -> None:
        self.by_time: deque[float] = deque()
        self.by_size: list[float] = []

    def add(self, value: float, most: int) -> None:
        self.by_time.append(value)
        insort(self.by_size, value)
        if len(self.by_time) > most:
            del self.by_size[bisect_left(self.by_size, self.by_time.popleft())]

    @property
    def median(self) -> float:
        half = len(self.by_size) // 2
        return self.by_size[half] if len(self.by_size) % 2 else (self.by_size[half - 1] + self.by_size[half]) / 2


class History:
    """The last values of each of some groups: bounded in values and in groups."""

    def __init__(self, length: int, least: int, deviations: float, factor: float) -> None:
        self._length, self._least = max(1, length), max(1, least)
        self._deviations, self._factor = deviations, factor
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()

    def usual(self, group: Hashable) -> Usual | None:
        """Return what is usual of a group; None while too few values are known."""
        known = self._groups.get(group)
        if known is None or len(known.by_size) < self._least:
            return None
        middle = known.median
        deviation = MAD_TO_DEVIATION * median(abs(value - middle) for value in known.by_size)
        return Usual(middle, max(middle + self._deviations * deviation, middle * self._factor), len(known.by_size))

    def exceeded(self, group: Hashable, value: float) -> Usual | None:
        """Return what is usual of a group where a value stands out above it, else None."""
        known = self._groups.get(group)
        if known is None or len(known.by_size) < self._least or value <= known.median * self._factor:
            return None  # as nearly always, at the cost of one look
        usual = self.usual(group)
        return usual if usual is not None and value > usual.bound else None

    def add(self, group: Hashable, value: float) -> None:
        """Have a value known from now on."""
        known = self._groups.setdefault(group, _Group())
        self._groups.move_to_end(group)
        known.add(value, self._length)
        while len(self._groups) > MOST_GROUPS:
            self._groups.popitem(last=False)
