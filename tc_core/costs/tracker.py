"""CostTracker: record calls by hand, and ask what calls cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

from tc_core.costs import report
from tc_core.costs.anomalies.anomaly import Anomaly, Bucket, Direction
from tc_core.costs.plain_totals import PlainTotals
from tc_core.costs.report import CostReport
from tc_core.errors import StorageError
from tc_core.meter import recorded
from tc_core.model import clock, money, period
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import AggregateReader, Filters, Priced
from tc_core.model.usage import Usage
from tc_core.record.reports import BILLED
from tc_core.runtime.by_hand import CostRecord, record_call
from tc_core.runtime.recorders import open_storage, recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class RepriceReport:
    """What pricing again has done: calls looked at, calls whose cost has changed, and calls still without a price.

    `cost_change` is US dollars, `cost_change_nanos` the same exactly.
    """

    examined: int
    changed: int
    still_unpriced: int
    cost_change: float
    cost_change_nanos: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class CostTracker:
    """Tracks what model calls cost.

    `storage` is a store, a path or a URL; without it the default store is used, which everything shares.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        self.storage = open_storage(storage)

    def track_call(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        *,
        provider: str | None = None,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
        event_id: str | None = None,
        parent_id: str | None = None,
        timestamp: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        latency_ms: float | None = None,
        status: str = "ok",
        **labels: object,
    ) -> CostRecord:
        """Record one call; the very next question sees it, in any thread.

        `input_tokens` include `cached_tokens`, `output_tokens` include `reasoning_tokens`. `timestamp` is when the
        call was made (default: now; naive: local time) and decides which price holds. A label named like a
        dimension (`agent_id`, `session_id`, `environment`, ...) fills it. Raises ValueError for facts that no call
        can have, and for an `event_id` that is already recorded with other facts; StorageError for a store that can
        only be read.
        """
        return record_call(
            self.storage,
            model,
            Usage(input_tokens, output_tokens, cached_tokens, reasoning_tokens=reasoning_tokens),
            provider=provider,
            event_id=event_id,
            parent_id=parent_id,
            timestamp=timestamp,
            metadata=metadata,
            latency_ms=latency_ms,
            status=status,
            labels=labels,
        )

    def get_costs(
        self,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        group_by: Sequence[str] | None = None,
        filters: Filters | None = None,
        *,
        tz: str | tzinfo = "UTC",
    ) -> CostReport:
        """Report what calls cost in a period.

        Dates are `2024-01-31` (the whole day), `today`, `yesterday`, `this-week`, `this-month`, `last-month`,
        `last-30-days` and the like, or a datetime (naive: in `tz`); a named period without an end is meant whole.
        `group_by` and `filters` name dimensions, labels, or `hour`, `day` and `month`; a filter's value may be a
        list. Raises ConfigurationError for a date or time zone that cannot be read.
        """
        where = period.zone(tz)
        return report.report(
            self._reader(),
            period.period(start_date, end_date, tz=where),
            group_by=[group_by] if isinstance(group_by, str) else group_by or (),
            filters=filters,
            tz=where,
        )

    def detect_anomalies(
        self,
        threshold: float = 2.0,
        *,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        by: str | Sequence[str] = ("agent_id",),
        bucket: Bucket = "day",
        direction: Direction = "up",
        filters: Filters | None = None,
        tz: str | tzinfo = "UTC",
    ) -> list[Anomaly]:
        """Return the days or hours in which something cost far more (or less) than was to be expected.

        An anomaly costs at least `threshold` times what was expected (`down`: at most the expected / `threshold`), and
        lies outside of what is usual for its series by more than chance explains, given how many series there are. Each
        bucket is judged by what came before it alone: answers given then and later are the same. `by` names dimensions
        or labels, and each of their values is a series; none is one series of all calls. Hours are those of UTC. Dates
        are as in `get_costs`. Raises ValueError for a value that cannot be asked for.
        """
        from tc_core.costs.anomalies.detect import detect  # numpy, for those who ask

        where = period.zone(tz)
        return detect(
            self._reader(),
            period.period(start_date, end_date, tz=where),
            threshold=threshold,
            by=[by] if isinstance(by, str) else list(by),
            bucket=bucket,
            direction=direction,
            filters=filters or {},
            tz=where,
            now=clock.now(),
        )

    def reprice(
        self,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        *,
        everything: bool = False,
        tz: str | tzinfo = "UTC",
    ) -> RepriceReport:
        """Price the calls of a period that have no price yet, by the prices that held when they were made.

        `everything` prices all calls again, for when a table was wrong; a call whose model has no price now, whose cost
        was given by hand or is what the provider billed, or that cost nothing since a cache had the answer, keeps what
        it has. Dates are as in `get_costs`. Raises StorageError for a store that is not SQL.
        """
        if not isinstance(self.storage, SqlStore):
            raise StorageError(f"{type(self.storage).__name__} cannot price again: use SQLiteStorage")
        span = period.period(start_date, end_date, tz=period.zone(tz))
        examined = priced = unpriced = change = 0
        for event, price in self.storage.reprice(_priced_anew, span.start, span.end, unpriced_only=not everything):
            examined += 1
            unpriced += event.cost_nanos is None and price is None
            if price is not None and price.cost_nanos != event.cost_nanos:
                priced += 1
                change += price.cost_nanos - (event.cost_nanos or 0)
        return RepriceReport(examined, priced, unpriced, money.to_dollars(change), change)

    def _reader(self) -> AggregateReader:
        return reader_of(self.storage)


def reader_of(storage: StorageBackend) -> AggregateReader:
    """Return what sums up the events of a storage, and of a user's own one what was recorded until now."""
    if isinstance(storage, SqlStore):
        return storage
    recorder_for(storage).drain()
    return PlainTotals(storage)


GIVEN = frozenset({None, "cache", BILLED})
"""Sources of costs that no table is asked for."""


def _priced_anew(event: TrackingEvent) -> Priced | None:
    is_given = event.cost_nanos is not None and event.price_source in GIVEN
    return None if is_given else recorded.price_of(event)
