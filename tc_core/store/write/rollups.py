"""Roll-ups: sums by hour and by day, kept in the writer's own transaction, so that common questions stay cheap."""

import operator
from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection

from tc_core.model.totals import CALLS_ONLY, MEASURES, NOTHING
from tc_core.store.engine.database import Database
from tc_core.store.schema.days import US_PER_HOUR
from tc_core.store.schema.tables import CALLS, CUBE
from tc_core.store.write.rolled_labels import Pair, PairKeys

Sums = tuple[int, ...]
"""One for each of `MEASURES`."""

_OF_CALLS = tuple(name not in CALLS_ONLY for name in MEASURES)
"""Nought for the measures that only speak of calls."""


class RollupChanges:
    """What one transaction adds to the roll-ups, summed up before it is written.

    Events are summed by hour, the five dimensions and the label set together; all roll-ups follow from
    these few cells.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[int, tuple[int | None, ...], int], list[Sums]] = {}
        self._labels: dict[int, Mapping[str, str]] = {}

    def add(
        self,
        at_us: int,
        cube: tuple[int | None, ...],
        labels: Mapping[str, str],
        measures: Sums,
        *,
        sign: int = 1,
    ) -> None:
        """Book an event's measures, or with `sign` -1 take back what it added before."""
        if measures == NOTHING:
            return
        cell = (at_us // US_PER_HOUR, cube, id(labels))
        if sign < 0:
            measures = tuple(map(operator.neg, measures))
        try:
            self._cells[cell].append(measures)
        except KeyError:
            self._cells[cell] = [measures]
            self._labels[id(labels)] = labels  # held, so that its id stays its own

    def pairs(self) -> set[Pair]:
        """Return the labels with their values whose keys `write` needs."""
        return {pair for labels in self._labels.values() for pair in labels.items()}

    def write(self, connection: Connection, database: Database, pairs: PairKeys) -> None:
        """Add everything to the tables; a label that is not among the pairs is not rolled up."""
        by_hour, by_day, by_label, by_label_day, by_set = (_Cells(list) for _ in range(5))
        for (hour, cube, labels_id), parts in self._cells.items():
            sums, key = _sum(parts), tuple([part or 0 for part in cube])
            by_hour[hour, *key].append(sums)
            of_calls = sums if cube[0] in CALLS else tuple(map(operator.mul, sums, _OF_CALLS))
            if of_calls != NOTHING:
                by_day[hour // 24, *key[1:]].append(of_calls)
                by_set[labels_id, hour].append(of_calls)
        for (labels_id, hour), parts in by_set.items():
            sums = _sum(parts)
            for pair in self._labels[labels_id].items():
                found = pairs.get(pair)
                if found is not None:
                    by_label[found[0], hour, found[1]].append(sums)
        for (label, hour, value), parts in by_label.items():
            by_label_day[label, hour // 24, value] += parts
        for name, keys, cells in (
            ("rollup_hour", ("hour", *CUBE), by_hour),
            ("rollup_day", ("day", *CUBE[1:]), by_day),
            ("rollup_label", ("label", "hour", "value"), by_label),
            ("rollup_label_day", ("label", "day", "value"), by_label_day),
        ):
            database.add_up(connection, name, keys, MEASURES, _rows(cells))


_Cells = defaultdict[tuple[int, ...], list[Sums]]
"""What is added to each cell, by its key: summed up column by column at the end, which is quicker than one by one."""


def _sum(parts: list[Sums]) -> Sums:
    return parts[0] if len(parts) == 1 else tuple(map(sum, zip(*parts, strict=True)))


def _rows(cells: _Cells) -> list[tuple[int, ...]]:
    return [(*key, *sums) for key, parts in cells.items() if (sums := _sum(parts)) != NOTHING]
