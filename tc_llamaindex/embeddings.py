"""Requests for embeddings: what LlamaIndex's events of them say to the recorder.

No event says how many tokens were read: they are counted with the model's own tokenizer, where it has a public one;
with `http_client=tc_core.tracking_client()` in the embedding model they are what the provider reports.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tc_core.adapter import Recorder, Segment, new_id, status_of
from tc_llamaindex import reading, refusals
from tc_llamaindex.calls import start_call
from tc_llamaindex.spans import Span, Spans

RunKey = str

MOST_EMBEDDINGS = 10_000


@dataclass(slots=True, eq=False)
class Embedding:
    """A request that is open; its texts are told at its end."""

    told: object
    """The id of the event that was seen last, which a second handler sees again."""
    pending: int = 1
    texts: list[str] = field(default_factory=list)

    def content(self) -> Sequence[Segment]:
        """Return the parts of the request."""
        return reading.chunks(self.texts)


class Embeddings:
    """The requests for embeddings of one handler; those that are open are shared by all handlers of a recorder."""

    _of: ClassVar["WeakKeyDictionary[Recorder, OrderedDict[RunKey, Embedding]]"] = WeakKeyDictionary()

    def __init__(self, recorder: Recorder, spans: Spans, labels: Mapping[str, object]) -> None:
        self._recorder = recorder
        self._spans = spans
        self._labels = labels
        self.open = self._of.setdefault(recorder, OrderedDict())

    def began(self, event: Any) -> None:
        """Note that texts are sent.

        Of several batches at once LlamaIndex does not say which request is whose: together they are one event.
        """
        key = event.span_id
        if key is None:
            return
        embedding, event_id, span = self.open.get(key), None, self._spans.find(key)
        if embedding is None or not self._recorder.is_open(key):
            if span is not None and span.is_guarded:
                event_id, content = new_id(), partial(reading.chunks, span.texts or [])
                if refusals.is_refused(self._recorder, span, event, content, self._labels, event_id, "embedding"):
                    return
            embedding = self.open[key] = Embedding(event.id_)
            while len(self.open) > MOST_EMBEDDINGS:
                self.open.popitem(last=False)
        elif embedding.told != event.id_:
            embedding.told = event.id_
            embedding.pending += 1
        start_call(self._recorder, "embedding", span, event, embedding.content, self._labels, event_id)
        if span is not None:
            span.event_type, span.recorded = "embedding", span

    def ended(self, event: Any) -> None:
        """Note that texts are embedded."""
        key = event.span_id
        embedding = self.open.get(key)
        if embedding is None or embedding.told == event.id_:
            return
        embedding.told = event.id_
        embedding.texts.extend(event.chunks)
        embedding.pending -= 1
        if not embedding.pending:
            del self.open[key]
            self._recorder.finish(key)

    def left(self, span: Span, error: BaseException | None) -> None:
        """Note that a model's method has ended, with what it has not told the end of."""
        if self.open.pop(span.key, None) is None or not self._recorder.is_open(span.key):
            return
        if error is None:
            self._recorder.finish(span.key)
        else:
            self._recorder.fail(span.key, status=status_of(error), error_type=type(error).__name__)
