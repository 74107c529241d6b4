"""Asking the parts about each model call before it is made, and stopping what one refuses, by a hook of CrewAI's.

CrewAI lets nothing through that a hook raises but its own `HookAborted`. So what is raised is both that, and of the
refusal's own type, which the program may catch.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import Any, cast

from crewai.hooks import register_before_llm_call_hook, unregister_before_llm_call_hook
from crewai.hooks.dispatch import HookAborted

from tc_core.adapter import Request, attempt, never_raises
from tc_crewai import host, reading
from tc_crewai.runs import current, runs

SOURCE = "token-calculator"
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


def aborted(refusal: Exception) -> HookAborted:
    """Return a refusal as an error that CrewAI lets through, and of the refusal's own type where that is possible."""
    kind = _kind(cast(Hashable, type(refusal)))
    if kind is None:
        return HookAborted(str(refusal), SOURCE)
    error: HookAborted = kind.__new__(kind, *refusal.args)
    error.__dict__.update(refusal.__dict__)
    error.reason, error.source = str(refusal), SOURCE
    return error


@lru_cache(maxsize=64)
def _kind(refusal: Any) -> type[HookAborted] | None:
    bases = (refusal,) if issubclass(refusal, HookAborted) else (HookAborted, refusal)
    try:
        return type(refusal.__name__, bases, {"__module__": refusal.__module__})
    except TypeError:  # two that are laid out differently
        return None


@never_raises
def _refusal(context: Any) -> Exception | None:
    model, provider = attempt(reading.asked_model, context.llm) or (None, None)
    content = partial(reading.prompt, list(context.messages or ()), None)
    most = attempt(reading.most_output_tokens, context.llm)
    above = current()
    for recorder, labels in runs.sinks.items():
        if not recorder.wants_to_admit:
            continue
        scope = recorder.scope_here(above, labels)
        request = Request(model, provider, scope=scope, content=content, most_output_tokens=most)
        refusal = recorder.admit(request).refusal
        if refusal is not None:
            _note(context, type(refusal).__name__, request)
            return refusal
    return None


def _note(context: Any, error_type: str, request: Request) -> None:
    """Note a refused call: CrewAI itself tells of one that no agent makes, but not why it failed."""
    if context.executor is None:
        runs.stopped(_current_parent_id(), error_type)
        return
    key = object()
    for recorder, labels in runs.sinks.items():
        recorder.start(
            request.event_type,
            key=key,
            model=request.model,
            provider=request.provider,
            content=request.content,
            labels=labels,
        )
        recorder.fail(key, error_type=error_type)
