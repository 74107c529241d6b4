"""What repeats, checks or follows what: relations between runs, from the order of CrewAI's events."""

from bisect import insort
from collections.abc import Callable, Iterable
from typing import Any

from tc_core.adapter import Relation, attempt
from tc_crewai.history import Call, History, last_before
from tc_crewai.scopes import Scope, Scopes

REPEATED_WITHIN_US = 60_000_000
"""How long after a failure outside of any run the same request counts as the same call tried again."""

Known = Callable[[str], Scope | None]
"""Returns a scope by its id, also when its start is not handled yet."""


def on_start(scope: Scope, event: Any, state: Any, scopes: Scopes, known: Known) -> None:
    """Relate a run that begins to what went before."""
    if scope.event_type == "llm_call":
        attempt(_on_call, scope, event, scopes)
    elif scope.type == "agent_execution_started":
        _on_agent(scope)
    elif scope.type == "method_execution_started" and event.triggered_by_event_id is not None:
        before = attempt(_step_that_ended, event.triggered_by_event_id, state)
        if before is not None and known(before) is not None:
            _link(scope.key, "triggered_by", before, scope)
    elif scope.type == "tool_usage_started" and scope.above is not None and scope.above.event_type == "llm_call":
        scope.above.asked = [event.tool_name, event.tool_args]


def on_failure(scope: Scope, at_us: int, scopes: Scopes) -> None:
    """Remember a model call that has failed, which a later one may repeat."""
    if scope.event_type != "llm_call" or scope.request is None:
        return
    above = None if scope.above is None else scope.above.recorded
    if above is None:
        scopes.remember_failed(scope.request, scope.key, at_us)
    else:
        history = _history(above)
        history.fail(scope.key, at_us)
        _link_all("retry_of", history.retries(), above)


def refused(scope: Scope | None, at_us: int) -> None:
    """Note that a guardrail has refused the answer of a run, which will be asked again."""
    recorded = None if scope is None else scope.recorded
    if recorded is not None:
        history = _history(recorded)
        history.refuse(at_us)
        _link_all("retry_of", history.retries(), recorded)


def _on_call(scope: Scope, event: Any, scopes: Scopes) -> None:
    messages = event.messages
    texts = [messages] if isinstance(messages, str) else [str(each.get("content")) for each in messages or ()]
    scope.request = (event.model, type(messages), hash(tuple(texts)))  # others may ask something as long meanwhile
    call = Call(scope.key, scope.began_us, scope.request)
    above = None if scope.above is None else scope.above.recorded
    if above is None:
        key, failed_us = scopes.failed.pop(scope.request, (None, 0))
        if key is not None and 0 <= call.began_us - failed_us < REPEATED_WITHIN_US:
            _link(call.key, "retry_of", key, scope)
        return
    guardrail = None if scope.above is None else scope.above.within("llm_guardrail_started")
    history = _history(above)
    history.add(call)
    _link_all("retry_of", history.retries(), scope)
    if guardrail is not None:
        _check(call, guardrail, scope)
    else:
        _answer(call, above)


def _check(call: Call, guardrail: Scope, scope: Scope) -> None:
    """Relate the call of a guardrail to the one whose answer it checks, in the nearest run that has any."""
    checked = nearest = None if guardrail.above is None else guardrail.above.recorded
    while checked is not None:
        answer = None if checked.history is None else last_before(checked.history.answers, call.began_us)
        if answer is not None:
            _link(call.key, "validation_of", answer.key, scope)
            return
        checked = None if checked.above is None else checked.above.recorded
    if nearest is not None:
        _history(nearest).await_answer(call)


def _answer(call: Call, above: Scope) -> None:
    """Note a model call of an agent's run, and of the task above it: what a guardrail will check."""
    task = above.above.recorded if above.type == "agent_execution_started" and above.above is not None else None
    for scope in (above, task):
        if scope is not None:
            _link_all("validation_of", _history(scope).answer(call), scope)


def _on_agent(scope: Scope) -> None:
    """A second run of an agent directly under a task is a retry: after an error, or after a guardrail's refusal."""
    task = None if scope.above is None else scope.above.recorded
    agent = scope.identity[1]
    if task is None or task.type != "task_started" or agent is None:
        return
    runs = task.agents.setdefault(agent, [])
    insort(runs, scope, key=lambda each: each.began_us)
    place = runs.index(scope)
    if place > 0:
        _link(scope.key, "retry_of", runs[place - 1].key, scope)
    elif len(runs) > 1:  # handled after the one that repeats it
        _link(runs[1].key, "retry_of", scope.key, scope)


def _history(scope: Scope) -> History:
    if scope.history is None:
        scope.history = History()
    return scope.history


def _step_that_ended(event_id: str, state: Any) -> str | None:
    """Return the key of the step that an event ended, from the record that CrewAI itself keeps."""
    node = None if state is None else state.event_record.get(event_id)
    found: str | None = None if node is None else node.event.started_event_id
    return found


def _link_all(relation: Relation, pairs: Iterable[tuple[str, str]], scope: Scope) -> None:
    for source, target in pairs:
        _link(source, relation, target, scope)


def _link(source: str, relation: Relation, target: str, scope: Scope) -> None:
    """Relate two runs in every store that knows both; `scope` is one of these runs, or one that holds them."""
    for recorder in scope.recorders:
        if recorder.record(source) is not None and recorder.record(target) is not None:
            recorder.link(source, relation, target)
