"""Many rows as columns of whole numbers, and how rows are put together by them."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Columns = dict[str, Numbers]

UNKNOWN = -(1 << 63)
"""Stands for NULL."""

NOWHERE = -1
"""Stands for no place."""


def places(keys: Numbers, wanted: Numbers) -> Numbers:
    """Return where each of some numbers is among keys that are in order, `NOWHERE` for those that are not there."""
    if not keys.size:
        return np.full(len(wanted), NOWHERE)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[found] == wanted, found, NOWHERE)


def distinct(numbers: Numbers) -> Numbers:
    """Return each number once, in order; numpy's own `unique` of many different ones takes ten times as long."""
    found = np.sort(numbers)
    is_new = np.ones(len(found), np.bool_)
    np.not_equal(found[1:], found[:-1], out=is_new[1:])
    return found[is_new]


def are_among(numbers: Numbers, others: Numbers) -> Mask:
    """Tell which numbers are among others."""
    found: Mask = places(distinct(others), numbers) != NOWHERE
    return found


def ordered(columns: Sequence[Numbers | Mask]) -> Numbers:
    """Return the places of rows in the order of the first column, then of the second, and so on; then as they are.

    numpy's own `lexsort` takes ten times as long.
    """
    return np.argsort(_packed(columns), kind="stable")


def grouped(columns: Sequence[Numbers | Mask]) -> tuple[Numbers, Numbers]:
    """Return a number for each row, from 0 on, the same for equal rows, and where each number comes first."""
    _, first, code = np.unique(_packed(columns), return_index=True, return_inverse=True)
    return code, first


def _packed(columns: Sequence[Numbers | Mask]) -> Numbers:
    """Return one number for each row, which are in the order of the rows."""
    code, size = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        if not column.size or (low := int(column.min())) == (high := int(column.max())):
            continue
        if high - low >= _MOST_SPAN:
            low, (_, column) = 0, np.unique(column, return_inverse=True)  # noqa: PLW2901  # the same, in small numbers
            high = int(column.max())
        if size * (high - low + 1) >= _MOST_CODE:
            _, code = np.unique(code, return_inverse=True)
            size = int(code.max()) + 1
        code, size = code * (high - low + 1) + (column - low), size * (high - low + 1)
    return code


_MOST_SPAN = 1 << 31
_MOST_CODE = 1 << 62


def joined(names: Iterable[str], parts: Sequence[Columns]) -> Columns:
    """Put rows behind each other."""
    nothing: Numbers = np.zeros(0, np.int64)
    return {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name in names}


def spread(starts: Numbers, counts: Numbers) -> Numbers:
    """Return the numbers from each start on, so many each, behind each other."""
    before = np.cumsum(counts) - counts
    found: Numbers = np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
    return found
