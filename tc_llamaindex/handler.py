"""The handler: LlamaIndex's events and spans, passed on to where they are understood."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from tc_core import CostTracker
from tc_core.adapter import Destination, attempt, label_texts, never_raises, register
from tc_llamaindex import reading, refusals
from tc_llamaindex.calls import Calls
from tc_llamaindex.embeddings import Embeddings
from tc_llamaindex.runs import Runs
from tc_llamaindex.spans import Span, Spans, current
from tc_llamaindex.streams import Streams
from tc_llamaindex.structured import StructuredPredictions

if TYPE_CHECKING:
    from llama_index_instrumentation.base import BaseEvent
    from llama_index_instrumentation.dispatcher import Dispatcher

Arguments = inspect.BoundArguments


class TokenCalculatorHandler(BaseEventHandler, BaseSpanHandler[BaseSpan]):
    """Records what LlamaIndex does while it is attached to a dispatcher, as a handler of events and of spans.

    >>> handler = TokenCalculatorHandler(agent_id="rag", environment="production").attach()

    `tracker` says where to; without one the default store is used. `default_labels` are laid over every event; names of
    dimensions (`agent_id`, `environment`, ...) fill these. Together with `instrument()` each run counts once.
    """

    if TYPE_CHECKING:  # pydantic would look private attributes up in 7 us each, and every hook reads some
        _tracker: CostTracker | None
        _default_labels: Mapping[str, object]
        _destination: Destination
        _spans: Spans
        _calls: Calls
        _embeddings: Embeddings
        _runs: Runs
        _structured: StructuredPredictions
        _hooks: dict[str, Callable[[Any], None]]

    def __init__(self, tracker: CostTracker | None = None, **default_labels: object) -> None:
        BaseSpanHandler.__init__(self)
        self._destination = Destination(None if tracker is None else tracker.storage)
        recorder = self._destination.recorder
        self._tracker, self._default_labels = tracker, (labels := label_texts(default_labels))
        self._spans = Spans.of(recorder)
        self._calls = Calls(recorder, self._spans, labels)
        self._embeddings = Embeddings(recorder, self._spans, labels)
        self._runs = Runs(recorder, self._calls, labels)
        self._structured = StructuredPredictions(recorder, self._spans, self._calls, labels)
        self._hooks = {
            "LLMChatStartEvent": self._chat_began,
            "LLMChatInProgressEvent": self._calls.piece,
            "LLMChatEndEvent": self._calls.answered,
            "LLMCompletionStartEvent": self._completion_began,
            "LLMCompletionInProgressEvent": self._calls.piece,
            "LLMCompletionEndEvent": self._calls.answered,
            "EmbeddingStartEvent": self._embeddings.began,
            "EmbeddingEndEvent": self._embeddings.ended,
            "ExceptionEvent": self._stream_failed,
            "SpanCancelledEvent": self._cancelled,
            "SpanDropEvent": self._dropped_unseen,
        }
        register("llamaindex", current, catch_up=Streams.catch_up)

    __eq__ = object.__eq__  # two handlers of the same store are not the same handler, as pydantic would have it
    __hash__ = object.__hash__

    def __copy__(self) -> "TokenCalculatorHandler":
        """Return another handler that records into the same store; it is attached to nothing."""
        return _again(type(self), self._destination, dict(self._default_labels))

    def __deepcopy__(self, _memo: Any = None) -> "TokenCalculatorHandler":
        return _again(type(self), self._destination, dict(self._default_labels))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._destination, dict(self._default_labels))

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex knows handlers by."""
        return "TokenCalculatorHandler"

    @property
    def tracker(self) -> CostTracker | None:
        """Where it records to; None is the default store."""
        return self._tracker

    @property
    def default_labels(self) -> Mapping[str, object]:
        """What is laid over every event."""
        return self._default_labels

    def attach(self, dispatcher: "Dispatcher | None" = None) -> "TokenCalculatorHandler":
        """Have everything told that passes a dispatcher, which is all there is with the root one; return itself."""
        self.detach(dispatcher)
        dispatcher = dispatcher or get_dispatcher()
        dispatcher.add_event_handler(self)
        dispatcher.add_span_handler(self)
        return self

    def detach(self, dispatcher: "Dispatcher | None" = None) -> None:
        """Be told nothing more."""
        dispatcher = dispatcher or get_dispatcher()
        # New lists, since another thread may be going through the old ones.
        dispatcher.event_handlers = [each for each in dispatcher.event_handlers if each is not self]
        dispatcher.span_handlers = [each for each in dispatcher.span_handlers if each is not self]

    # Events

    @never_raises
    def handle(self, event: "BaseEvent", **_kwargs: Any) -> None:
        """Note what an event says."""
        hook = self._hooks.get(event.class_name())
        if hook is not None:
            hook(event)

    def _chat_began(self, event: Any) -> None:
        self._calls.began(event, partial(reading.prompt, list(event.messages), event.additional_kwargs))

    def _completion_began(self, event: Any) -> None:
        self._calls.began(event, partial(reading.text, event.prompt))

    def _stream_failed(self, event: Any) -> None:
        if event.span_id is not None:
            self._calls.failed(event.span_id, event.exception, self._spans.find(event.span_id))

    def _cancelled(self, event: Any) -> None:
        span = self._spans.find(event.span_id)
        if span is not None:
            span.is_cancelled = True

    def _dropped_unseen(self, event: Any) -> None:
        """End a call whose span we were not told of; else its drop follows, and says what went wrong."""
        if event.span_id is not None and self._spans.find(event.span_id) is None:
            self._embeddings.open.pop(event.span_id, None)
            self._calls.failed(event.span_id, None, None)

    # Spans. None is kept by LlamaIndex's own table, since none is returned.

    @never_raises
    def new_span(
        self,
        id_: str,
        bound_args: Arguments,
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **_kwargs: Any,
    ) -> BaseSpan | None:
        """Note that a span begins."""
        span = self._spans.open.get(id_) or self._spans.enter(id_, parent_span_id, instance)
        if span.kind.name in ("llm", "embedding") and self._wants_to_admit and not span.is_guarded:
            span.is_guarded = bool(attempt(refusals.guard, instance))
            span.is_patient = (
                span.kind.name == "llm"
                and inspect.iscoroutinefunction(getattr(instance, span.method, None))
                and bool(attempt(refusals.teach_patience, instance))
            )
            span.texts = (
                attempt(reading.texts_to_embed, bound_args.arguments) if span.kind.name == "embedding" else None
            )
        if span.kind.name == "llm":
            span.asked = id(_asked(bound_args.arguments))
            if span.method in span.kind.asks_itself:
                self._structured.began(span, bound_args.arguments, instance, tags or {})
        elif span.kind.name != "embedding":
            self._runs.began(span, bound_args.arguments, instance, tags or {})
        return None

    @never_raises
    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: Arguments,
        instance: Any | None = None,
        result: Any | None = None,
        **_kwargs: Any,
    ) -> BaseSpan | None:
        """Note that a span has ended."""
        span = self._spans.open.get(id_)
        if span is not None:
            try:
                self._exited(span, result)
            finally:
                self._spans.exit(id_)
        return None

    @never_raises
    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: Arguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **_kwargs: Any,
    ) -> BaseSpan | None:
        """Note that a span has ended with an error."""
        span = self._spans.open.get(id_)
        if span is not None:
            try:
                self._dropped(span, err)
            finally:
                self._spans.exit(id_)
        return None

    @property
    def _wants_to_admit(self) -> bool:
        return self._destination.recorder.wants_to_admit and refusals.can_stop()

    def _exited(self, span: Span, result: Any) -> None:
        if span.is_asking_itself:
            self._structured.left(span, result)
        elif span.kind.name == "llm":
            self._calls.left(span, result)
        elif span.kind.name == "embedding":
            self._embeddings.left(span, None)
        else:
            self._runs.ended(span, result)

    def _dropped(self, span: Span, error: BaseException | None) -> None:
        if span.kind.name == "llm":
            self._calls.failed(span.key, error, span)
        elif span.kind.name == "embedding":
            self._embeddings.left(span, error or RuntimeError())
        else:
            self._runs.failed(span, error)


def _again(
    kind: type[TokenCalculatorHandler], destination: Destination, labels: Mapping[str, object]
) -> TokenCalculatorHandler:
    return kind(CostTracker(destination.storage), **labels)


def _asked(arguments: Mapping[str, Any]) -> object:
    """Return what a model is asked: messages, or the text of a prompt."""
    positional = arguments.get("args") or (None,)
    return arguments.get("messages") or arguments.get("prompt") or positional[0]
