"""Calls that the parts refuse: asked about when LlamaIndex tells that one begins, and stopped by the guard right after.

The guard imports all of LlamaIndex, so this module does only where a part wants to be asked.
"""

import sys
from collections import OrderedDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tc_core.adapter import Content, Recorder, Request, attempt
from tc_llamaindex import host, reading
from tc_llamaindex.spans import Span

GUARD = "tc_llamaindex.admission"
MOST_REFUSED = 1_000

_refused: OrderedDict[str, Exception] = OrderedDict()


def can_stop() -> bool:
    """Tell whether LlamaIndex is imported whole, and has what a call is stopped by."""
    return hasattr(sys.modules.get("llama_index.core"), "global_handler") and all(
        each.find() for each in host.ADMISSION
    )


def guard(model: object) -> bool:
    """Have the calls of a model be stopped where they are refused, also of one made before; tell whether they are."""
    return bool(import_module(GUARD).guard(model))


def is_refused(
    recorder: Recorder,
    span: Span,
    event: Any,
    content: Content,
    labels: Mapping[str, object],
    event_id: bytes,
    event_type: str = "llm_call",
) -> bool:
    """Ask the parts about a call before it is an event; a refusal waits for the guard."""
    if span.key in _refused:  # asked about by another handler
        return True
    if not recorder.wants_to_admit:
        return False
    above = span.parent
    scope, root = recorder.place_here(None if above is None else above.key, labels)
    request = Request(
        attempt(reading.model_name, event.model_dict),
        span.kind.provider,
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
    _refused[span.key] = refusal
    if len(_refused) > MOST_REFUSED:
        _refused.popitem(last=False)
    return True


def take(key: str | None) -> Exception | None:
    """Return what the call of a span is refused with, once."""
    return None if key is None else _refused.pop(key, None)
