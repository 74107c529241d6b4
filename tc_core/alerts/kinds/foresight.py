"""Kinds about what is odd and what is to come: anomalies, and what this month will cost."""

from collections.abc import Iterable
from datetime import timedelta

from tc_core.alerts.kinds.asking import Figure, Level
from tc_core.alerts.rules import named
from tc_core.alerts.words import usd
from tc_core.costs.anomalies.anomaly import Bucket
from tc_core.costs.tracker import CostTracker
from tc_core.model import clock

HOUR = timedelta(hours=1)


class Anomalies(Level):
    """How many times what was expected a day or, with a window of an hour, an hour costs; significant ones alone."""

    threshold, window = 2.0, "1d"
    every_seconds = 30.0

    def figures(self) -> Iterable[Figure]:
        """Return what stands out now, of each agent or what else is told apart."""
        now = clock.now()
        bucket: Bucket = "hour" if self.span <= HOUR else "day"
        begin = now.replace(minute=0, second=0, microsecond=0) - HOUR if bucket == "hour" else now.date()
        by = self.said.by or ("agent_id",)
        tracker = CostTracker(self.store)
        found = tracker.detect_anomalies(
            self.limit, start_date=begin, by=by, bucket=bucket, filters=self.said.filters or None
        )
        for anomaly in found:
            times = anomaly.observed / anomaly.expected if anomaly.expected else self.limit
            event_id = anomaly.event_ids[0] if anomaly.event_ids else None
            yield Figure(named(anomaly.key), max(times, self.limit), anomaly.explanation, event_id)


class MonthlyForecast(Level):
    """What this month will cost, in US dollars."""

    threshold, has_window = 100.0, False
    every_seconds = 300.0

    def figures(self) -> Iterable[Figure]:
        """Return the forecast of the whole month."""
        from tc_core.costs.forecasts.forecaster import CostForecaster  # numpy, for those who ask

        found = CostForecaster(self.store).forecast_monthly(filters=self.chosen.filters() or None)
        total = found.this_month
        if total is not None and found.spent is not None:
            said = (
                f"this month will cost about {usd(total)}, {usd(found.spent)} of it is spent (limit {usd(self.limit)})"
            )
            yield Figure("", total, said)
