"""Recording everything: one handler on the root dispatcher, to which all others pass on what happens."""

from tc_core import CostTracker, StorageBackend
from tc_llamaindex.handler import TokenCalculatorHandler

_handler: TokenCalculatorHandler | None = None


def instrument(storage: StorageBackend | str | None = None) -> None:
    """Record every run of LlamaIndex from now on, in all threads and tasks.

    `storage` is a store, a path or a URL; without it the default store is used. Calling it again changes the store.
    """
    global _handler
    uninstrument()
    _handler = TokenCalculatorHandler(CostTracker(storage)).attach()


def uninstrument() -> None:
    """Take our handler off the dispatcher: it is called no more."""
    global _handler
    if _handler is not None:
        _handler.detach()
        _handler = None
