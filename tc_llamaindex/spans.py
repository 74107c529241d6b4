"""The spans that are open: what hangs under what, and what of a run those that follow must know.

Nothing of the host is kept here but names, ids and weak references.
"""

import inspect
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tc_core.adapter import Recorder, provider_at
from tc_llamaindex import host, kinds

RunKey = str
"""The id of a span, or what is made from one."""

MOST_SPANS = 10_000
MOST_LEFT = 4_096
MOST_GENERATORS = 200
MOST_SOURCES = 20


@dataclass(slots=True, eq=False)
class Span:
    """A span that is open, or that was a short while ago."""

    key: RunKey
    above: "Span | None"
    kind: kinds.Kind = kinds.NO_KIND
    method: str = ""
    event_type: str | None = None
    """What it is recorded as, or None where it is not."""
    name: str | None = None
    provider: str | None = None
    """Whom a model asks."""
    owner: int = 0
    """The `id()` of the object whose method it is, to be compared only while that lives."""
    asked: int = 0
    """The `id()` of what a model is asked, to be compared only while the call is open."""
    recorded: "Span | None" = None
    """The nearest recorded span: itself, or one above."""
    step: "Span | None" = None
    """The step of a workflow that it is, or is inside of."""
    is_cancelled: bool = False
    is_silent: bool = False
    """Whether it is a model call that is only another one of the same object, told again."""
    sources: list[RunKey] = field(default_factory=list)
    """The runs that have found or said, inside this one, what an answer is made from."""
    last_call: RunKey | None = None
    """The model call inside that came last."""
    failed_call: RunKey | None = None
    """The model call inside that failed last."""
    repeats: RunKey | None = None
    """The failed model call that the next one inside tries again."""
    agent: "Span | None" = None
    """Of a workflow of agents: the one whose turn it is."""
    last_handoff: RunKey | None = None
    turns: int = 0
    given: "weakref.ref[Any] | None" = None
    """The event that a step of a workflow was given."""
    again: RunKey | None = None
    """The failed step that this one tries again."""
    failed_steps: "dict[int, tuple[weakref.ref[Any], Span]] | None" = None
    """Of a workflow: the steps that have failed, by the `id()` of what they were given."""

    is_guarded: bool = False
    """Of a model: whether what refuses its calls gets through to the program."""
    is_patient: bool = False
    """Of a model: whether what it is asked here may wait for room."""
    texts: "list[str] | None" = None
    """What is to be embedded, where that is asked about before."""

    @property
    def run(self) -> "Span | None":
        """The run of a workflow that a step belongs to."""
        return self.above if self.step is self else None

    @property
    def is_asking_itself(self) -> bool:
        """Whether it is a method that asks a model without telling of a chat."""
        return self.event_type is not None and self.method in self.kind.asks_itself

    @property
    def parent(self) -> "Span | None":
        """The nearest recorded span above."""
        return None if self.above is None else self.above.recorded

    def is_under(self, other: "Span") -> bool:
        """Tell whether it lies inside another span."""
        above: Span | None = self
        while above is not None and above is not other:
            above = above.above
        return above is not None

    def collector(self) -> "Span | None":
        """Return the nearest run above in which what is found here is used: a step is too small for that."""
        above = self.parent
        while above is not None and above.event_type == "task" and above.parent is not None:
            above = above.parent
        return above

    def add_source(self, key: RunKey) -> None:
        """Note that something was found or said inside."""
        self.sources.append(key)
        del self.sources[:-MOST_SOURCES]


class Spans:
    """The spans of one recorder, shared by all its handlers."""

    _of: ClassVar["WeakKeyDictionary[Recorder, Spans]"] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.open: OrderedDict[RunKey, Span] = OrderedDict()
        self.left: OrderedDict[RunKey, Span] = OrderedDict()
        """Spans that have ended: what a span began may go on after it, in a thread, a task or a stream."""
        self.generators: dict[int, tuple[weakref.ref[Any], Span]] = {}
        """What will ask for an answer piece by piece, by `id()`, and the span that it came out of."""

    @classmethod
    def of(cls, recorder: Recorder) -> "Spans":
        """Return the spans of a recorder."""
        return cls._of.setdefault(recorder, cls())

    @classmethod
    def all(cls) -> "list[Spans]":
        """Return those of all recorders."""
        return list(cls._of.values())

    def find(self, key: RunKey | None) -> Span | None:
        """Return a span that is open, or was a short while ago."""
        return None if key is None else self.open.get(key) or self.left.get(key)

    def innermost(self, key: RunKey | None) -> Span | None:
        """Return the span in which this is called: the one named, or one inside it that goes on in a generator."""
        span = self.find(key)
        return (self._generating(span) or span) if self.generators else span

    def enter(self, key: RunKey, above_key: RunKey | None, instance: object) -> Span:
        """Note that a span begins."""
        above = self.innermost(above_key)
        kind = kinds.NO_KIND if instance is None else kinds.kind_of(type(instance))
        span = Span(key, above, kind, kinds.method_of(key), owner=id(instance))
        if kind.name in kinds.MODELS:
            span.provider = provider_at(kind.provider, getattr(instance, "api_base", None))
        if above is not None:
            span.recorded, span.step = above.recorded, above.step
            if instance is None and above.kind.name in kinds.RUNS:
                span.step = span
        self.open[key] = span
        if len(self.open) > MOST_SPANS:
            self._leave(self.open.popitem(last=False)[1])
        return span

    def exit(self, key: RunKey) -> Span | None:
        """Note that a span has ended."""
        span = self.open.pop(key, None)
        if span is not None:
            self._leave(span)
        return span

    def generates(self, generator: object, span: Span) -> None:
        """Note that a span goes on in a generator."""
        key = id(generator)
        if key not in self.generators:
            forget = partial(_forget, weakref.ref(self), key)
            self.generators[key] = weakref.ref(generator, forget), span
            if len(self.generators) > MOST_GENERATORS:
                self.generators.pop(next(iter(self.generators)), None)

    def _leave(self, span: Span) -> None:
        span.owner, span.failed_steps, span.agent = 0, None, None
        self.left[span.key] = span
        while len(self.left) > MOST_LEFT:
            self.left.popitem(last=False)

    def _generating(self, above: Span | None) -> Span | None:
        """Return the span in whose generator this is called, unless what is above is inside of it already."""
        frames = {}
        for key, (reference, span) in list(self.generators.items()):
            generator = reference()
            frame = getattr(generator, "gi_frame", None) or getattr(generator, "ag_frame", None)
            if frame is None:  # it has come to its end
                self.generators.pop(key, None)
            elif not (above is not None and above.is_under(span)):
                frames[frame] = span
        frame = inspect.currentframe() if frames else None
        while frame is not None:
            if frame in frames:
                return frames[frame]
            frame = frame.f_back
        return None


def _forget(spans: "weakref.ref[Spans]", key: int, _generator: object) -> None:
    found = spans()
    if found is not None:
        found.generators.pop(key, None)


_active_span, _active_tags = host.ACTIVE_SPAN.find(), host.ACTIVE_TAGS.find()


def current() -> RunKey | None:
    """Return the key of the recorded run in which this is called, or None outside of any.

    LlamaIndex hands the span down in a context variable of its instrumentation: we read it only here.
    """
    key = None if _active_span is None else _active_span.get()
    found = (spans.innermost(key) for spans in Spans.all())
    return next((span.recorded.key for span in found if span is not None and span.recorded is not None), None)


def tags_here() -> Mapping[str, object]:
    """Return the tags that hold where this is called: the span of a workflow's run is told without them."""
    tags: Mapping[str, object] = {} if _active_tags is None else _active_tags.get()
    return tags
