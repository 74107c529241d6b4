"""Sums over kept columns: the same groups, in the same order, with the same figures as from rows."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tc_core.model.totals import MEASURES
from tc_core.store.read.columns.blocks import AMOUNTS, COUNTS, Block, Numbers
from tc_core.store.read.columns.keeper import DoubtError, Span
from tc_core.store.read.columns.kept import Kept

_MOST_DENSE = 1 << 18
"""Groups that may be thought of at once, whether there are any or not."""
_MOST_GROUPS = 1 << 62

_NO_NUMBERS = np.zeros(0, np.int64)

Choice = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The events with one of some values in a column; 0 stands for none."""

    name: str
    values: frozenset[int]


@dataclass(frozen=True, slots=True)
class WithLabel:
    """The events whose label has one of some values; None stands for no such label."""

    label: str
    values: frozenset[str | None]


@dataclass(frozen=True, slots=True)
class During:
    """The events of some spans (us); without any, none."""

    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ByColumn:
    """Grouped by the numbers of a column; 0 stands for none."""

    name: str


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Grouped by the values of a label."""

    label: str


@dataclass(frozen=True, slots=True)
class ByTime:
    """Grouped by time, in units of so many us from 1970."""

    us: int


Condition = OneOf | WithLabel | During
Group = ByColumn | ByLabel | ByTime
Row = tuple[Any, ...]
"""The values of the groups, then one sum for each of `MEASURES`."""


def sums(kept: Kept, groups: Sequence[Group], conditions: Sequence[Condition]) -> list[Row]:
    """Return the sums of each group in the order of the groups' values, none first, then by number or UTF-8.

    Raises DoubtError where numbers might get too large.
    """
    if not all(block.is_exact for block in kept.blocks):
        raise DoubtError
    choosers = [_chooser(kept, condition) for condition in conditions]
    chosen = [(block, rows) for block in kept.blocks if (rows := _chosen(block, choosers)) is None or len(rows)]
    axes = [_axis(kept, group, chosen) for group in groups]
    numbers = [_numbered(axes, block, rows) for block, rows in chosen]
    found, places = _dense(numbers, _size(axes))
    added = [np.zeros(len(found), np.int64) for _ in MEASURES]
    for (block, rows), each in zip(chosen, places, strict=True):
        _add(added, block, rows, each, len(found))
    columns = [*_values(axes, found), *(column.tolist() for column in added)]
    return list(zip(*columns, strict=True)) if len(found) else []


# Which rows

_Choose = Callable[[Block], Choice | None]
"""Says which rows of a block match; None is all."""


def _chosen(block: Block, choosers: Iterable[_Choose]) -> Numbers | None:
    """Return the places of the rows that match; None for all."""
    choice: Choice | None = None
    for choose in choosers:
        one = choose(block)
        if one is not None:
            choice = one if choice is None else choice & one
    return None if choice is None else np.flatnonzero(choice)


def _chooser(kept: Kept, condition: Condition) -> _Choose:
    if isinstance(condition, During):
        return partial(_during, condition.spans)
    if isinstance(condition, OneOf):
        return partial(_with_one_of, condition.name, condition.values)
    label = kept.labels[condition.label]
    numbers = (0 if text is None else label.texts.get(text) for text in condition.values)
    return partial(_of_sets, _is_one_of(label.of_sets, {number for number in numbers if number is not None}))


def _during(spans: Iterable[Span], block: Block) -> Choice | None:
    at = block.whole("at")
    choice = np.zeros(block.rows, np.bool_)
    for start, end in spans:
        choice |= (True if start is None else at >= start) & (True if end is None else at < end)
    return choice


def _with_one_of(name: str, values: Collection[int], block: Block) -> Choice | None:
    column = block.get(name)
    if column is None:
        return None if 0 in values else np.zeros(block.rows, np.bool_)
    return _is_one_of(column, values)


def _of_sets(is_meant: Choice, block: Block) -> Choice | None:
    sets = block.get("labels")
    return np.full(block.rows, is_meant[0]) if sets is None else is_meant[sets]


def _is_one_of(column: Numbers, values: Collection[int]) -> Choice:
    return np.isin(column, np.array(sorted(values), np.int64)) if len(values) != 1 else column == min(values)


# Groups


@dataclass(frozen=True, slots=True)
class _Axis:
    """What one group's numbers are: whole numbers from `first` on."""

    group: Group
    first: int
    size: int
    texts: Sequence[str | None] = ()
    """A label's values in order."""
    places: Numbers = field(default_factory=lambda: _NO_NUMBERS)
    """The place of the value of each label set among them."""

    def numbers(self, block: Block, rows: Numbers | None) -> Numbers:
        """Return the number of each row."""
        if isinstance(self.group, ByTime):
            return _at(block.whole("at"), rows).astype(np.int64, copy=False) // self.group.us - self.first
        if isinstance(self.group, ByColumn):
            return _at(block.whole(self.group.name), rows)
        return self.places[_at(block.whole("labels"), rows)]

    def values(self, numbers: Numbers) -> list[Any]:
        """Return what rows of the database would have for some numbers."""
        if isinstance(self.group, ByTime):
            return [number + self.first for number in numbers.tolist()]
        if isinstance(self.group, ByLabel):
            return [self.texts[number] for number in numbers.tolist()]
        return [number or None for number in numbers.tolist()]


def _axis(kept: Kept, group: Group, chosen: Iterable[tuple[Block, Numbers | None]]) -> _Axis:
    blocks = [block for block, _ in chosen]
    if isinstance(group, ByLabel):
        label = kept.labels[group.label]
        texts, places = label.in_order
        return _Axis(group, 0, len(texts), texts, places[label.of_sets])
    if isinstance(group, ByColumn):
        return _Axis(group, 0, 1 + max((int(block.whole(group.name).max()) for block in blocks), default=0))
    first = min((int(block.whole("at").min()) for block in blocks), default=0) // group.us
    last = max((int(block.whole("at").max()) for block in blocks), default=0) // group.us
    return _Axis(group, first, last - first + 1)


def _size(axes: Iterable[_Axis]) -> int:
    size = 1
    for axis in axes:
        size *= axis.size
    if size > _MOST_GROUPS:
        raise DoubtError
    return size


def _numbered(axes: Iterable[_Axis], block: Block, rows: Numbers | None) -> Numbers:
    """Return one number for the groups of each row, in the order of the groups."""
    numbers = np.zeros(block.rows if rows is None else len(rows), np.int64)
    for axis in axes:
        numbers = numbers * axis.size + axis.numbers(block, rows)
    return numbers


def _dense(numbers: Sequence[Numbers], size: int) -> tuple[Numbers, list[Numbers]]:
    """Return the numbers that there are, in order, and for each row the place of its number among them."""
    if size > _MOST_DENSE:
        found, places = np.unique(np.concatenate([_NO_NUMBERS, *numbers]), return_inverse=True)
        return found, np.split(places.reshape(-1), np.cumsum([len(each) for each in numbers])[:-1]) if numbers else []
    there = np.zeros(size, np.bool_)
    for each in numbers:
        there[each] = True
    place_of = np.cumsum(there) - 1
    return np.flatnonzero(there), [place_of[each] for each in numbers]


def _values(axes: Sequence[_Axis], found: Numbers) -> list[list[Any]]:
    columns = []
    for axis in reversed(axes):
        found, numbers = np.divmod(found, axis.size)
        columns.append(axis.values(numbers))
    return columns[::-1]


# Sums


def _add(added: Sequence[Numbers], block: Block, rows: Numbers | None, places: Numbers, size: int) -> None:
    """Add a block's rows to the sums of their groups: exact, since no sum within a block exceeds 52 bits."""
    sums_of: Mapping[str, Numbers] = dict(zip(MEASURES, added, strict=True))
    counts = block.get("counts")
    if counts is not None:
        bits = _at(counts, rows)
        for place, name in enumerate(COUNTS):
            sums_of[name][:] += np.bincount(places[(bits & (1 << place)) != 0], minlength=size)
    for name in AMOUNTS:
        column = block.get(name)
        if column is not None:
            sums_of[name][:] += np.bincount(places, _at(column, rows), size).astype(np.int64)


def _at(column: Numbers, rows: Numbers | None) -> Numbers:
    return column if rows is None else column[rows]
