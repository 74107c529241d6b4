"""The Pareto front: what nothing else beats in cost and in quality at once."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def front(points: Mapping[Name, tuple[float, float]]) -> set[Name]:
    """Return those of which no other costs less and is as good, or is better and costs as much.

    Points are (cost, quality). What is equal in both is on the front together.

    >>> sorted(front({"a": (1, 0.5), "b": (2, 0.9), "c": (2, 0.7)}))
    ['a', 'b']
    """
    found: set[Name] = set()
    best, best_cost = float("-inf"), float("nan")
    for name, (cost, quality) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if quality > best or (quality == best and cost == best_cost):
            found.add(name)
            best, best_cost = quality, cost
    return found
