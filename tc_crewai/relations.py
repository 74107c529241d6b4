"""What repeats, checks or follows what: relations between runs, from the order of CrewAI's events."""

from typing import Any

from tc_core.adapter import attempt
from tc_core.model.provenance import Relation
from tc_crewai.reading import at_us
from tc_crewai.scopes import Scope, Scopes

REPEATED_WITHIN_US = 60_000_000
"""How long after a failure outside of any run the same request counts as the same call tried again."""


def on_start(scope: Scope, event: Any, state: Any, scopes: Scopes) -> None:
    """Relate a run that begins to what went before."""
    if scope.event_type == "llm_call":
        attempt(_on_call, scope, event, scopes)
    elif scope.type == "agent_execution_started":
        _on_agent(scope)
    elif scope.type == "method_execution_started" and event.triggered_by_event_id is not None:
        before = attempt(_step_that_ended, event.triggered_by_event_id, state)
        if before is not None:
            _link(scope, "triggered_by", before)
    elif scope.type == "tool_usage_started" and scope.above is not None and scope.above.event_type == "llm_call":
        scope.above.asked = [event.tool_name, event.tool_args]


def on_end(scope: Scope, at_us: int, scopes: Scopes) -> None:
    """Remember what has failed, which a later run may repeat."""
    if scope.event_type != "llm_call" or scope.request is None:
        return
    above = None if scope.above is None else scope.above.recorded
    if above is not None:
        above.failed = (scope.key, scope.request)
    else:
        scopes.remember_failed(scope.request, scope.key, at_us)


def refused(scope: Scope | None) -> None:
    """Note that a guardrail has refused the answer of a run, which will be asked again."""
    recorded = None if scope is None else scope.recorded
    if recorded is not None:
        recorded.refused = recorded.last_call


def _on_call(scope: Scope, event: Any, scopes: Scopes) -> None:
    messages = event.messages
    size = len(messages) if isinstance(messages, str) else sum(len(str(each.get("content"))) for each in messages or ())
    scope.request = (event.model, type(messages), len(messages or ()), size)
    above = None if scope.above is None else scope.above.recorded
    if above is None:
        key, failed_us = scopes.failed.pop(scope.request, (None, 0))
        if key is not None and 0 <= at_us(event) - failed_us < REPEATED_WITHIN_US:
            _link(scope, "retry_of", key)
        return
    guardrail = None if scope.above is None else scope.above.within("llm_guardrail_started")
    failed, above.failed = above.failed, None
    if failed is not None and failed[1] == scope.request:
        _link(scope, "retry_of", failed[0])
    elif above.refused is not None:
        _link(scope, "retry_of", above.refused)
        above.refused = None
    if guardrail is not None:
        checked = None if guardrail.above is None else guardrail.above.recorded
        while checked is not None and checked.last_call is None:
            checked = None if checked.above is None else checked.above.recorded
        if checked is not None and checked.last_call is not None:
            _link(scope, "validation_of", checked.last_call)
    else:
        _remember(above, scope.key)


def _remember(above: Scope, key: str) -> None:
    """Note the last model call of an agent's run, and of the task above it: what a guardrail will check."""
    above.last_call = key
    if above.type == "agent_execution_started" and above.above is not None:
        task = above.above.recorded
        if task is not None:
            task.last_call = key


def _on_agent(scope: Scope) -> None:
    """A second run of an agent directly under a task is a retry: after an error, or after a guardrail's refusal."""
    task = None if scope.above is None else scope.above.recorded
    agent = scope.identity[1]
    if task is None or task.type != "task_started" or agent is None:
        return
    before = task.agents.get(agent)
    if before is not None:
        _link(scope, "retry_of", before)
    task.agents[agent] = scope.key


def _step_that_ended(event_id: str, state: Any) -> str | None:
    """Return the key of the step that an event ended, from the record that CrewAI itself keeps."""
    node = None if state is None else state.event_record.get(event_id)
    found: str | None = None if node is None else node.event.started_event_id
    return found


def _link(scope: Scope, relation: Relation, target: str) -> None:
    for recorder in scope.recorders:
        if recorder.record(target) is not None:
            recorder.link(scope.key, relation, target)
