"""Structured predictions that ask a model themselves: of those no event of a chat tells, only the method's own span.

The span brings the object that was made of the answer, not what the provider said of usage. That is known where the
client sends through one of ours (`tracking_client`); else the texts are counted. Of a stream neither the pieces nor
the end are told.
"""

from collections.abc import Mapping
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from tc_core.adapter import Recorder, attempt, requesting
from tc_llamaindex import reading
from tc_llamaindex.calls import Calls
from tc_llamaindex.spans import Span, Spans


class StructuredPredictions:
    """The structured predictions of one handler of which no event tells."""

    def __init__(self, recorder: Recorder, spans: Spans, calls: Calls, labels: Mapping[str, object]) -> None:
        self._recorder, self._spans, self._calls, self._labels = recorder, spans, calls, labels

    def began(self, span: Span, arguments: Mapping[str, Any], instance: Any, tags: Mapping[str, object]) -> None:
        """Note that a model is asked; one that asks by a chat after all becomes a step around that."""
        above, key = span.parent, span.key
        is_again = above is not None and above.is_asking_itself and above.owner == span.owner
        if is_again:
            return
        is_new, is_stream = not self._recorder.is_open(key), "stream" in span.method
        session = attempt(reading.session, tags) if is_new else None
        self._recorder.start(
            "llm_call",
            key=key,
            parent=None if above is None else above.key,
            model=attempt(reading.own_model, instance),
            provider=span.provider,
            content=None if is_stream else partial(reading.prediction, dict(arguments)),
            labels={"session_id": session, **self._labels} if session else self._labels,
        )
        if is_new:
            span.event_type, span.recorded = "llm_call", span
            self._calls.relate(span)
        if not is_stream:  # a stream's requests come later, and one's tokens stand in the body that only it reads
            requesting.set((self._recorder, key))

    def left(self, span: Span, result: Any) -> None:
        """Note that one has returned: with the object that was asked for, or with a stream of ever more of it."""
        if not self._recorder.is_open(span.key):
            return
        if isinstance(result, GeneratorType | AsyncGeneratorType):
            self._spans.generates(result, span)
            self._calls.streams.watch(span.key, result, self._collected)
        else:
            self._recorder.finish(span.key, output=attempt(reading.predicted, result))

    def _collected(self, key: str) -> None:
        """Note that a stream is over; what became of it is told only by the request that it made."""
        self._calls.streams.end(key)
        record = self._recorder.record(key)
        if record is None or not self._recorder.is_open(key):
            return
        if record.event_type == "llm_call":
            self._recorder.fail(key, status="abandoned")
        else:
            self._recorder.finish(key)
