"""CrewAI's event bus, and the handlers of ours on it."""

import time
from collections.abc import Mapping
from typing import Any

from crewai import events
from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import crewai_event_bus, is_replaying
from crewai.events.types import flow_events, knowledge_events

from tc_core import CostTracker
from tc_core.adapter import Recorder, never_raises, recorder_for, register
from tc_crewai import admission
from tc_crewai.reading import INTERNAL_FLOWS
from tc_crewai.runs import current, runs

_MODULES = (events, flow_events, knowledge_events)


def _classes(*names: str) -> tuple[type[BaseEvent], ...]:
    """Return the event classes that this version of CrewAI has."""
    found = (next((each for module in _MODULES if (each := getattr(module, name, None))), None) for name in names)
    return tuple(each for each in found if each is not None)


STARTS = _classes(
    "CrewKickoffStartedEvent",
    "FlowStartedEvent",
    "MethodExecutionStartedEvent",
    "TaskStartedEvent",
    "AgentExecutionStartedEvent",
    "LiteAgentExecutionStartedEvent",
    "AgentReasoningStartedEvent",
    "LLMCallStartedEvent",
    "LLMGuardrailStartedEvent",
    "ToolUsageStartedEvent",
    "MemoryRetrievalStartedEvent",
    "MemoryQueryStartedEvent",
    "MemorySaveStartedEvent",
    "KnowledgeRetrievalStartedEvent",
    "KnowledgeQueryStartedEvent",
)
ENDS = _classes(
    "CrewKickoffCompletedEvent",
    "CrewKickoffFailedEvent",
    "FlowFinishedEvent",
    "FlowFailedEvent",
    "FlowPausedEvent",
    "MethodExecutionFinishedEvent",
    "MethodExecutionFailedEvent",
    "MethodExecutionPausedEvent",
    "TaskCompletedEvent",
    "TaskFailedEvent",
    "AgentExecutionCompletedEvent",
    "AgentExecutionErrorEvent",
    "LiteAgentExecutionCompletedEvent",
    "LiteAgentExecutionErrorEvent",
    "LLMCallCompletedEvent",
    "LLMCallFailedEvent",
    "ToolUsageFinishedEvent",
    "ToolUsageErrorEvent",
    "MemoryQueryCompletedEvent",
    "MemoryQueryFailedEvent",
    "KnowledgeRetrievalCompletedEvent",
    "KnowledgeSearchQueryFailedEvent",
)


class TokenCalculatorListener:
    """Records every run of CrewAI from now on, until `remove()`.

    >>> listener = TokenCalculatorListener(agent_id="support", environment="production")

    `tracker` says where to; without one the default store is used. `default_labels` are laid over every event; names of
    dimensions (`agent_id`, `environment`, ...) fill these. Together with `instrument()` each run counts once.
    """

    def __init__(self, tracker: CostTracker | None = None, **default_labels: object) -> None:
        self.tracker = tracker
        self.default_labels = default_labels
        self.recorder: Recorder = recorder_for(None if tracker is None else tracker.storage)
        add(self)

    def remove(self) -> None:
        """Record nothing more by this listener."""
        drop(self)


_listeners: list[TokenCalculatorListener] = []


def add(listener: TokenCalculatorListener) -> None:
    """Have a listener told; the first one brings our handlers on the bus."""
    with runs.lock:
        _listeners.append(listener)
        _tell_sinks()
        if len(_listeners) > 1:
            return
        runs.since_us = time.time_ns() // 1000
        for event in STARTS:
            crewai_event_bus.register_handler(event, _on_start)
        for event in ENDS:
            crewai_event_bus.register_handler(event, _on_end)
        crewai_event_bus.register_handler(events.LLMGuardrailCompletedEvent, _on_guardrail)
        admission.install()
        register("crewai", current, catch_up=runs.catch_up)


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
        for event in STARTS:
            crewai_event_bus.off(event, _on_start)
        for event in ENDS:
            crewai_event_bus.off(event, _on_end)
        crewai_event_bus.off(events.LLMGuardrailCompletedEvent, _on_guardrail)
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


@never_raises
def _on_start(source: Any, event: Any, state: Any) -> None:
    if not is_replaying():
        runs.began(event, source, state)


@never_raises
def _on_end(source: Any, event: Any, state: Any) -> None:
    if not is_replaying() and getattr(event, "flow_name", None) not in INTERNAL_FLOWS:
        runs.ended(event, source, state)


@never_raises
def _on_guardrail(_source: Any, event: Any, state: Any) -> None:
    if not is_replaying() and not event.success:
        runs.refused(event, state)
