"""Events as columns of numbers, some tens of thousands at a time: those that have ended and add to sums of calls."""

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, case, func, or_, select

from tc_core.model.totals import MEASURES
from tc_core.store.read.filters import EVENT
from tc_core.store.read.row_measures import COUNTED, IS_ADDING, IS_CALL, measure_of_row
from tc_core.store.schema.tables import OPEN

Numbers = NDArray[np.signedinteger[Any]]

ROWS = 65_536
"""How many rows a block has, but for the last one."""

COUNTS = ("calls", "priced", "unpriced", "estimated", "errors")
"""Measures that are 0 or 1 for each event: kept as the bits of one number."""
AMOUNTS = tuple(name for name in MEASURES if name not in COUNTS)

_MOST_EXACT = 2.0**52
"""What the amounts of a block may add up to, so that sums in floating point are exact."""
_NARROW = (np.int8, np.int16, np.int32)
_OWN = ("key", "is_open", "at", "counts")
_IS_OPEN = EVENT.c.status == OPEN


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of some events; a column that is nought throughout is left out."""

    rows: int
    columns: Mapping[str, Numbers]
    is_exact: bool
    """Whether sums of its amounts stay within what floating point holds exactly."""

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(column.nbytes for column in self.columns.values())

    def get(self, name: str) -> Numbers | None:
        """Return a column; None for one that is nought throughout."""
        return self.columns.get(name)

    def joined(self, other: "Block") -> "Block":
        """Return the rows of both."""
        names = dict.fromkeys((*self.columns, *other.columns))
        columns = {name: np.concatenate([self.whole(name), other.whole(name)]) for name in names}
        return _block(self.rows + other.rows, columns)

    def whole(self, name: str) -> Numbers:
        """Return a column, noughts and all."""
        column = self.columns.get(name)
        return np.zeros(self.rows, np.int8) if column is None else column


class Found(NamedTuple):
    """What was read at once."""

    block: Block | None
    open_keys: list[int]
    last_key: int


def read(connection: Connection, names: Sequence[str], conditions: Sequence[ColumnElement[bool]]) -> Iterator[Found]:
    """Yield the events that match, block by block, in the order of their keys.

    `names` are further columns of `event`, in which 0 stands for none.
    """
    wide = (*_OWN, *AMOUNTS, *names)
    with connection.execute(_question(names).where(*conditions)) as result:
        cursor: Any = result.cursor  # rows as the driver gives them: objects of SQLAlchemy's would take twice as long
        while len(flat := np.fromiter(chain.from_iterable(islice(cursor, ROWS)), np.int64)):
            rows = flat.reshape(-1, len(wide))
            last_key, is_open = int(rows[-1, 0]), rows[:, 1] != 0
            open_keys = rows[is_open, 0].tolist()
            if open_keys:
                rows = rows[~is_open]
            columns = {name: rows[:, place] for place, name in enumerate(wide) if name not in ("key", "is_open")}
            yield Found(_block(len(rows), columns) if len(rows) else None, open_keys, last_key)


def appended(blocks: tuple[Block, ...], block: Block) -> tuple[Block, ...]:
    """Return blocks with one more, which fills up the last one where it fits in."""
    if blocks and blocks[-1].rows + block.rows <= ROWS:
        return (*blocks[:-1], blocks[-1].joined(block))
    return (*blocks, block)


def _block(rows: int, columns: Mapping[str, Numbers]) -> Block:
    narrow = ((name, _narrowed(column)) for name, column in columns.items())
    kept = {name: column for name, column in narrow if column is not None}
    amounts = (kept[name] for name in AMOUNTS if name in kept)
    is_exact = all(float(np.abs(column, dtype=np.float64).sum()) < _MOST_EXACT for column in amounts)
    return Block(rows, kept, is_exact)


def _narrowed(column: Numbers) -> Numbers | None:
    """Return the numbers in as few bytes as hold them, apart from what they were read with; None for noughts."""
    least, most = int(column.min()), int(column.max())
    if least == most == 0:
        return None
    for kind in _NARROW:
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return column.astype(kind)
    return column.astype(np.int64)


def _question(names: Sequence[str]) -> Select[Any]:
    bits = [case((COUNTED[name] & IS_CALL, 1 << place), else_=0) for place, name in enumerate(COUNTS)]
    counts = reduce(operator.add, bits)
    amounts = (func.coalesce(measure_of_row(name, all_types=False), 0) for name in AMOUNTS)
    of_event = (func.coalesce(EVENT.c[name], 0) for name in names)
    question = select(EVENT.c.key, _IS_OPEN, EVENT.c.at, counts, *amounts, *of_event)
    return question.where(or_(IS_ADDING, _IS_OPEN)).order_by(EVENT.c.key)
