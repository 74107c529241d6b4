"""Stopping what a part refuses, by a legacy callback: nothing else that we are called by gets through to the program.

It is put into the callback manager of each model when a call of it begins; where a model has none, LlamaIndex makes one
with the global handler, which is ours while nobody has another one. Who makes a `CallbackManager` finds it there too.
"""

from typing import Any

from llama_index import core
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.settings import Settings
from llama_index_instrumentation.span import active_span_id

from tc_llamaindex import refusals

_STOPPED = frozenset({CBEventType.LLM, CBEventType.EMBEDDING})


class TokenCalculatorGuard(BaseCallbackHandler):
    """Raises what a part has refused a call with, which then is not made."""

    def __init__(self) -> None:
        super().__init__([each for each in CBEventType if each not in _STOPPED], list(CBEventType))

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Stop a call that is refused: the instrumentation told of it right before."""
        refusal = refusals.take(active_span_id.get()) if event_type in _STOPPED else None
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


def guard(model: object) -> bool:
    """Put the guard into a model's callback manager, unless it is there; tell whether its calls can be stopped."""
    manager = getattr(model, "callback_manager", None)
    if not isinstance(manager, CallbackManager):
        return core.global_handler is _guard
    if not any(isinstance(each, TokenCalculatorGuard) for each in manager.handlers):
        manager.add_handler(_guard)
    return True


def install() -> None:
    """Have models that are made from now on be guarded from the start.

    Where the program has a global handler of its own, that stays alone; `Settings.callback_manager` gets ours too.
    """
    if core.global_handler is None:
        core.global_handler = _guard
    made = Settings._callback_manager  # the public way would make one where there is none
    if made is not None and _guard not in made.handlers:
        made.handlers.append(_guard)


def remove() -> None:
    """Guard nothing any more; models that have the guard keep it, and it does nothing."""
    if core.global_handler is _guard:
        core.global_handler = None
    made = Settings._callback_manager
    if made is not None and _guard in made.handlers:
        made.handlers.remove(_guard)
