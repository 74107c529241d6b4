"""Roll-ups: sums by hour, kept in the writer's own transaction, so that common questions cost the same at any size."""

import operator
from collections.abc import Mapping

from sqlalchemy import Connection

from tc_core.model.totals import CALLS_ONLY, MEASURES
from tc_core.store.dialect import Database
from tc_core.store.interning import Term
from tc_core.store.tables import CALLS

US_PER_HOUR = 3_600_000_000
US_PER_DAY = 24 * US_PER_HOUR

CUBE = ("event_type", "provider", "model", "agent_id", "environment")
"""The dimensions of `rollup_hour`, after the hour."""

_Cell = tuple[int, tuple[int | None, ...], int]
_ALL_ZERO = (0,) * len(MEASURES)


class RollupChanges:
    """What one transaction adds to the roll-ups, summed up before it is written.

    Events are summed by hour, the five dimensions and the label set together; both roll-ups follow from
    these few cells.
    """

    def __init__(self) -> None:
        self._cells: dict[_Cell, list[int]] = {}
        self._labels: dict[int, Mapping[str, str]] = {}

    def add(
        self,
        at_us: int,
        cube: tuple[int | None, ...],
        labels: Mapping[str, str],
        measures: tuple[int, ...],
        *,
        sign: int = 1,
    ) -> None:
        """Book an event's measures, or with `sign` -1 take back what it added before."""
        if measures == _ALL_ZERO:
            return
        cell = (at_us // US_PER_HOUR, cube, id(labels))
        sums = self._cells.get(cell)
        if sums is None:
            sums = [0] * len(MEASURES)
            self._labels[id(labels)] = labels  # held, so that its id stays its own
        self._cells[cell] = list(map(operator.add if sign > 0 else operator.sub, sums, measures))

    def terms(self) -> set[Term]:
        """Return the terms whose keys `write` needs."""
        return {
            term
            for labels in self._labels.values()
            for label, value in labels.items()
            for term in (("label", label), ("label_value", value))
        }

    def write(self, connection: Connection, database: Database, keys: Mapping[Term, int]) -> None:
        """Add everything to the tables."""
        by_hour: dict[tuple[int, ...], list[int]] = {}
        by_label: dict[tuple[int, ...], list[int]] = {}
        for (hour, cube, labels_id), sums in self._cells.items():
            _add(by_hour, (hour, *(key or 0 for key in cube)), sums)
            for label, value in self._labels[labels_id].items():
                _add(
                    by_label,
                    (keys["label", label], hour, keys["label_value", value]),
                    _of_calls(sums, cube[0]),
                )
        database.add_up(connection, "rollup_hour", ("hour", *CUBE), MEASURES, _rows(by_hour))
        database.add_up(connection, "rollup_label", ("label", "hour", "value"), MEASURES, _rows(by_label))


def _of_calls(sums: list[int], event_type: int | None) -> list[int]:
    if event_type in CALLS:
        return sums
    return [0 if name in CALLS_ONLY else value for name, value in zip(MEASURES, sums, strict=True)]


def _add(cells: dict[tuple[int, ...], list[int]], key: tuple[int, ...], sums: list[int]) -> None:
    present = cells.get(key)
    cells[key] = sums if present is None else list(map(operator.add, present, sums))


def _rows(cells: Mapping[tuple[int, ...], list[int]]) -> list[tuple[int, ...]]:
    return [(*cell, *sums) for cell, sums in cells.items() if any(sums)]
