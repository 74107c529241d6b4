"""Runs that ask no model themselves: workflows, agents and their turns, steps, query engines, retrievers, tools."""

import weakref
from collections.abc import Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from tc_core.adapter import Content, Recorder, Status, attempt, deferred, status_of
from tc_llamaindex import kinds, reading
from tc_llamaindex.calls import Calls
from tc_llamaindex.spans import Span, tags_here

_AGENT_STEP = "run_agent_step"
_TOOL_STEP = "call_tool"
_HANDOFF = "handoff"
MOST_FAILED_STEPS = 100


class Runs:
    """The runs of one handler."""

    def __init__(self, recorder: Recorder, calls: Calls, labels: Mapping[str, object]) -> None:
        self._recorder = recorder
        self._calls = calls
        self._labels = labels

    def began(self, span: Span, arguments: Mapping[str, Any], instance: object, tags: Mapping[str, object]) -> None:
        """Note that a span begins: it is recorded where it is a run of its own."""
        run = span.run
        if run is not None:
            self._step_began(span, run, arguments)
        elif span.event_type is None:
            self._choose(span, instance)
        if span.event_type is None:
            return
        is_new = not self._recorder.is_open(span.key)
        self._start(span, span.parent, tags or tags_here())
        if is_new:
            self._relate(span)

    def ended(self, span: Span, result: object) -> None:
        """Note that a span has ended."""
        step_of = span.run
        if step_of is not None and span.method == _AGENT_STEP and span.last_call is not None:
            step_of.last_call = span.last_call
        if span.kind.name == "synthesizer" and isinstance(result, GeneratorType | AsyncGeneratorType):
            self._calls.spans.generates(result, span)
        if span.event_type is None:
            return
        found = attempt(reading.nodes, result) if span.event_type == "retrieval" else None
        self._end(span, "cancelled" if span.is_cancelled else "ok", None, found, self._texts(span, result))
        self._collect(span)

    def failed(self, span: Span, error: BaseException | None) -> None:
        """Note that a span has ended with an error."""
        if span.event_type is None:
            return
        status = "error" if error is None else status_of(error)
        self._end(span, status, None if error is None else type(error).__name__)

    # Beginning

    def _choose(self, span: Span, instance: object) -> None:
        """Decide what a span is recorded as; a method behind a method of the same object is nothing."""
        type_, above = kinds.event_type(span.kind.name, span.method), span.parent
        if type_ is None or (above is not None and above.kind is span.kind and above.owner == span.owner):
            return
        span.name = span.kind.class_name
        if type_ == "tool":
            span.name = attempt(_tool_name, instance) or span.name
        elif type_ == "agent":
            span.name = attempt(_agent_name, instance) or span.name
        span.event_type, span.recorded = type_, span

    def _step_began(self, step: Span, run: Span, arguments: Mapping[str, Any]) -> None:
        """Note that a step of a workflow begins: an agent's are not shown, but whose turn it is."""
        if run.kind.name == "agents":
            if step.method == _AGENT_STEP:
                self._turn(run, attempt(_agent_of_step, arguments))
            step.recorded = run.agent or run.recorded
        elif run.kind.name == "workflow" and step.event_type is None:
            step.event_type, step.name, step.recorded = "task", step.method, step
            self._retry(step, run, arguments)

    def _turn(self, run: Span, name: str | None) -> None:
        """Note which agent of several goes on: another one's turn begins where the last one's ends."""
        turn = run.agent
        if turn is None or turn.name != name:
            if turn is not None:
                self._end(turn, "ok", None)
            run.turns += 1
            handoff, run.last_handoff = run.last_handoff, None
            turn = Span(f"{run.key}/{run.turns}", run, event_type="agent", name=name)
            run.agent = turn.recorded = turn
            self._start(turn, run.recorded, {})
            if handoff is not None:
                self._calls.link(turn.key, "triggered_by", handoff)
        else:
            self._start(turn, run.recorded, {})

    def _retry(self, step: Span, run: Span, arguments: Mapping[str, Any]) -> None:
        """Find the failed step that a step tries again: it is given the same event."""
        for given in arguments.values():
            reference, failed = (run.failed_steps or {}).pop(id(given), (None, None))
            if reference is not None and failed is not None and reference() is given and failed.method == step.method:
                step.again, step.repeats = failed.key, failed.failed_call
            if kinds.kind_of(type(given)).name == "event":
                step.given = weakref.ref(given)

    def _start(self, span: Span, above: Span | None, tags: Mapping[str, object]) -> None:
        labels = self._labels
        if not self._recorder.is_open(span.key):
            said = {"session_id": attempt(reading.session, tags)}
            if span.event_type == "agent":
                said["agent_id"] = span.name
            labels = {**said, **labels}
        self._recorder.start(
            span.event_type or "task",
            key=span.key,
            parent=None if above is None else above.key,
            name=span.name,
            labels=labels,
        )

    def _relate(self, span: Span) -> None:
        """Relate a run that begins to what led to it."""
        step = span.step
        if span.again is not None:
            self._calls.link(span.key, "retry_of", span.again)
        if span.event_type == "tool" and step is not None and step.method == _TOOL_STEP and step.run is not None:
            if step.run.last_call is not None:
                self._calls.link(span.key, "triggered_by", step.run.last_call)
            if span.name == _HANDOFF:
                step.run.last_handoff = span.key
        collector = span.collector()
        if collector is None:
            return
        if span.kind.name == "synthesizer":
            span.sources = list(collector.sources)
        elif span.kind.name == "reranker":
            for source in collector.sources:
                self._calls.link(span.key, "derived_from", source)
            collector.sources.clear()

    # Ending

    def _end(
        self,
        span: Span,
        status: Status,
        error_type: str | None,
        metadata: Mapping[str, Any] | None = None,
        output: Content | None = None,
    ) -> None:
        turn, span.agent = span.agent, None
        if turn is not None:
            self._end(turn, status, error_type)
        if self._recorder.is_open(span.key):
            self._recorder.finish(span.key, status=status, error_type=error_type, output=output, metadata=metadata)
        run = span.run
        if status == "error" and run is not None and span.given is not None:
            failed = run.failed_steps = run.failed_steps or {}
            failed[id(span.given())] = span.given, span
            while len(failed) > MOST_FAILED_STEPS:
                del failed[next(iter(failed))]

    def _texts(self, span: Span, result: Any) -> Content | None:
        """Return what a tool has said or what was found, by reference, where a part reads it."""
        if not self._recorder.keeps_texts or span.event_type not in ("tool", "retrieval"):
            return None
        if type(result) in (list, dict):
            result = result.copy()  # the program gets the same one, and may change it
        return deferred(reading.tool_result if span.event_type == "tool" else reading.passages, result)

    def _collect(self, span: Span) -> None:
        """Note for what comes after it what a retriever has found, or an inner query engine has said."""
        if span.event_type == "retrieval" or span.kind.name == "query_engine":
            collector = span.collector()
            if collector is not None:
                collector.add_source(span.key)


def _tool_name(tool: Any) -> str | None:
    return reading.name(tool.metadata.name)


def _agent_name(agent: Any) -> str | None:
    return reading.name(agent.name)


def _agent_of_step(arguments: Mapping[str, Any]) -> str | None:
    return reading.name(getattr(arguments.get("ev"), "current_agent_name", None))
