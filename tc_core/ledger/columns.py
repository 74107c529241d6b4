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


def grouped(columns: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """Return a number for each row, from 0 on, the same for equal rows, and where each number comes first."""
    code, first = np.zeros(len(columns[0]), np.int64), np.zeros(0, np.int64)
    for column in columns:
        _, of_column = np.unique(column, return_inverse=True)
        pairs = code * (int(of_column.max(initial=0)) + 1) + of_column
        _, first, code = np.unique(pairs, return_index=True, return_inverse=True)
    return code, first


def joined(names: Iterable[str], parts: Sequence[Columns]) -> Columns:
    """Put rows behind each other."""
    nothing: Numbers = np.zeros(0, np.int64)
    return {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name in names}


def spread(starts: Numbers, counts: Numbers) -> Numbers:
    """Return the numbers from each start on, so many each, behind each other."""
    before = np.cumsum(counts) - counts
    found: Numbers = np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
    return found
