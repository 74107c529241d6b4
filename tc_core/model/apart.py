"""Work that no exception of a signal's handler can strike: done on another thread while the main one waits.

Handlers are called on the main thread alone, between any two steps. In the middle of a database library, exceptions
leave locks taken and connections half begun, and are swallowed in places; in a wait they go straight to the program.
"""

import _thread
import signal
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import wraps
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

obstacles: list[Callable[[], bool]] = []
"""Each tells whether this thread has something that another one would wait for."""

_SIGNALS = tuple(signal.valid_signals())


def apart(work: Callable[P, R]) -> Callable[P, R]:
    """Wrap what is asked of a store: where a handler of the program's could strike, another thread does it.

    When the main thread leaves by such an exception, the work is still done to its end.
    """

    @wraps(work)
    def unstruck(*arguments: P.args, **options: P.kwargs) -> R:
        if not _may_be_struck():
            return work(*arguments, **options)
        done: SimpleQueue[tuple[bool, R | BaseException]] = SimpleQueue()
        context = copy_context()

        def run() -> None:
            try:
                done.put((True, context.run(work, *arguments, **options)))
            except BaseException as error:  # noqa: BLE001  # the caller gets it
                done.put((False, error))

        try:
            _thread.start_new_thread(run, ())  # `Thread.start` waits with a lock that could stay taken
        except RuntimeError:  # the interpreter is shutting down
            return work(*arguments, **options)
        is_fine, found = done.get()
        if is_fine:
            return found  # type: ignore[return-value]  # what the work returned
        raise found  # type: ignore[misc]  # what it raised

    return unstruck


def _may_be_struck() -> bool:
    if threading.get_ident() != threading.main_thread().ident or any(is_there() for is_there in obstacles):
        return False
    handlers = map(signal.getsignal, _SIGNALS)
    return any(callable(handler) and handler is not signal.default_int_handler for handler in handlers)
