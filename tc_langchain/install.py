"""Recording everything: one handler that LangChain adds to every run."""

from contextvars import ContextVar
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from tc_core import CostTracker, StorageBackend
from tc_langchain.callback import TokenCalculatorCallback


class _Switch:
    """Stands where LangChain looks for a handler: gives ours while it is on, None otherwise.

    LangChain asks a context variable, and its list of them has no way to take one back. A variable could only be set in
    one context, while this holds in all threads and tasks.
    """

    handler: BaseCallbackHandler | None = None
    last: BaseCallbackHandler | None = None

    def get(self) -> BaseCallbackHandler | None:
        return self.handler


_switch = _Switch()


class _Last(type):
    """Makes a class of the handler that was given last.

    LangChain asks the variable twice, first whether there is a handler and then for it; where it was taken away in
    between, it makes one of the class that is registered beside.
    """

    def __call__(cls, *_arguments: object, **_options: object) -> Any:
        return _switch.last

    def __instancecheck__(cls, instance: object) -> bool:
        return instance is _switch.last


class _LastHandler(BaseCallbackHandler, metaclass=_Last):
    """Stands for the last handler where LangChain wants a class."""


_is_registered = False


def instrument(storage: StorageBackend | str | None = None) -> None:
    """Record every run of LangChain and LangGraph from now on, in all threads and tasks.

    `storage` is a store, a path or a URL; without it the default store is used. Calling it again changes the store.
    """
    global _is_registered
    _switch.handler = _switch.last = TokenCalculatorCallback(CostTracker(storage))
    if not _is_registered:
        register_configure_hook(cast("ContextVar[BaseCallbackHandler | None]", _switch), True, _LastHandler)  # noqa: FBT003
        _is_registered = True


def uninstrument() -> None:
    """Give our handler to no run that begins from now on."""
    _switch.handler = None
