"""Calls that the parts refuse: asked about when LlamaIndex tells that one begins, and stopped by the guard right after.

The guard imports all of LlamaIndex, so this module does only where a part wants to be asked.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from tc_core.adapter import Content, Recorder, Request, admitted_in_time, attempt, may_pass
from tc_llamaindex import host, reading
from tc_llamaindex.spans import Span

GUARD = "tc_llamaindex.admission"
PATIENCE = "tc_llamaindex.patience"
MOST_REFUSED = 1_000

T = TypeVar("T")

_refused: OrderedDict[str, Exception] = OrderedDict()
_waiting: OrderedDict[str, tuple[Recorder, Request, Callable[[], object]]] = OrderedDict()
"""Calls whose refusal was put off, by their spans."""


def can_stop() -> bool:
    """Tell whether LlamaIndex is imported whole, and has what a call is stopped by."""
    return hasattr(sys.modules.get("llama_index.core"), "global_handler") and all(
        each.find() for each in host.ADMISSION
    )


def guard(model: object) -> bool:
    """Have the calls of a model be stopped where they are refused, also of one made before; tell whether they are."""
    return bool(import_module(GUARD).guard(model))


def teach_patience(model: object) -> bool:
    """Have the calls of a model that are awaited wait for room; tell whether those that are made here do."""
    return host.RATE_LIMITER.find() is not None and bool(import_module(PATIENCE).teach(model))


def is_refused(
    recorder: Recorder,
    span: Span,
    event: Any,
    content: Content,
    labels: Mapping[str, object],
    event_id: bytes,
    event_type: str = "llm_call",
    start: Callable[[], object] | None = None,
) -> bool:
    """Ask the parts about a call before it is an event; a refusal waits for the guard.

    Where only calls under way leave no room, it may be put off: then `start` notes that the call begins after all.
    """
    if span.key in _refused or span.key in _waiting:  # asked about by another handler
        return True
    if not recorder.wants_to_admit:
        return False
    above = span.parent
    scope, root = recorder.place_here(None if above is None else above.key, labels)
    request = Request(
        attempt(reading.model_name, event.model_dict),
        span.provider,
        event_type,
        scope,
        content,
        attempt(
            reading.most_output_tokens,
            {"additional_kwargs": getattr(event, "additional_kwargs", None), "serialized": event.model_dict},
        ),
        event_id=event_id,
        root_id=root,
    )
    refusal = recorder.admit(request).refusal
    if refusal is None:
        return False
    if span.is_patient and start is not None and may_pass(refusal):
        _put(_waiting, span.key, (recorder, request, start))
        return True
    _put(_refused, span.key, refusal)
    return True


async def wait(key: str | None) -> None:
    """Wait for room for the call of a span, where its refusal was put off; raises that where none comes."""
    found = None if key is None else _waiting.pop(key, None)
    if found is None:
        return
    recorder, request, start = found
    decision = await admitted_in_time(recorder, request)
    if decision.refusal is not None:
        raise decision.refusal
    start()


def take(key: str | None) -> Exception | None:
    """Return what the call of a span is refused with, once."""
    return None if key is None else _refused.pop(key, None)


def _put(table: "OrderedDict[str, T]", key: str, value: T) -> None:
    table[key] = value
    if len(table) > MOST_REFUSED:
        table.popitem(last=False)
