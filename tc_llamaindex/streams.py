"""Answers that come piece by piece: how far they have come, and what becomes of those that nobody reads to the end."""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tc_core.adapter import Recorder, attempt, join_parts, never_raises
from tc_llamaindex import reading

RunKey = str

MOST_STREAMS = 10_000


@dataclass(slots=True, eq=False)
class Stream:
    """A model call whose answer has not come to its end."""

    last: Any = None
    """The last piece; the only part of an answer that is held."""
    deltas: list[str] = field(default_factory=list)
    report: dict[str, Any] | None = None
    """What its pieces have said of usage."""
    generator: "weakref.ref[Any] | None" = None
    loop: asyncio.AbstractEventLoop | None = None
    """What an asynchronous generator runs in: it does not outlast that."""
    over: Callable[[], object] | None = None
    """To be called should its end not be told."""
    owner: int = 0
    method: str = ""
    asked: int = 0
    """The `id()` of the messages or the prompt; its generator holds it, and an entry ends with that."""

    @property
    def is_exhausted(self) -> bool:
        """Whether its generator has come to its end."""
        generator = None if self.generator is None else self.generator()
        return generator is not None and getattr(generator, "gi_frame", getattr(generator, "ag_frame", None)) is None

    def joined(self, report: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what its pieces have said of usage, with what one more says."""
        if report is None or self.report is None:
            return report or self.report
        return join_parts(self.report, report)


class Streams:
    """The open streams of one recorder, shared by all its handlers."""

    _of: ClassVar["WeakKeyDictionary[Recorder, Streams]"] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.open: OrderedDict[RunKey, Stream] = OrderedDict()

    @classmethod
    def of(cls, recorder: Recorder) -> "Streams":
        """Return the streams of a recorder."""
        return cls._of.setdefault(recorder, cls())

    def piece(self, key: RunKey, response: Any) -> bool:
        """Note a piece of an answer; a second handler's note of the same is nothing, and False is returned."""
        stream = self.open.get(key)
        if stream is None:
            stream = self._begin(key)
        elif stream.last is response:
            return False
        stream.last = response
        stream.report = stream.joined(attempt(reading.in_piece, response))
        added = attempt(reading.delta, response)
        if added is not None:
            stream.deltas.append(added)
        return True

    def end(self, key: RunKey) -> Stream | None:
        """Forget a stream, and return what came of it."""
        return self.open.pop(key, None)

    def watch(self, key: RunKey, generator: object, collected: Callable[[RunKey], object]) -> Stream | None:
        """Have `collected` called should a generator be thrown away before its end; None where it is none."""
        if not isinstance(generator, GeneratorType | AsyncGeneratorType):
            return None
        stream = self.open.get(key)
        if stream is None:
            stream = self._begin(key)
        if stream.generator is None:
            stream.over = partial(_collected, collected, key)
            stream.generator = weakref.ref(generator, stream.over)
            if isinstance(generator, AsyncGeneratorType):
                stream.loop = asyncio._get_running_loop()
        return stream

    @classmethod
    def catch_up(cls) -> None:
        """Have done with streams that are over, or whose event loops are, though the program may hold them still."""
        for streams in list(cls._of.values()):
            for stream in list(streams.open.values()):
                if stream.over is not None and (stream.is_exhausted or (stream.loop and stream.loop.is_closed())):
                    stream.over()

    def is_untouched_twin(self, owner: int, method: str, asked: int) -> bool:
        """Tell whether a call is what an unread stream of the same object is made from.

        A model without asynchronous methods of its own answers these with its others, of the same prompt.
        """
        return any(
            stream.owner == owner and stream.asked == asked and stream.method == f"a{method}" and stream.last is None
            for stream in list(self.open.values())
        )

    def _begin(self, key: RunKey) -> Stream:
        stream = self.open[key] = Stream()
        while len(self.open) > MOST_STREAMS:
            self.open.popitem(last=False)
        return stream


@never_raises
def _collected(collected: Callable[[RunKey], object], key: RunKey, _generator: object = None) -> None:
    collected(key)
