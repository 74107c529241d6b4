"""Asking the parts about each model call before it is made, and stopping what one refuses, by a legacy callback.

Nothing that a handler of the newer instrumentation raises gets through to the program, while what a legacy one raises
does. It is installed only where a part wants to be asked, since those who make a `CallbackManager` find it in theirs.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from llama_index import core
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.settings import Settings
from llama_index_instrumentation.span import active_span_id

from tc_core.adapter import Content, Recorder, Request, attempt, never_raises
from tc_llamaindex import reading

_recorder: Recorder | None = None
"""Whose parts are asked; not an attribute of the handler, which is copied with a model that has it."""


class TokenCalculatorGuard(BaseCallbackHandler):
    """Asks about each model call that is recorded; raises what a part refuses one with."""

    def __init__(self) -> None:
        super().__init__([each for each in CBEventType if each is not CBEventType.LLM], list(CBEventType))

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Ask about a model call; the event of it came before, so that it is recorded already."""
        recorder = _recorder
        if event_type == CBEventType.LLM and recorder is not None and recorder.wants_to_admit:
            refusal = _refusal(recorder, payload or {})
            if refusal is not None:
                raise refusal
        return event_id

    def on_event_end(self, *_arguments: Any, **_more: Any) -> None:
        """Nothing: the instrumentation tells of ends."""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Nothing."""


_guard = TokenCalculatorGuard()


def install(recorder: Recorder) -> None:
    """Have the parts of a recorder asked about the calls of models that are made from now on.

    Where the program has a global handler of its own, that stays alone; `Settings.callback_manager` gets ours too.
    """
    global _recorder
    _recorder = recorder
    if core.global_handler is None:
        core.global_handler = _guard
    made = Settings._callback_manager  # the public way would make one where there is none
    if made is not None and _guard not in made.handlers:
        made.handlers.append(_guard)


def remove() -> None:
    """Ask about nothing any more; models that were made meanwhile keep a handler that does nothing."""
    global _recorder
    _recorder = None
    if core.global_handler is _guard:
        core.global_handler = None
    made = Settings._callback_manager
    if made is not None and _guard in made.handlers:
        made.handlers.remove(_guard)


@never_raises
def _refusal(recorder: Recorder, payload: Mapping[str, Any]) -> Exception | None:
    key = active_span_id.get()
    record = None if key is None or not recorder.is_open(key) else recorder.record(key)
    if record is None or record.event_type != "llm_call":  # a call that only carries out another one, or no call
        return None
    most = attempt(reading.most_output_tokens, payload)
    request = Request(
        record.model, record.provider, scope=record.scope, content=_content(payload), most_output_tokens=most
    )
    return recorder.admit(request).refusal


def _content(payload: Mapping[str, Any]) -> Content:
    messages, more = payload.get(EventPayload.MESSAGES), payload.get(EventPayload.ADDITIONAL_KWARGS) or {}
    if messages is None:
        return partial(reading.text, payload.get(EventPayload.PROMPT))
    return partial(reading.prompt, list(messages), more)
