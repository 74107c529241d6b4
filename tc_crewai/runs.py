"""CrewAI's events, in whatever order they are handled, as runs of the recorders.

One table serves all listeners, so that a run that several of them see counts once in each store.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

import crewai  # noqa: F401  # whole before its parts, which another thread may be importing
from crewai.events.event_bus import crewai_event_bus

from tc_core.adapter import Note, Recorder, attempt, usage_part
from tc_crewai import embeddings, host, reading, relations, telling
from tc_crewai.scopes import Admitted, EarlyKey, Scope, Scopes, Sinks
from tc_crewai.telling import Request

SETTLE_SECONDS = 2.0
BEGIN_SECONDS = 0.1

_STEPS = frozenset({"crew_kickoff_started", "flow_started", "method_execution_started"})
_ROOTS = frozenset({"crew_kickoff_started", "flow_started"})
_EVENT_PAIRS: Mapping[str, str] = host.EVENT_PAIRS.find({})
_current_parent_id: Callable[[], str | None] | None = host.CURRENT.find()
_CALL_ID: ContextVar[str | None] | None = host.CALL_ID.find()
_admitted: ContextVar[Admitted | None] = ContextVar("tc_crewai_admitted", default=None)
"""The model call of an agent that was let through and is made next here."""
_BUS_THREADS = ("CrewAISyncHandler", "CrewAIEventsLoop")

Known = TypeVar("Known")


class Runs:
    """The runs of CrewAI in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # reentrant: a garbage collection inside it may ask for the innermost run
        self._has_begun = threading.Condition(self.lock)
        self.sinks: Sinks = {}
        self.scopes = Scopes()
        self._is_starting = False
        self.since_us = 0
        """Events from before that were restored from a checkpoint, and are recorded already."""

    def began(self, event: Any, source: Any, state: Any) -> Scope:
        """Note that a scope begins, unless it is known."""
        with self.lock:
            self._sweep()
            if event.event_id not in self.scopes.by_key:
                self._await(event.parent_event_id, state)
            scope = self.scopes.by_key.get(event.event_id)
            if scope is None:
                scope = self._begin(event, source, state)
                self._has_begun.notify_all()
            elif not scope.is_source_known and source is not None:
                telling.source_of(scope, source)
            return scope

    def ended(self, event: Any, source: Any, state: Any) -> None:
        """Note that a scope has ended."""
        with self.lock:
            self._sweep()
            scope = self._wait_for(lambda: self._find_started(event, source, state))
            if scope is None:
                self._put_early(event)
                return
            if scope.event_type == "llm_call" and not scope.is_source_known and source is not None:
                telling.source_of(scope, source)  # its start is handled late
            self._end(scope, event)

    def refused(self, event: Any, state: Any) -> None:
        """Note a refusal by the guardrail of a single agent; that of a task makes the agent run again."""
        with self.lock:
            self._await(event.started_event_id, state)
            guardrail = self.scopes.by_key.get(event.started_event_id or "")
            agent = None if guardrail is None else guardrail.above
            if agent is not None and agent.type == "lite_agent_execution_started":
                relations.refused(agent, reading.at_us(event))

    def stopped(self, event_id: str | None, error_type: str) -> None:
        """Note why a model call is refused whose failure CrewAI tells of, since it does not tell that."""
        with self.lock:
            if event_id is not None:
                self.scopes.note_refusal(event_id, error_type)

    def cut(self, call_id: str, error_type: str, said: str) -> None:
        """Note that the stream of a model call is cut, and what had come of its answer."""
        with self.lock:
            self.scopes.note_cut(call_id, error_type, said)

    def admitted(self, event_id: str | None, agent_id: str | None, ids: Mapping[Recorder, bytes]) -> None:
        """Note under which ids a model call was let through: those of its event in each store.

        `event_id` is that of its start, which may have been handled already. A call that an agent makes has not begun
        yet: it is known by the context, and where its start is handled outside of that, by the agent.
        """
        with self.lock:
            admitted = Admitted(ids, agent_id)
            if event_id is None:
                _admitted.set(admitted)
                self.scopes.admitted.append(admitted)
                return
            for recorder, id_ in ids.items():
                record = recorder.record(event_id)
                if record is not None:
                    recorder.rename(id_, record.id)
            self.scopes.put_admitted(event_id, admitted)

    def tripped(self, event_id: str | None) -> Exception | None:
        """Return what a call of this run was refused with: a delegation's refusal reaches nobody else."""
        found = self._tripped(event_id)
        if found is not None:  # a crew that failed may be the one above, until its end is handled
            self.catch_up()
            found = self._tripped(event_id)
        return found

    def _tripped(self, event_id: str | None) -> Exception | None:
        with self.lock:
            root = self._root(event_id)
            return None if root is None else self.scopes.tripped.get(root.key)

    def trip(self, event_id: str | None, refusal: Exception) -> None:
        """Have all further calls of a run refused."""
        with self.lock:
            root = self._root(event_id)
            if root is not None:
                self.scopes.trip(root.key, refusal)

    def _root(self, event_id: str | None) -> Scope | None:
        """Return the outermost run that is open around a scope; None for a model call by itself.

        CrewAI takes a crew that follows a failed one for a part of that.
        """
        scope = None if event_id is None else self._known(event_id, getattr(crewai_event_bus, "runtime_state", None))
        root = None
        while scope is not None and (scope.is_open or scope.event_type is None):
            if scope.is_open and scope.type != "llm_call_started":
                root = scope
            scope = scope.above
        return root

    def requested(self, call_id: str, request: Request) -> None:
        """Note an HTTP request of a model call, whose start may not have been handled yet."""
        with self.lock:
            scope = self.scopes.calls.get(call_id)
            if scope is None:
                self.scopes.put_early(call_id, time.monotonic(), request)
            else:
                telling.request(scope, request)

    def key_of(self, event_id: str | None, state: Any) -> str | None:
        """Return the key of the recorded run that a scope belongs to, also when its start is not handled yet."""
        with self.lock:
            if self._is_starting:  # the recorder asks for what is above the run that we are telling it of
                return None
            scope = None if event_id is None else self._known(event_id, state)
            found = None if scope is None else scope.recorded
            return None if found is None else found.key

    def is_tool(self, event_id: str, state: Any) -> bool:
        """Tell whether a scope is that of a tool."""
        with self.lock:
            scope = self._known(event_id, state)
            return scope is not None and scope.event_type == "tool"

    def catch_up(self) -> None:
        """Wait, for a short while, until everything that was emitted is handled; not on the bus's own threads."""
        if threading.current_thread().name.startswith(_BUS_THREADS):
            return
        if not self.sinks:
            return
        flush = getattr(crewai_event_bus, "flush", None)
        is_all_handled = flush is not None and flush(timeout=SETTLE_SECONDS)
        with self.lock:
            self._sweep()
            if is_all_handled:
                self.scopes.early.clear()
                self.scopes.forget_over()

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
        self._has_begun = threading.Condition(self.lock)

    # Starting

    def _await(self, event_id: str | None, state: Any) -> None:
        """Wait a moment for the start of what is above, which another thread of the bus is about to hand over.

        Outside of crews and flows there is no record in which it could be found. Only threads of the bus wait, in which
        no call of the host's is held up.
        """
        if event_id is None or event_id in self.scopes.missing or self._known(event_id, state) is not None:
            return
        if not self._wait_for(lambda: event_id in self.scopes.by_key):
            self.scopes.note_missing(event_id)

    def _wait_for(self, known: Callable[[], Known]) -> Known:
        is_bus = threading.current_thread().name.startswith(_BUS_THREADS)
        return self._has_begun.wait_for(known, BEGIN_SECONDS) if is_bus else known()

    def _begin(self, event: Any, source: Any, state: Any) -> Scope:
        above, began_us = self._above(event, state), reading.at_us(event)
        scope = Scope(event.event_id, event.type, above, _identity(event), getattr(event, "call_id", None), began_us)
        scope.is_source_known = source is not None
        kind = reading.kind(event) if began_us >= self.since_us else None
        if kind is not None:
            scope.event_type, scope.recorders, scope.is_open = kind, tuple(self.sinks), True
        self.scopes.add(scope, state)
        if kind == "llm_call":
            scope.admitted = self.scopes.take_admitted(scope, _admitted.get())
        if kind is not None:
            self._is_starting = True
            try:
                telling.start(scope, event, source, self.sinks, self.scopes)
            finally:
                self._is_starting = False
            if not any(recorder.is_open(scope.key) for recorder in scope.recorders):
                self.scopes.close(scope)  # it has ended, and was forgotten since
            relations.on_start(scope, event, state, self.scopes, partial(self._known, state=state))
        attempt(embeddings.on_source, scope, source)
        attempt(embeddings.on_start, scope, event, self.sinks)
        for waiting in self.scopes.take_early(scope.key, scope.call_id):
            if isinstance(waiting, Request):
                telling.request(scope, waiting)
            elif _is_end_of(waiting, scope):
                self._end(scope, waiting)
            elif (other := self._find_started(waiting, None, state)) is not None:
                self._end(other, waiting)
            else:
                self._put_early(waiting)
        self._end_by_identity(scope)
        return scope

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

    def _known(self, event_id: str, state: Any, source: Any = None) -> Scope | None:
        """Return a scope by its id; where its start waits to be handled, from the record that CrewAI itself keeps."""
        scope = self.scopes.by_key.get(event_id)
        if scope is None and state is not None:
            node = state.event_record.get(event_id)
            if node is not None and node.event.type.endswith("_started"):
                return self._begin(node.event, source if node.event.type == "llm_call_started" else None, state)
        return scope

    # Ending

    def _find_started(self, event: Any, source: Any, state: Any) -> Scope | None:
        type_, call_id = _EVENT_PAIRS.get(event.type), getattr(event, "call_id", None)
        if call_id is not None and call_id in self.scopes.calls:
            return self.scopes.calls[call_id]
        started = None if event.started_event_id is None else self._known(event.started_event_id, state, source)
        is_plausible = started is not None and type_ in (started.type, None)
        identity = _identity(event)
        if started is not None and is_plausible and (started.identity == identity or call_id is not None):
            return started
        found = self.scopes.find_open(type_ or "", identity) if call_id is None else None
        return found or (started if is_plausible else None)

    def _put_early(self, event: Any) -> None:
        """Keep an end whose start is not handled yet; where it names the start of something else, by what it is about.

        Models of a user's own may tell no id of the call.
        """
        key: EarlyKey | None = getattr(event, "call_id", None)
        if key is not None:
            waiting = self.scopes.early.get(key, (0.0, []))[1]
            if any(event.type == each.type for each in waiting if not isinstance(each, Request)):
                return  # a failed model call is told twice
        elif event.started_event_id is None or event.started_event_id in self.scopes.by_key:
            key = (_EVENT_PAIRS.get(event.type), _identity(event))
        else:
            key = event.started_event_id
        self.scopes.put_early(key, time.monotonic(), event)

    def _end_by_identity(self, scope: Scope) -> None:
        """End a scope by the first end about the same that was told after its start and names another one."""
        if not scope.is_open:
            return
        waiting = self.scopes.take_early((scope.type, scope.identity))
        later = [event for event in waiting if reading.at_us(event) >= scope.began_us]
        end = min(later, key=reading.at_us, default=None)
        for event in waiting:
            if event is not end:
                self._put_early(event)
        if end is not None:
            self._end(scope, end)

    def _end(self, scope: Scope, event: Any) -> None:
        is_call = scope.event_type == "llm_call"
        report = attempt(usage_part, event.usage) if is_call and event.type == "llm_call_completed" else None
        if scope.event_type is None or (not scope.is_open and report is None):
            return
        has_run_a_tool = is_call and reading.has_run_a_tool(event)
        scope.has_run_a_tool = scope.has_run_a_tool or has_run_a_tool
        if scope.has_run_a_tool:  # while this waits, the end behind it may be handled
            self._wait_for(lambda: scope.asked is not None)
        was_open = scope.is_open
        if not was_open and report is None:
            return
        refused, cut = self.scopes.refusals.pop(scope.key, None), self.scopes.cut.pop(scope.call_id or "", None)
        if report is not None and (scope.asked or scope.has_run_a_tool) and not (was_open and has_run_a_tool):
            report["is_partial"] = True  # Bedrock's class asks again with what the tool said, and tells the last alone
            if was_open:
                telling.end(scope, event, None)  # the tool's end, which says nothing of usage, is handled later
        telling.end(scope, event, report, refused=refused, cut=cut)
        attempt(embeddings.on_end, scope, event, self.sinks)
        self.scopes.close(scope)
        if reading.has_failed(event):
            relations.on_failure(scope, reading.at_us(event), self.scopes)

    def _sweep(self) -> None:
        """End what was left open where an execution is over: a cancelled task tells no end."""
        while self.scopes.gone:
            root = self.scopes.gone.popleft()
            was_stopped = root.is_open
            for scope in reversed((root.members or {}).values()):
                if scope.is_open:
                    telling.give_up(scope, is_lost=was_stopped or scope.event_type == "llm_call")
            self.scopes.forget_tree(root)


def _is_end_of(event: Any, scope: Scope) -> bool:
    return _EVENT_PAIRS.get(event.type) in (scope.type, None)


def _identity(event: Any) -> tuple[str | None, ...]:
    return attempt(reading.identity, event) or (None,) * 5


runs = Runs()


def current() -> str | None:
    """Return the key of the recorded run in which this is called, or None outside of any."""
    if threading.current_thread().name.startswith(_BUS_THREADS) or not runs.sinks:
        return None  # a handler runs in a copy of the context in which its own event is the innermost
    if _current_parent_id is None:
        return None
    return runs.key_of(_current_parent_id(), getattr(crewai_event_bus, "runtime_state", None))


def caller() -> Note | None:
    """Return what takes note of the requests of the model call in which this is called, or None outside of any.

    CrewAI hands the id of the call down in a context variable, whose public reader warns where there is none. A tool
    that CrewAI runs inside the call is no part of it.
    """
    call_id = _CALL_ID.get() if _CALL_ID is not None else None
    if call_id is None or not runs.sinks:
        return None
    innermost = None if _current_parent_id is None else _current_parent_id()
    if innermost is not None and runs.is_tool(innermost, getattr(crewai_event_bus, "runtime_state", None)):
        return None
    return partial(_requested, call_id)


def _requested(call_id: str, **request: Any) -> None:
    runs.requested(call_id, Request(**request))
