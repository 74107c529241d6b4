"""CrewAI's event bus, and the handlers of ours on it."""

import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Self

import crewai  # noqa: F401  # whole before its parts, which another thread may be importing
from crewai.events.event_bus import crewai_event_bus

from tc_core import CostTracker
from tc_core.adapter import Destination, HostName, Recorder, label_texts, never_raises, register
from tc_crewai import host
from tc_crewai.reading import INTERNAL_FLOWS
from tc_crewai.runs import caller, current, runs

admission = import_module("tc_crewai.admission") if all(each.find() for each in host.ADMISSION) else None
"""What asks about calls before they are made, where this version of CrewAI has the names for it."""


class TokenCalculatorListener:
    """Records every run of CrewAI from now on, until `remove()`.

    >>> listener = TokenCalculatorListener(agent_id="support", environment="production")

    `tracker` says where to; without one the default store is used. `default_labels` are laid over every event; names of
    dimensions (`agent_id`, `environment`, ...) fill these. Together with `instrument()` each run counts once.
    """

    def __init__(self, tracker: CostTracker | None = None, **default_labels: object) -> None:
        self.tracker = tracker
        self.default_labels = label_texts(default_labels)
        self._destination = Destination(None if tracker is None else tracker.storage)
        self.recorder: Recorder = self._destination.recorder
        add(self)

    def __copy__(self) -> Self:
        """Return itself: it is no part of what holds it, but listens to all of CrewAI."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._destination, dict(self.default_labels))

    def remove(self) -> None:
        """Record nothing more by this listener."""
        drop(self)


def _again(
    kind: type[TokenCalculatorListener], destination: Destination, labels: Mapping[str, object]
) -> TokenCalculatorListener:
    """Return the listener that does this already, else a new one, as in another process."""
    for each in _listeners:
        if type(each) is kind and each.recorder is destination.recorder and each.default_labels == labels:
            return each
    return kind(CostTracker(destination.storage), **labels)


Handler = Callable[[Any, Any, Any], None]

_is_replaying: Callable[[], bool] = host.IS_REPLAYING.find(lambda: False)
_listeners: list[TokenCalculatorListener] = []


def add(listener: TokenCalculatorListener) -> None:
    """Have a listener told; the first one brings our handlers on the bus."""
    with runs.lock:
        _listeners.append(listener)
        _tell_sinks()
        if len(_listeners) > 1:
            return
        runs.since_us = time.time_ns() // 1000
        for event, handler in _handlers():
            crewai_event_bus.register_handler(event, handler)
        if admission is not None:
            admission.install()
        register("crewai", current, catch_up=runs.catch_up, caller=caller)


def drop(*listeners: TokenCalculatorListener) -> None:
    """Tell listeners nothing more; the last one takes our handlers off the bus, and what is open is given up."""
    runs.catch_up()
    with runs.lock:
        if not any(each in _listeners for each in listeners):
            return
        _listeners[:] = [each for each in _listeners if each not in listeners]
        _tell_sinks()
        if _listeners:
            return
        if hasattr(crewai_event_bus, "off"):
            for event, handler in _handlers():
                crewai_event_bus.off(event, handler)
        if admission is not None:
            admission.remove()
        runs.give_up()


def drop_all() -> None:
    """Take everything of ours off the bus."""
    drop(*_listeners)


def _tell_sinks() -> None:
    sinks: dict[Recorder, Mapping[str, object]] = {}
    for listener in _listeners:
        sinks[listener.recorder] = {**sinks.get(listener.recorder, {}), **listener.default_labels}
    runs.sinks = sinks


def _handlers() -> Iterator[tuple[Any, Handler]]:
    """Yield the event classes that this version of CrewAI has, each with what we do on it."""
    handled: tuple[tuple[tuple[HostName, ...], Handler], ...] = (
        (host.STARTS, _on_start),
        (host.ENDS, _on_end),
        ((host.GUARDRAIL,), _on_guardrail),
    )
    for names, handler in handled:
        for name in names:
            event = name.find()
            if event is not None:
                yield event, handler


@never_raises
def _on_start(source: Any, event: Any, state: Any) -> None:
    if not _is_replaying():
        runs.began(event, source, state)


@never_raises
def _on_end(source: Any, event: Any, state: Any) -> None:
    if not _is_replaying() and getattr(event, "flow_name", None) not in INTERNAL_FLOWS:
        runs.ended(event, source, state)


@never_raises
def _on_guardrail(_source: Any, event: Any, state: Any) -> None:
    if not _is_replaying() and not event.success:
        runs.refused(event, state)
