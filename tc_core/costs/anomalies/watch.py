"""Anomalies while a program runs: a listener that judges each day or hour once it has ended."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from tc_core.costs.anomalies.anomaly import Anomaly, Bucket, Direction
from tc_core.costs.anomalies.detect import check
from tc_core.costs.anomalies.series import Buckets
from tc_core.costs.tracker import CostTracker
from tc_core.model.event import TrackingEvent
from tc_core.model.period import zone
from tc_core.model.ports import Filters


class AnomalyWatch:
    """Calls `on_anomaly` with what `CostTracker.detect_anomalies` finds in a bucket, once a later call comes.

    >>> tracker.storage.add_listener(AnomalyWatch(tracker, print, bucket="hour"))

    It finds what is found when one asks later, as long as no call comes late. What had happened before the first call
    that it hears of is not told. Options are those of `detect_anomalies`.
    """

    def __init__(
        self,
        tracker: CostTracker,
        on_anomaly: Callable[[Anomaly], object],
        *,
        threshold: float = 2.0,
        by: str | Sequence[str] = ("agent_id",),
        bucket: Bucket = "hour",
        direction: Direction = "up",
        filters: Filters | None = None,
        tz: str | tzinfo = "UTC",
    ) -> None:
        self._tracker, self._on_anomaly = tracker, on_anomaly
        self._by = [by] if isinstance(by, str) else list(by)
        check(threshold, self._by, bucket, direction)
        self._threshold, self._bucket, self._direction = threshold, bucket, direction
        self._filters, self._tz = filters, zone(tz)
        self._judged_until: datetime | None = None

    def __call__(self, events: Sequence[TrackingEvent]) -> None:
        """Judge the buckets that have ended before the newest of these events; a listener."""
        newest = max((event.timestamp for event in events), default=None)
        if newest is None:
            return
        begin = self._begin_of(newest)
        if self._judged_until is None or begin <= self._judged_until:
            self._judged_until = self._judged_until or begin
            return
        start, self._judged_until = self._judged_until, begin
        found = self._tracker.detect_anomalies(
            self._threshold,
            start_date=start,
            end_date=begin,
            by=self._by,
            bucket=self._bucket,
            direction=self._direction,
            filters=self._filters,
            tz=self._tz,
        )
        for anomaly in found:
            self._on_anomaly(anomaly)

    def _begin_of(self, moment: datetime) -> datetime:
        buckets = Buckets(self._bucket, moment.astimezone(UTC).date() - timedelta(days=2), 0, self._tz)
        return buckets.start(buckets.place(moment))
