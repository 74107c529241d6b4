"""Kinds about the calls of the last while: what they cost, how many fail, how long they take, or that none come."""

from abc import abstractmethod
from collections.abc import Iterable

from tc_core.alerts.kinds.asking import Figure, Level
from tc_core.alerts.rules import named, value_of
from tc_core.alerts.words import usd, write_span
from tc_core.model import clock, money
from tc_core.model.totals import Totals

LEAST_CALLS = 5
"""With fewer calls a share of them says nothing."""
MOST_CALLS = 1000


class Windowed(Level):
    """A figure of the sums over the last while."""

    def figures(self) -> Iterable[Figure]:
        """Return the figure of each group."""
        since = clock.now() - self.span
        groups = self.store.totals(self.said.by, self.chosen.filters(since), since, None)
        for values, totals in groups.items():
            figure = self.figure(totals)
            if figure is not None:
                yield Figure(self.key([None if each is None else str(each) for each in values]), *figure)

    @abstractmethod
    def figure(self, totals: Totals) -> tuple[float, str] | None:
        """Return a group's figure and what there is to say of it, None where it has none."""


class BurnRate(Windowed):
    """Dollars in an hour."""

    threshold, window = 10.0, "1h"

    def figure(self, totals: Totals) -> tuple[float, str] | None:
        """Return what is spent in an hour; unpriced calls alone spend nothing that is known."""
        nanos = totals.known_cost_nanos
        if nanos is None:
            return None
        rate = money.to_dollars(nanos) / (self.span.total_seconds() / 3600)
        return rate, f"{usd(rate)} an hour over the last {write_span(self.span)} (limit {usd(self.limit)})"


class ErrorRate(Windowed):
    """The share of calls that fail."""

    threshold, window = 0.2, "15m"

    def figure(self, totals: Totals) -> tuple[float, str] | None:
        """Return the share; few calls have none."""
        if totals.calls < LEAST_CALLS:
            return None
        share = totals.errors / totals.calls
        return share, f"{totals.errors} of {totals.calls} calls failed in the last {write_span(self.span)}"


class Unpriced(Level):
    """How many calls have no price, by model."""

    threshold, window = 1.0, "1d"

    def figures(self) -> Iterable[Figure]:
        """Return the unpriced calls of each model."""
        since = clock.now() - self.span
        groups = self.store.totals(["model"], self.chosen.filters(since), since, None)
        for (model,), totals in groups.items():
            if totals.unpriced:
                calls = "1 call" if totals.unpriced == 1 else f"{totals.unpriced:,} calls"
                verb = "has" if totals.unpriced == 1 else "have"
                said = f"{calls} of {model} in the last {write_span(self.span)} {verb} no price: give it one"
                yield Figure(str(model), float(totals.unpriced), f"{said} (`token-calc models search`, docs/prices.md)")


class Latency(Level):
    """How many milliseconds the slowest twentieth of the calls takes at least."""

    threshold, window = 30_000.0, "15m"

    def figures(self) -> Iterable[Figure]:
        """Return the 95th percentile of each group."""
        since = clock.now() - self.span
        wanted = {"event_type": "llm_call", **self.chosen.filters(since)}
        calls = self.store.query_events(wanted, since, limit=MOST_CALLS, descending=True)
        groups: dict[str, list[float]] = {}
        for event in calls:
            if event.latency_ms is not None:
                key = named({name: value_of(event, name) for name in self.said.by})
                groups.setdefault(key, []).append(event.latency_ms)
        for key, found in groups.items():
            if len(found) >= LEAST_CALLS:
                slow = sorted(found)[min(int(len(found) * 0.95), len(found) - 1)]
                said = f"one of twenty calls took {slow / 1000:,.1f} s or longer in the last {write_span(self.span)}"
                yield Figure(key, slow, said)


class NoData(Level):
    """For how many seconds nothing was recorded."""

    threshold, has_window = 3600.0, False

    def figures(self) -> Iterable[Figure]:
        """Return how long the newest event is ago; a store without any waits for the first."""
        newest = self.store.query_events(self.chosen.filters(), limit=1, descending=True)
        if newest:
            silent = (clock.now() - newest[0].timestamp).total_seconds()
            said = f"nothing was recorded since {newest[0].timestamp:%Y-%m-%d %H:%M} UTC"
            yield Figure("", max(silent, 0.0), said)
