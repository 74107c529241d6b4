"""Kinds about single calls: they are asked as the calls come, and now and then about those that nobody was told of."""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from statistics import median

from tc_core import settings
from tc_core.alerts.conditions import ended_us, said_of
from tc_core.alerts.kinds.asking import Chosen
from tc_core.alerts.rules import Signal, key_of
from tc_core.alerts.words import usd
from tc_core.errors import PriceNotFoundError
from tc_core.meter import price_table
from tc_core.model import clock
from tc_core.model.event import TrackingEvent
from tc_core.store.sql import SqlStore

LOOK_BACK = timedelta(minutes=10)
"""So far back it is looked for calls that this process was not told of, such as those of one that was killed."""
MOST_CALLS = 1000
MOST_SEEN = 10_000
MOST_MODELS = 1000


class CallKind(ABC):
    """A kind that says something of single calls."""

    repeats, tells_end = True, False
    every_seconds = 10.0
    threshold = 1.0
    has_window = False

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        self.said, self.store = said, store
        self.limit = self.threshold if said.threshold is None else said.threshold
        self.chosen = Chosen(said, store)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.RLock()  # calls are told on one thread, and looked for on another

    def see(self, events: Sequence[TrackingEvent]) -> Iterable[Signal]:
        """Return what there is to say of the calls among these events."""
        with self._lock:
            return [self._signal(event) for event in events if event.is_call and self._is_news(event)]

    def _is_news(self, event: TrackingEvent) -> bool:
        if event.event_id in self._seen or not self.chosen.has(event):
            return False
        self._seen[event.event_id] = None
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return True

    def look(self, firing: Collection[str]) -> Iterable[Signal]:
        """Return what there is to say of calls that nobody here was told of."""
        since = clock.now() - LOOK_BACK
        found = self.store.query_events(self.chosen.filters(since), since, limit=MOST_CALLS, descending=True)
        ended = [event for event in reversed(found) if event.status != "open"]
        return [signal for signal in self.see(ended) if signal.is_on]

    def _signal(self, event: TrackingEvent) -> Signal:
        said = self.say(event)
        value, words = (None, "") if said is None else said
        return Signal(self.key(event), said is not None, words, value, event.event_id, ended_us(event))

    def key(self, event: TrackingEvent) -> str:
        """Return what an alert is about."""
        return key_of(event, self.said.by)

    @abstractmethod
    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Return the figure of a call and what there is to say of it; None where it is in order."""


class Cost(CallKind):
    """A call that costs so many dollars."""

    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Say what it costs; a cost that is not known is above nothing."""
        if event.cost is None or event.cost < self.limit:
            return None
        return event.cost, f"{said_of(event)} (limit {usd(self.limit)})"


class CostSpike(CallKind):
    """A call that costs so many times what calls of its model usually do."""

    threshold = 2.0
    remembered = 200
    least = 20

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        super().__init__(said, store)
        self._costs: dict[str, deque[float]] = {}

    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Compare with the median of the last calls; with few of them nothing is usual."""
        if event.cost is None:
            return None
        known = self._known(event)
        usual = median(known) if len(known) >= self.least else None
        known.append(event.cost)
        if usual is None or not usual or event.cost < self.limit * usual:
            return None
        times = event.cost / usual
        return times, f"{said_of(event)}: {times:,.1f} times the usual {usd(usual)} of {event.model}"

    def _known(self, event: TrackingEvent) -> deque[float]:
        model = event.model or ""
        if model not in self._costs:
            if len(self._costs) >= MOST_MODELS:
                self._costs.clear()
            wanted = {**self.chosen.filters(None, event.timestamp), "model": event.model}
            before = self.store.query_events(wanted, None, event.timestamp, limit=self.remembered, descending=True)
            costs = [each.cost for each in reversed(before) if each.cost is not None]
            self._costs[model] = deque(costs, maxlen=self.remembered)
        return self._costs[model]


class ContextUse(CallKind):
    """A call that fills so large a share of its model's context window."""

    threshold = 0.9

    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Say how much of the window it takes."""
        tokens, window = event.total_tokens, _window(event.model)
        if tokens is None or not window or tokens < self.limit * window:
            return None
        return tokens / window, f"{said_of(event)}: {tokens:,} of the {window:,} tokens of its context window"


class NewModel(CallKind):
    """A model that was not called before."""

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        super().__init__(said, store)
        self._known: set[str] = set()

    def key(self, event: TrackingEvent) -> str:
        """Return the model: each is new for itself."""
        return event.model or ""

    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Say which; the first model of a store is not new, it is the only one."""
        model = event.model
        if model is None or model in self._known or len(self._known) >= MOST_MODELS:
            return None
        self._known.add(model)
        before = {
            name for (name,), totals in self.store.totals(["model"], {}, None, event.timestamp).items() if totals.calls
        }
        if model in before or not before:
            return None
        return None, f"{model} is called for the first time" + (f", by {event.agent_id}" if event.agent_id else "")


class NewPrice(CallKind):
    """A model whose calls are priced by another table than before."""

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        super().__init__(said, store)
        self._prices: dict[str, tuple[str | None, object] | None] = {}

    def key(self, event: TrackingEvent) -> str:
        """Return the model."""
        return event.model or ""

    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Say what the price comes from now."""
        model = event.model
        if model is None or event.price_source is None or event.cost is None:
            return None
        now = (event.price_source, event.price_date)
        before = self._prices[model] if model in self._prices else self._earlier(event)
        if len(self._prices) < MOST_MODELS:
            self._prices[model] = now
        if before is None or before == now:
            return None
        return None, f"the price of {model} comes from {_price(now)} now, before from {_price(before)}"

    def _earlier(self, event: TrackingEvent) -> tuple[str | None, object] | None:
        found = self.store.query_events({"model": event.model}, None, event.timestamp, limit=20, descending=True)
        return next(((each.price_source, each.price_date) for each in found if each.price_source), None)


class PartFigure(CallKind):
    """A figure of a call that a part of another branch knows."""

    def __init__(
        self, said: settings.AlertRule, store: SqlStore, figure: Callable[[TrackingEvent], float | None]
    ) -> None:
        super().__init__(said, store)
        self._figure = figure

    def say(self, event: TrackingEvent) -> tuple[float | None, str] | None:
        """Hold the figure against the threshold."""
        value = self._figure(event)
        if value is None or value < self.limit:
            return None
        return value, f"{said_of(event)}: {self.said.type.replace('_', ' ')} {value:g} (limit {self.limit:g})"


def _price(source: tuple[str | None, object]) -> str:
    name, day = source
    return f"{name or 'no table'}" + (f" of {day}" if day else "")


def _window(model: str | None) -> int | None:
    if model is None:
        return None
    try:
        return price_table.show(model).context_window
    except PriceNotFoundError:
        return None
