"""CostTracker: record calls by hand, and ask what calls cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_core.costs import filters as filtering
from tc_core.costs import report
from tc_core.costs.anomalies.anomaly import Anomaly, Bucket, Direction
from tc_core.costs.reading import CostReader, reader_of
from tc_core.costs.report import CostReport
from tc_core.errors import StorageError
from tc_core.meter import recorded
from tc_core.model import clock, money, period
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import Filters, Priced
from tc_core.model.recommendation import Recommendation
from tc_core.model.usage import Usage
from tc_core.record.reports import BILLED
from tc_core.runtime.by_hand import CostRecord, record_call
from tc_core.runtime.recorders import open_storage
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.costs.compare import Comparison, Span


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
        percentiles: Sequence[float] = (),
        per: Sequence[str] = (),
        top: int | None = None,
        sort: str | None = None,
    ) -> CostReport:
        """Report what calls cost in a period.

        Dates are `2024-01-31` (the whole day), `today`, `yesterday`, `this-week`, `this-month`, `last-month`,
        `last-30-days` and the like, or a datetime (naive: in `tz`); a named period without an end is meant whole.
        `group_by` and `filters` name dimensions, labels, `hour`, `day`, `week` and `month`, or what a call has from
        above: `tool`, `workflow`, `name`, `retries`. A filter's value may be a list, or end in `*` for all that begin
        so; a name that ends in `!` leaves its values out.

        `percentiles` such as `[50, 95]` are those of cost and latency of single calls; `per` tells what one `user`,
        `session`, `conversation`, `run`, `success` (a run that went well) or one value of any other name costs. `top`
        names so many groups and sums up the others; `sort` is `cost`, `calls`, `tokens`, `errors` or `time`. Raises
        ConfigurationError for a date or time zone that cannot be read, ValueError for what else cannot be meant.
        """
        where = period.zone(tz)
        question = report.Question(
            group_by=[group_by] if isinstance(group_by, str) else group_by or (),
            filters=filters or {},
            tz=where,
            percentiles=percentiles,
            per=[per] if isinstance(per, str) else per,
            top=top,
            sort=sort,
        )
        return report.answer(self._reader(), period.period(start_date, end_date, tz=where), question)

    def compare(
        self,
        period_a: "Span",
        period_b: "Span",
        by: Sequence[str] = (),
        filters: Filters | None = None,
        *,
        tz: str | tzinfo = "UTC",
    ) -> "Comparison":
        """Compare what calls cost in two periods, and say why it changed from the first to the second.

        A period is `last-week`, a day, or a pair of a start and an end as in `get_costs`. The drivers are price,
        volume, tokens per call and model mix; they sum to the difference exactly, in all and in each group of `by`.
        Those of all are the sums of the groups', so that a name such as `agent_id` tells what happened within agents.
        Raises ConfigurationError for a period that cannot be read, ValueError for a time in `by`.
        """
        from tc_core.costs import compare  # for those who ask: most programs only record

        where = period.zone(tz)
        before, after = (compare.as_period(each, where) for each in (period_a, period_b))
        names = [by] if isinstance(by, str) else by
        return compare.compare(
            self._reader(), self.storage, before, after, by=list(dict.fromkeys(names)), filters=filters, tz=where
        )

    def get_recommendations(
        self,
        top_k: int = 5,
        *,
        start_date: str | date | None = "last-30-days",
        end_date: str | date | None = None,
        filters: Filters | None = None,
        tz: str | tzinfo = "UTC",
    ) -> list[Recommendation]:
        """Recommend what would have saved most, the largest savings first; an empty list where nothing is known to.

        A smaller model is recommended from the actual calls priced again, a cache from prompts that began alike, the
        batch tier where nobody seems to wait, and cutting prompts from what was sent again and again. No saving is
        counted twice: together they never exceed the cost. Of a period the latest 100,000 calls are looked at. Raises
        ValueError for a `top_k` below 1.
        """
        from tc_core.costs import recommendations  # the same

        asked = period.period(start_date, end_date, tz=period.zone(tz))
        wanted = filtering.resolved(self._reader(), filters or {}, asked)
        return recommendations.recommendations(self.storage, asked, wanted, top_k)

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

    def _reader(self) -> CostReader:
        return reader_of(self.storage)


GIVEN = frozenset({None, "cache", BILLED})
"""Sources of costs that no table is asked for."""


def _priced_anew(event: TrackingEvent) -> Priced | None:
    is_given = event.cost_nanos is not None and event.price_source in GIVEN
    return None if is_given else recorded.price_of(event)
