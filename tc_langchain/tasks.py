"""Model calls in event loops of which LangChain tells no end, and when they are over all the same.

The task that began a call says little of its end: each piece of a stream may be pulled by a task of its own. Only what
is awaited whole (`ainvoke`) is over with its task. Any call is over when LangChain has let go of its run id, without
which it can tell nothing, or when the event loop is closed.
"""

import asyncio
import inspect
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import ClassVar
from uuid import UUID

from tc_core.adapter import Segment, Status, never_raises

RunKey = bytes

_BETWEEN = ("tc_core.", "tc_langchain.", "langchain_core.callbacks.")
_AWAITED_WHOLE = "agenerate"
"""What `ainvoke` and `abatch` come down to: when its task is cancelled LangChain tells nothing of it."""

ERRORS = {"cancelled": "CancelledError", "closed": "GeneratorExit"}
"""What a call has ended with, had it been told."""


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call whose end has not been told."""

    loop: asyncio.AbstractEventLoop
    run_id: "weakref.ref[UUID]"
    is_stream: bool
    pieces: list[Segment] = field(default_factory=list)
    """What has come of its answer; LangChain holds it too."""

    @property
    def status(self) -> Status:
        """How it has ended if nothing tells its end."""
        return "closed" if self.is_stream else "cancelled"


class Tasks:
    """The calls that one handler has seen begin in event loops; `give_up` is told which will have no end."""

    _all: ClassVar["weakref.WeakSet[Tasks]"] = weakref.WeakSet()

    def __init__(self, give_up: Callable[[RunKey, OpenCall], object]) -> None:
        self._give_up = give_up
        self._open: dict[RunKey, OpenCall] = {}
        self._all.add(self)

    def began(self, key: RunKey, run_id: UUID) -> None:
        """Note that a call begins here; outside of an event loop LangChain tells every end."""
        loop = asyncio._get_running_loop()
        if loop is None or key in self._open:
            return
        caller = _caller()
        if caller is not None and caller.f_code.co_flags & inspect.CO_GENERATOR:
            return  # `stream` in a coroutine: Python closes a generator that is thrown away, and it tells that
        is_stream = caller is not None and bool(caller.f_code.co_flags & inspect.CO_ASYNC_GENERATOR)
        self._open[key] = OpenCall(loop, weakref.ref(run_id, partial(_forgotten, weakref.ref(self), key)), is_stream)
        task = asyncio.current_task(loop)
        if task is not None and caller is not None and caller.f_code.co_name == _AWAITED_WHOLE:
            task.add_done_callback(partial(_forgotten, weakref.ref(self), key))

    def piece(self, key: RunKey, text: object) -> None:
        """Note a piece of an answer, which counts where no end is told."""
        call = self._open.get(key)
        if call is not None and text:
            call.pieces.append(Segment("ai", "text", text))

    def ended(self, key: RunKey) -> None:
        """Note that a call has ended, wherever that is told."""
        self._open.pop(key, None)

    def over(self, key: RunKey) -> None:
        """Give a call up, unless its end was told."""
        call = self._open.pop(key, None)
        if call is not None:
            self._give_up(key, call)

    @classmethod
    def catch_up(cls) -> None:
        """Give up the calls whose event loops are closed: nothing will go on in these."""
        for tasks in list(cls._all):
            for key, call in list(tasks._open.items()):
                if call.loop.is_closed():
                    tasks.over(key)


def _caller() -> FrameType | None:
    """Return the frame in which a call begins, outside of LangChain's callbacks; None where they run in a task."""
    frame = inspect.currentframe()
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(_BETWEEN):
        frame = frame.f_back
    return frame


@never_raises
def _forgotten(tasks: "weakref.ref[Tasks]", key: RunKey, _gone: object) -> None:
    found = tasks()
    if found is not None:
        found.over(key)
