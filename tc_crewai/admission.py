"""Asking the parts about each model call before it is made, and stopping what one refuses, by a hook of CrewAI's."""

from collections.abc import Callable
from functools import partial
from typing import Any

from crewai.hooks import register_before_llm_call_hook, unregister_before_llm_call_hook

from tc_core import AgentLoopError, BudgetExceededError
from tc_core.adapter import Followed, Recorder, Request, attempt, never_raises, new_id
from tc_crewai import compression, cutting, host, reading
from tc_crewai.admission_errors import aborted
from tc_crewai.runs import current, runs

_current_parent_id: Callable[[], str | None] = host.CURRENT.find(lambda: None)


def install() -> None:
    """Have CrewAI call our hook; an agent looks at the hooks once, when it runs for the first time."""
    unregister_before_llm_call_hook(before_call)
    register_before_llm_call_hook(before_call)


def remove() -> None:
    """Have CrewAI call our hook no more; that of an agent which has run does nothing from now on."""
    unregister_before_llm_call_hook(before_call)


def before_call(context: Any) -> None:
    """Ask the parts about a model call; raises what one refuses it with."""
    if not any(recorder.wants_to_admit for recorder in runs.sinks):
        return
    refusal = _refusal(context)
    if refusal is not None:
        raise aborted(refusal) from refusal


@never_raises
def _refusal(context: Any) -> Exception | None:
    event_id = _current_parent_id()
    tripped = runs.tripped(event_id)
    if tripped is not None:
        _note(context, event_id, tripped)
        return tripped
    model, provider = attempt(reading.asked_model, context.llm) or (None, None)
    content = partial(reading.prompt, list(context.messages or ()), None)
    most = attempt(reading.most_output_tokens, context.llm)
    admitted: dict[Recorder, bytes] = {}
    wanted: dict[Recorder, float] = {}
    for recorder, labels in runs.sinks.items():
        if not recorder.wants_to_admit:
            continue
        scope, root = recorder.place_here(current(), labels)
        id_ = admitted[recorder] = new_id()
        request = Request(
            model,
            provider,
            scope=scope,
            content=content,
            most_output_tokens=most,
            can_shorten=True,
            event_id=id_,
            root_id=root,
        )
        decision = recorder.admit(request)
        refusal = decision.refusal
        if refusal is not None:
            for other, before in admitted.items():
                other.withdraw(before)
            if isinstance(refusal, (BudgetExceededError, AgentLoopError)):
                runs.trip(event_id, refusal)
            _note(context, event_id, refusal)
            return refusal
        if decision.compress_at is not None:
            wanted[recorder] = decision.compress_at
    cutting.watch(admitted)  # before their ids change
    for recorder, at in wanted.items():
        if attempt(compression.shorten, context.messages, at, model):
            recorder.followed(admitted[recorder], Followed(is_shortened=True))
    runs.admitted(event_id if context.executor is None else None, _agent_id(context), admitted)
    return None


def _note(context: Any, event_id: str | None, refusal: Exception) -> None:
    """Note a refused call that CrewAI itself tells of: one that no agent makes. It is taken back, and no call."""
    if context.executor is None:
        runs.stopped(event_id, type(refusal).__name__)


def _agent_id(context: Any) -> str | None:
    found = getattr(context.agent, "id", None)
    return None if found is None else str(found)
