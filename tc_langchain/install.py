"""Recording everything: one handler that LangChain adds to every run."""

from collections.abc import Hashable
from contextvars import ContextVar
from typing import cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers.context import register_configure_hook

from tc_core.adapter import register
from tc_core.store.base import StorageBackend
from tc_core.trackers.cost_tracker import CostTracker
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
    register("langchain", current)
    if not _is_registered:
        register_configure_hook(cast("ContextVar[BaseCallbackHandler | None]", _switch), inheritable=True)
        _is_registered = True


def uninstrument() -> None:
    """Give our handler to no run that begins from now on."""
    _switch.handler = None


def current() -> Hashable | None:
    """Return the key of the run in which this is called, or None outside of any.

    LangChain hands the run down in a context variable, which is not public: the only place where we read it.
    """
    config = var_child_runnable_config.get()
    callbacks = None if config is None else config.get("callbacks")
    return getattr(callbacks, "parent_run_id", None)
