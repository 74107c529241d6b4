"""What reports are made from: sums, the figures of each call, and which runs went well."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from tc_core.costs.derived import DerivedTotals
from tc_core.costs.plain_totals import CallFigures, PlainTotals
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period
from tc_core.model.ports import AggregateReader, Filters, GroupKey
from tc_core.runtime.recorders import recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


@runtime_checkable
class CostReader(AggregateReader, Protocol):
    """Answers what reports ask."""

    def each(
        self, group_by: Sequence[str], filters: Filters, period: Period, *, gaps: Gaps
    ) -> Iterator[tuple[GroupKey, CallFigures]]:
        """Yield the figures of each call that has ended, by its values; no times are among the names."""

    def went_well(self, period: Period) -> frozenset[str | None]:
        """Return the ids of the runs with calls in a period that ended without an error."""


def reader_of(storage: StorageBackend) -> CostReader:
    """Return what answers for a storage; what is still on its way to it is waited for."""
    if isinstance(storage, SqlStore):
        return DerivedTotals(storage)
    recorder_for(storage).drain()
    return PlainTotals(storage)
