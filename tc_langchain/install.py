"""Recording everything: one handler that LangChain adds to every run."""

from contextvars import ContextVar
from typing import cast

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

    def get(self) -> BaseCallbackHandler | None:
        return self.handler


_switch = _Switch()
_is_registered = False


def instrument(storage: StorageBackend | str | None = None) -> None:
    """Record every run of LangChain and LangGraph from now on, in all threads and tasks.

    `storage` is a store, a path or a URL; without it the default store is used. Calling it again changes the store.
    """
    global _is_registered
    _switch.handler = TokenCalculatorCallback(CostTracker(storage))
    if not _is_registered:
        register_configure_hook(cast("ContextVar[BaseCallbackHandler | None]", _switch), inheritable=True)
        _is_registered = True


def uninstrument() -> None:
    """Give our handler to no run that begins from now on."""
    _switch.handler = None
