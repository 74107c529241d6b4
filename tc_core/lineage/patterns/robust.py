"""What is usual, judged by the median and the median deviation from it: a few odd values change neither."""

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


class History:
    """The last values of each of some groups: bounded in values and in groups."""

    def __init__(self, length: int, least: int, deviations: float, factor: float) -> None:
        self._length, self._least, self._deviations, self._factor = length, least, deviations, factor
        self._groups: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def usual(self, group: Hashable) -> Usual | None:
        """Return what is usual of a group; None while too few values are known."""
        values = self._groups.get(group)
        if values is None or len(values) < max(1, self._least):
            return None
        middle = median(values)
        deviation = MAD_TO_DEVIATION * median(abs(value - middle) for value in values)
        return Usual(middle, max(middle + self._deviations * deviation, middle * self._factor), len(values))

    def add(self, group: Hashable, value: float) -> None:
        """Have a value known from now on."""
        values = self._groups.setdefault(group, deque(maxlen=self._length))
        self._groups.move_to_end(group)
        values.append(value)
        while len(self._groups) > MOST_GROUPS:
            self._groups.popitem(last=False)
