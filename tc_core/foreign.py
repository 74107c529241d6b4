"""Telling an exception of the host's that struck our code from one that our code raised.

A signal's handler is called between any two steps of the main thread, also of ours, and what it raises (a time limit)
comes out of our frames like an error of our own. It is told by its traceback: in it is a call that was given the
interrupted frame, as handlers are, or a handler that is installed. Exceptions that another thread sends
(`PyThreadState_SetAsyncExc`) are raised by no statement at all.
"""

import dis
import signal
from collections.abc import Iterator
from inspect import CO_VARARGS
from types import CodeType, FrameType, TracebackType

_RAISING = frozenset(dis.opmap[name] for name in ("RAISE_VARARGS", "RERAISE"))


def foreign(error: BaseException) -> BaseException | None:
    """Return the host's exception that an error is or was made from; None for one that is ours to handle."""
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in chain:
        chain.append(each)
        orig = getattr(each, "orig", None)  # of SQLAlchemy's StatementError, which has the traceback of what it wraps
        each = orig if isinstance(orig, BaseException) else each.__cause__
    return next((each for each in reversed(chain) if _has_struck(each)), None)


def let_pass(error: BaseException) -> None:
    """Raise the host's exception that an error is or was made from, if it is one."""
    struck = foreign(error)
    if struck is not None:
        raise struck


def _has_struck(error: BaseException) -> bool:
    handlers, last = None, None
    for last in _entries(error.__traceback__):
        frame = last.tb_frame
        if frame.f_back is not None and any(value is frame.f_back for value in _arguments(frame)):
            return True
        if last is not error.__traceback__:
            handlers = handlers if handlers is not None else set(_installed())
            if frame.f_code in handlers:
                return True
    return last is not None and _was_sent(error, last)


def _was_sent(error: BaseException, last: TracebackType) -> bool:
    """Tell whether another thread has raised it here: a class of Python's own that no `raise` in Python raised."""
    if error.args or not _is_of_python(type(error)):
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] not in _RAISING


def _is_of_python(kind: type) -> bool:
    """Tell whether a class was made by a `class` statement, since C can raise its own by any step."""
    return "__weakref__" in vars(kind)


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _arguments(frame: FrameType) -> Iterator[object]:
    code, values = frame.f_code, frame.f_locals
    for name in code.co_varnames[: code.co_argcount]:
        yield values.get(name)
    if code.co_flags & CO_VARARGS:
        rest = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        yield from rest if isinstance(rest, tuple) else ()


def _installed() -> Iterator[CodeType]:
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        if code is not None:
            yield code
