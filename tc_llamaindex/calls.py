"""Calls of language models: what LlamaIndex's events of chats and completions say to the recorder.

Only these are counted. `predict`, `structured_predict` and the like ask for a chat or a completion, which tells of
itself; and models that answer a chat by a completion of their own tell of one request twice.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tc_core.adapter import (
    Content,
    Recorder,
    Relation,
    Status,
    attempt,
    deferred,
    never_raises,
    new_id,
    requesting,
    status_of,
)
from tc_llamaindex import reading, refusals
from tc_llamaindex.spans import Span, Spans
from tc_llamaindex.streams import Streams

RunKey = str


class Calls:
    """The model calls of one handler."""

    def __init__(self, recorder: Recorder, spans: Spans, labels: Mapping[str, object]) -> None:
        self._recorder = recorder
        self.spans = spans
        self._labels = labels
        self.streams = Streams.of(recorder)

    # Chats and completions

    def began(self, event: Any, content: Content) -> None:
        """Note that a model is asked."""
        key, model = event.span_id, event.model_dict
        if key is None or model.get("class_name") == reading.STRUCTURED:
            return
        span = self.spans.find(key)
        if span is not None and span.event_type is None and self._is_told_already(span, event):
            span.is_silent = True
        if span is not None and span.is_silent:
            return
        is_new = not self._recorder.is_open(key)
        event_id = None
        if is_new and span is not None and span.is_guarded:
            event_id = new_id()
            start = partial(self._start, span, event, content, event_id, is_new=True)
            if refusals.is_refused(self._recorder, span, event, content, self._labels, event_id, start=start):
                return
        self._start(span, event, content, event_id, is_new=is_new)

    @never_raises
    def _start(self, span: Span | None, event: Any, content: Content, event_id: bytes | None, *, is_new: bool) -> None:
        start_call(self._recorder, "llm_call", span, event, content, self._labels, event_id)
        if is_new and span is not None:
            self.relate(span)
            span.event_type, span.recorded = "llm_call", span

    def piece(self, event: Any) -> None:
        """Note a piece of a stream."""
        key, recorder = event.span_id, self._recorder
        if recorder.is_open(key) and self.streams.piece(key, event.response) and recorder.cuts_streams:
            self._weigh(key, event.response)

    def _weigh(self, key: RunKey, response: Any) -> None:
        """Show a piece to what watches its stream; what that is cut with is raised by the client that reads it."""
        record = self._recorder.record(key)
        meter = None if record is None or self._recorder.cut_of(key) else self._recorder.meter(record.id)
        cut = None if meter is None else attempt(meter.piece, attempt(reading.characters, response) or 0)
        if cut is not None:
            self._recorder.cut(key, cut)

    def answered(self, event: Any) -> None:
        """Note that a model has answered."""
        key, response = event.span_id, event.response
        stream = self.streams.end(key)
        if self._recorder.record(key) is None:
            return
        said = attempt(reading.said, response) or reading.NOTHING_SAID
        deltas, report = ((), said.report) if stream is None else (stream.deltas, stream.joined(said.report))
        self._recorder.finish(
            key,
            report=report,
            model=said.model,
            output=deferred(reading.answer, response, deltas),
            service_tier=said.service_tier,
        )

    def failed(self, key: RunKey, error: BaseException | None, span: Span | None) -> None:
        """Note that a model call has ended with an error."""
        stream = self.streams.end(key)
        if not self._recorder.is_open(key):
            return
        is_cut = error is not None and error is self._recorder.cut_of(key)
        status: Status = "closed" if is_cut else "error" if error is None else status_of(error)
        last = stream.last if stream is not None else None
        said = attempt(reading.said, last) or reading.NOTHING_SAID
        report = attempt(reading.of_error, error)
        if report is None and stream is not None and not is_cut:  # most providers count an answer at its end alone
            report = stream.joined(said.report)
        output = attempt(reading.answer, last, stream.deltas) if stream is not None else None
        self._recorder.fail(
            key,
            status=status,
            error_type=None if error is None else type(error).__name__,
            report=report,
            model=said.model,
            output=output,
        )
        if status == "error" and span is not None and span.step is not None:
            span.step.failed_call = key

    def left(self, span: Span, result: object) -> None:
        """Note that a model's method has returned: with an answer that was told, or with a stream."""
        if span.event_type is None or not self._recorder.is_open(span.key):
            return
        stream = self.streams.watch(span.key, result, self._collected)
        if stream is None:
            self._recorder.finish(span.key)
        else:
            stream.owner, stream.method, stream.asked = span.owner, span.method, span.asked

    def _collected(self, key: RunKey) -> None:
        """Note that a stream was thrown away; one that nobody began to read has sent nothing."""
        stream = self.streams.open.get(key)
        if stream is not None and stream.last is not None:
            self.failed(key, GeneratorExit(), None)
        elif self._recorder.is_open(key):
            self.streams.end(key)
            self._recorder.fail(key, status="abandoned")

    def _is_told_already(self, span: Span, event: Any) -> bool:
        """Tell whether a call is inside one of the same model, which it only carries out."""
        outer = span.parent
        if span.above is not None and span.above.is_silent:
            return True
        if outer is not None and outer.event_type == "llm_call" and outer.owner == span.owner != 0:
            return not outer.is_asking_itself  # one that asks by a chat after all: the chat is the call
        if not span.kind.is_built_on_completions:
            return False
        return self.streams.is_untouched_twin(span.owner, span.method, span.asked)

    def relate(self, span: Span) -> None:
        """Relate a model call to what it is made from, what it betters and what it tries again."""
        key, above, step = span.key, span.parent, span.step
        if above is not None and above.kind.name == "synthesizer":
            for source in above.sources:
                self.link(key, "derived_from", source)
            if above.kind.is_refining and above.last_call is not None:
                self.link(key, "enhancement_of", above.last_call)
            above.last_call = key
        if step is not None:
            step.last_call = key
            repeated, step.repeats = step.repeats, None
            if repeated is not None:
                self.link(key, "retry_of", repeated)

    def link(self, source: RunKey, relation: Relation, target: RunKey) -> None:
        """Relate two runs, where the older one is still known."""
        if self._recorder.record(target) is not None:
            self._recorder.link(source, relation, target)


def start_call(
    recorder: Recorder,
    event_type: str,
    span: Span | None,
    event: Any,
    content: Content,
    labels: Mapping[str, object],
    event_id: bytes | None = None,
) -> None:
    """Note that a call begins, by the event that tells of it; what is sent from now on here belongs to it."""
    key, above = event.span_id, None if span is None else span.parent
    if not recorder.is_open(key):
        labels = {"session_id": attempt(reading.session, event.tags), **labels}
    recorder.start(
        event_type,
        key=key,
        event_id=event_id,
        parent=None if above is None else above.key,
        model=attempt(reading.model_name, event.model_dict),
        provider=None if span is None else span.provider,
        content=content,
        labels=labels,
    )
    requesting.set((recorder, key))
