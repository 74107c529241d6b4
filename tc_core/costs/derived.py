"""Sums by what calls have from above them: the tool they were made in, their run's name, how often they were tried."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from tc_core.costs import names, sql
from tc_core.costs.plain_totals import CallFigures
from tc_core.model.event import to_us
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period
from tc_core.model.ports import Filters, GroupKey
from tc_core.model.totals import Totals
from tc_core.store.sql import SqlStore


class DerivedTotals:
    """Asks a store for sums; those by names from above are worked out from rows."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def totals(
        self,
        group_by: Sequence[str] = (),
        filters: Filters | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        *,
        gaps: Gaps | None = None,
    ) -> dict[GroupKey, Totals]:
        """Return the sums of each group; see `AggregateReader`."""
        filters = filters or {}
        derived = names.from_above((*group_by, *filters))
        if not derived:
            return self._store.totals(group_by, filters, start_time, end_time, gaps=gaps)
        found: dict[GroupKey, Totals] = {}
        with self._store.question() as connection:
            rows = sql.CallRows(self._store, connection, derived)
            for key, totals in rows.sums(group_by, filters, _us(start_time), _us(end_time)):
                found[key] = Totals.of((found[key], totals)) if key in found else totals
        if gaps is not None:
            gaps.days.update(_removed(self._store, Period(start_time, end_time)))
        found = {key: total for key, total in found.items() if total != Totals()}
        return found if group_by else {(): found.get((), Totals())}

    def each(
        self, group_by: Sequence[str], filters: Filters, period: Period, *, gaps: Gaps
    ) -> Iterator[tuple[GroupKey, CallFigures]]:
        """Yield the figures of each call that has ended, by its values; times are not among the names."""
        with self._store.question() as connection:
            rows = sql.CallRows(self._store, connection, names.from_above((*group_by, *filters)))
            yield from rows.each(group_by, filters, _us(period.start), _us(period.end))
        gaps.days.update(_removed(self._store, period))

    def went_well(self, period: Period) -> frozenset[str | None]:
        """Return the ids of the runs with calls in a period that ended without an error."""
        with self._store.question() as connection:
            return frozenset(sql.went_well(connection, _us(period.start), _us(period.end)))


def _removed(store: SqlStore, period: Period) -> dict[date, int]:
    return {day: events for day, events in store.removals().items() if events and period.has_some_of(day)}


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else to_us(moment)
