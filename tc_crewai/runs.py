"""CrewAI's events, in whatever order they are handled, as runs of the recorders.

One table serves all listeners, so that a run that several of them see counts once in each store.
"""

import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from crewai.events.event_bus import crewai_event_bus
from crewai.events.event_context import VALID_EVENT_PAIRS, get_current_parent_id

from tc_core.adapter import Recorder, Segment, Usage, attempt
from tc_crewai import embeddings, reading, relations
from tc_crewai.scopes import Scope, Scopes, Sinks
from tc_crewai.tracking import labels_of

SETTLE_SECONDS = 2.0

_STEPS = frozenset({"crew_kickoff_started", "flow_started", "method_execution_started"})
_ROOTS = frozenset({"crew_kickoff_started", "flow_started"})
_BUS_THREADS = ("CrewAISyncHandler", "CrewAIEventsLoop")


class Request(NamedTuple):
    """An HTTP request of a model call."""

    retry: int
    status: int | None
    latency_us: int
    usage: Usage | None


class Runs:
    """The runs of CrewAI in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # reentrant: a garbage collection inside it may ask for the innermost run
        self.sinks: Sinks = {}
        self.scopes = Scopes()
        self._is_starting = False
        self.since_us = 0
        """Events from before that were restored from a checkpoint, and are recorded already."""

    def began(self, event: Any, source: Any, state: Any) -> Scope:
        """Note that a scope begins, unless it is known."""
        with self.lock:
            self._sweep()
            known = self.scopes.by_key.get(event.event_id)
            return known if known is not None else self._begin(event, source, state)

    def ended(self, event: Any, source: Any, state: Any) -> None:
        """Note that a scope has ended."""
        with self.lock:
            self._sweep()
            scope = self._find_started(event, source, state)
            if scope is not None:
                self._end(scope, event)
            else:
                key = getattr(event, "call_id", None) or event.started_event_id
                if key is not None and not any(event.type == each.type for each in self._waiting(key)):
                    self.scopes.put_early(key, time.monotonic(), event)

    def requested(self, call_id: str, request: Request) -> None:
        """Note an HTTP request of a model call, whose start may not have been handled yet."""
        with self.lock:
            scope = self.scopes.calls.get(call_id)
            if scope is None:
                self.scopes.put_early(call_id, time.monotonic(), request)
            else:
                _tell_request(scope, request)

    def key_of(self, event_id: str | None, state: Any) -> str | None:
        """Return the key of the recorded run that a scope belongs to, also when its start is not handled yet."""
        with self.lock:
            if self._is_starting:  # the recorder asks for what is above the run that we are telling it of
                return None
            scope = None if event_id is None else self._known(event_id, state)
            found = None if scope is None else scope.recorded
            return None if found is None else found.key

    def settle(self) -> None:
        """Wait, for a short while, until everything that was emitted is handled; not on the bus's own threads."""
        if threading.current_thread().name.startswith(_BUS_THREADS):
            return
        is_all_handled = crewai_event_bus.flush(timeout=SETTLE_SECONDS)
        with self.lock:
            self._sweep()
            if is_all_handled:
                self.scopes.early.clear()

    def give_up(self) -> None:
        """End what is open: nobody will tell us its end."""
        with self.lock:
            for scope in reversed(list(self.scopes.open.values())):
                for recorder in scope.recorders:
                    recorder.fail(scope.key, status="abandoned")
            self.scopes = Scopes()

    def after_fork(self) -> None:
        """In a child process: nothing is open."""
        self.lock, self.scopes, self._is_starting = threading.RLock(), Scopes(), False

    # Starting

    def _begin(self, event: Any, source: Any, state: Any) -> Scope:
        above = self._above(event, state)
        scope = Scope(event.event_id, event.type, above, _identity(event), getattr(event, "call_id", None))
        began_us = reading.at_us(event)
        kind = reading.kind(event) if began_us >= self.since_us else None
        if kind is not None:
            scope.event_type, scope.recorders, scope.is_open = kind, tuple(self.sinks), True
        self.scopes.add(scope, state)
        if kind is not None:
            self._start(scope, event, source, began_us)
            relations.on_start(scope, event, state, self.scopes)
        attempt(embeddings.on_start, scope, event, source, self.sinks)
        for waiting in self.scopes.take_early(scope.key, scope.call_id):
            if isinstance(waiting, Request):
                _tell_request(scope, waiting)
            else:
                self._end(scope, waiting)
        return scope

    def _start(self, scope: Scope, event: Any, source: Any, began_us: int) -> None:
        above = None if scope.above is None else scope.above.recorded
        is_call = scope.event_type == "llm_call"
        content = partial(reading.prompt, event.messages, event.tools) if is_call else None
        said = attempt(self._labels, event, source) or {}
        own = labels_of(source if source is not None else getattr(event, "crew", None), event.type)
        provider = getattr(source, "provider", None) if is_call else None
        for recorder, given in self.sinks.items():
            if recorder.record(scope.key) is not None:
                continue
            self._is_starting = True
            try:
                recorder.start(
                    scope.event_type or "",
                    key=scope.key,
                    parent=None if above is None else above.key,
                    name=attempt(reading.name, event, source),
                    model=event.model if is_call and isinstance(event.model, str) else None,
                    provider=provider if isinstance(provider, str) else None,
                    content=content,
                    labels={**said, **own, **given},
                    at_us=began_us,
                )
            finally:
                self._is_starting = False

    def _labels(self, event: Any, source: Any) -> Mapping[str, object]:
        """Return the agent of an agent's run, and the type of a task."""
        if event.type == "task_started":
            return {"task_type": reading.task_type(event.task)}
        if event.type in ("agent_execution_started", "lite_agent_execution_started"):
            agent = reading.agent(event, source)
            key, roles = reading.agent_key(agent), self.scopes.roles
            if not isinstance(agent, Mapping) or key not in roles:
                self.scopes.learn_role(key, reading.role(agent))
            return {"agent_id": roles.get(key or "")}
        return {}

    def _above(self, event: Any, state: Any) -> Scope | None:
        above = None if event.parent_event_id is None else self._known(event.parent_event_id, state)
        recorded = None if above is None else above.recorded
        if recorded is None or recorded.type in _STEPS:
            # A failed model call is told twice, and the second time takes the scope above for its own.
            identity = _identity(event)
            if identity[0] is not None and event.type not in ("task_started", *_STEPS):
                above = self.scopes.find_agent(identity[0], identity[1]) or above
        if above is None and event.type not in _ROOTS:
            above = self.scopes.find_crew(state)
        return above

    def _known(self, event_id: str, state: Any) -> Scope | None:
        """Return a scope by its id; where its start waits to be handled, from the record that CrewAI itself keeps."""
        scope = self.scopes.by_key.get(event_id)
        if scope is None and state is not None:
            node = state.event_record.get(event_id)
            if node is not None and node.event.type.endswith("_started"):
                return self._begin(node.event, None, state)
        return scope

    # Ending

    def _find_started(self, event: Any, source: Any, state: Any) -> Scope | None:
        type_, call_id = VALID_EVENT_PAIRS.get(event.type), getattr(event, "call_id", None)
        if call_id is not None and call_id in self.scopes.calls:
            return self.scopes.calls[call_id]
        started = None if event.started_event_id is None else self._known(event.started_event_id, state)
        is_plausible = started is not None and started.type == type_
        identity = _identity(event)
        if started is not None and is_plausible and (started.identity == identity or call_id is not None):
            return started
        found = self.scopes.find_open(type_ or "", identity) if call_id is None else None
        return found or (started if is_plausible else None)

    def _waiting(self, key: str) -> list[Any]:
        waiting = self.scopes.early.get(key)
        return [] if waiting is None else [each for each in waiting[1] if not isinstance(each, Request)]

    def _end(self, scope: Scope, event: Any) -> None:
        is_call, was_open = scope.event_type == "llm_call", scope.is_open
        usage = attempt(reading.usage, event.usage) if is_call and event.type == "llm_call_completed" else None
        if scope.event_type is None or (not was_open and usage is None):
            return
        has_failed = event.type.endswith(("_failed", "_error"))
        output: list[Segment] | None = None
        if is_call and usage is None and not has_failed:
            asked = scope.asked
            output = [Segment("assistant", "tool_call", asked)] if asked else attempt(reading.answer, event.response)
        if getattr(event, "from_cache", False) is True:
            for recorder in scope.recorders:
                recorder.start("tool", key=scope.key, labels={"from_cache": True})
        attempt(embeddings.on_end, scope, event, self.sinks)
        for recorder in scope.recorders:
            recorder.finish(
                scope.key,
                status="error" if has_failed else "ok",
                error_type=attempt(reading.error_type, event) if has_failed else None,
                usage=usage,
                output=output,
                at_us=reading.at_us(event),
            )
        self.scopes.close(scope)
        if has_failed:
            relations.on_end(scope, reading.at_us(event), self.scopes)
        root = scope.root
        if self.scopes.is_over(root):
            self.scopes.forget_tree(root)

    def _sweep(self) -> None:
        """End what was left open where an execution is over: a cancelled task tells no end."""
        while self.scopes.gone:
            root = self.scopes.gone.popleft()
            was_stopped = root.is_open
            for scope in reversed(root.members or ()):
                if scope.is_open:
                    is_lost = was_stopped or scope.event_type == "llm_call"
                    for recorder in scope.recorders:
                        _give_up(recorder, scope.key, is_lost=is_lost)
            self.scopes.forget_tree(root)


def _identity(event: Any) -> tuple[str | None, ...]:
    return attempt(reading.identity, event) or (None,) * 5


def _give_up(recorder: Recorder, key: str, *, is_lost: bool) -> None:
    if not recorder.is_open(key):
        return
    if is_lost:
        recorder.fail(key, status="cancelled")
    else:
        recorder.finish(key)


def _tell_request(scope: Scope, request: Request) -> None:
    for recorder in scope.recorders:
        recorder.attempt(
            scope.key, retry=request.retry, status=request.status, latency_us=request.latency_us, usage=request.usage
        )


runs = Runs()


def current() -> str | None:
    """Return the key of the recorded run in which this is called, or None outside of any."""
    if threading.current_thread().name.startswith(_BUS_THREADS) or not runs.sinks:
        return None  # a handler runs in a copy of the context in which its own event is the innermost
    return runs.key_of(get_current_parent_id(), crewai_event_bus.runtime_state)
