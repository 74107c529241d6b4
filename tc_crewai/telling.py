"""What the recorders are told of a scope: that it begins, what sent it, what went over the wire, how it ended."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from tc_core.adapter import Content, Report, Segment, attempt, deferred, tells_both
from tc_crewai import embeddings, reading
from tc_crewai.scopes import Scope, Scopes, Sinks
from tc_crewai.tracking import labels_of


class Request(NamedTuple):
    """An HTTP request of a model call."""

    retry: int
    status: int | None
    latency_us: int
    report: Report | None


def start(scope: Scope, event: Any, source: Any, sinks: Sinks, scopes: Scopes) -> None:
    """Tell that a run begins, to each recorder that does not know it."""
    above = None if scope.above is None else scope.above.recorded
    is_call = scope.event_type == "llm_call"
    content = partial(reading.prompt, copied(event.messages), copied(event.tools)) if is_call else None
    said = attempt(_labels, event, source, scopes) or {}
    own = labels_of(source if source is not None else getattr(event, "crew", None), event.type)
    for recorder, given in sinks.items():
        if recorder.record(scope.key) is None:
            recorder.start(
                scope.event_type or "",
                key=scope.key,
                event_id=None if scope.admitted is None else scope.admitted.ids.get(recorder),
                parent=None if above is None else above.key,
                name=attempt(reading.name, event, source),
                model=event.model if is_call and isinstance(event.model, str) else None,
                provider=_provider(scope, source),
                content=content,
                labels={**said, **own, **given},
                at_us=scope.began_us,
            )


def source_of(scope: Scope, source: Any) -> None:
    """Make good what could not be told of a scope that was known before its start was handled."""
    scope.is_source_known = True
    provider = _provider(scope, source)
    for recorder in scope.recorders:
        record = recorder.record(scope.key)
        if record is not None and record.provider is None:
            record.provider = provider
    attempt(embeddings.on_source, scope, source)
    waiting, scope.waiting = scope.waiting, []
    for each in waiting:
        attempt(each)


def request(scope: Scope, request: Request) -> None:
    """Tell of an HTTP request of a model call."""
    if request.status is not None and request.status < 400:
        scope.bodies.append(request.report)
    for recorder in scope.recorders:
        recorder.attempt(
            scope.key, retry=request.retry, status=request.status, latency_us=request.latency_us, report=request.report
        )


def end(
    scope: Scope,
    event: Any,
    report: Report | None,
    *,
    refused: str | None = None,
    cut: tuple[str, str] | None = None,
) -> None:
    """Tell that a run has ended, and what it answered or found where that is needed.

    A model call that does not say what it used is counted by that. `report` is what CrewAI has made of the provider's
    usage; where the answers to all requests were seen, these say more. A call that a part has `refused` is
    none; one whose stream was `cut` (with which type of error, and what had come) was closed early.
    """
    has_failed = reading.has_failed(event)
    if refused and has_failed:
        for recorder in scope.recorders:
            recorder.forget(scope.key)
        return
    if cut is not None and has_failed:
        error_type, said = cut
        output: Content | None = [Segment("assistant", "text", said)]
        for recorder in scope.recorders:
            at_us = reading.at_us(event)
            recorder.fail(scope.key, status="closed", error_type=error_type, output=output, at_us=at_us)
        return
    has_bodies = scope.is_open and bool(scope.bodies) and all(map(_is_told, scope.bodies))
    output = None if has_failed else _output(scope, event, is_needed=not (has_bodies or _is_told(report)))
    for recorder in scope.recorders:
        if getattr(event, "from_cache", False) is True:
            recorder.start("tool", key=scope.key, labels={"from_cache": True})
        recorder.finish(
            scope.key,
            status="error" if has_failed else "ok",
            error_type=attempt(reading.error_type, event) if has_failed else None,
            report=None if has_bodies else report,
            output=output,
            at_us=reading.at_us(event),
        )


def _is_told(report: Report | None) -> bool:
    return report is not None and tells_both(report)


def copied(said: Any) -> Any:
    """Return a list or a mapping as it is now: an agent adds to the same one, and the program may change it."""
    return said.copy() if type(said) in (list, dict) else said


def _output(scope: Scope, event: Any, *, is_needed: bool) -> Content | None:
    """Return what a run has answered or found; at once where that `is_needed`, else by reference if a part reads it."""
    keeps_texts = any(recorder.keeps_texts for recorder in scope.recorders)
    if scope.event_type == "llm_call" and (is_needed or keeps_texts):
        if scope.asked:
            return [Segment("assistant", "tool_call", scope.asked)]
        read, said = reading.answer, copied(event.response)
        return attempt(read, said) if is_needed else deferred(read, said)
    if scope.event_type in ("tool", "retrieval") and keeps_texts:
        brought = copied(reading.brought(event))
        return deferred(reading.tool_result if scope.event_type == "tool" else reading.passages, brought)
    return None


def give_up(scope: Scope, *, is_lost: bool) -> None:
    """Tell the end of a run of which CrewAI tells none; `is_lost` is one that was stopped."""
    for recorder in scope.recorders:
        if not recorder.is_open(scope.key):
            continue
        if is_lost:
            recorder.fail(scope.key, status="cancelled")
        else:
            recorder.finish(scope.key)


def _provider(scope: Scope, source: Any) -> str | None:
    return reading.asked_model(source)[1] if scope.event_type == "llm_call" else None


def _labels(event: Any, source: Any, scopes: Scopes) -> Mapping[str, object]:
    """Return the agent of an agent's run, and the type of a task."""
    if event.type == "task_started":
        return {"task_type": reading.task_type(event.task)}
    if event.type in ("agent_execution_started", "lite_agent_execution_started"):
        agent = reading.agent(event, source)
        key, roles = reading.agent_key(agent), scopes.roles
        if not isinstance(agent, Mapping) or key not in roles:
            scopes.learn_role(key, reading.role(agent))
        return {"agent_id": roles.get(key or "")}
    return {}
