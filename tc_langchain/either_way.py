"""Hooks of a handler that LangChain awaits where it awaits, and calls where it calls.

A handler of LangChain's is either one or the other: what is `async` is lost in a program that calls, with whatever it
raises, and what is not can wait for nothing in a program that awaits without holding up all of it.
"""

import inspect
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

_MANAGER = "langchain_core.callbacks.manager"


class EitherWay:
    """A hook in two forms; it is `awaited` by LangChain's own coroutines, while a part may refuse calls."""

    def __init__(self, called: Callable[..., None], awaited: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self._called, self._awaited = called, awaited
        self.__doc__ = called.__doc__

    def __get__(self, handler: Any, owner: type | None = None) -> Any:
        if handler is None:
            return self._called
        is_awaited = handler.may_refuse and _awaits(sys._getframe(1))
        return (self._awaited if is_awaited else self._called).__get__(handler, owner)


def _awaits(caller: FrameType) -> bool:
    """Tell whether a hook is looked up to be awaited, by who looks it up: nothing else tells."""
    return bool(caller.f_code.co_flags & inspect.CO_COROUTINE) and caller.f_globals.get("__name__") == _MANAGER
