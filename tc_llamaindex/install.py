"""Recording everything: one handler on the root dispatcher, to which all others pass on what happens."""

import logging
import sys
from importlib import import_module

from tc_core import CostTracker, StorageBackend
from tc_core.adapter import recorder_for
from tc_llamaindex import host
from tc_llamaindex.handler import TokenCalculatorHandler
from tc_llamaindex.refusals import GUARD

log = logging.getLogger("tc_core")

_handler: TokenCalculatorHandler | None = None


def instrument(storage: StorageBackend | str | None = None) -> None:
    """Record every run of LlamaIndex from now on, in all threads and tasks.

    `storage` is a store, a path or a URL; without it the default store is used. Calling it again changes the store. If
    something that is set up for the store may refuse calls by now, they can be stopped.
    """
    global _handler
    uninstrument()
    tracker = CostTracker(storage)
    _handler = TokenCalculatorHandler(tracker).attach()
    recorder = recorder_for(tracker.storage)
    if recorder.cuts_streams:
        log.warning(
            "token-calculator: LlamaIndex has no way to cut a stream but the client that reads it: models need "
            "http_client=tc_core.tracking_client() and async_http_client=tc_core.async_tracking_client()"
        )
    if recorder.wants_to_admit and _is_whole() and all(each.find() for each in host.ADMISSION):
        import_module(GUARD).install()


def uninstrument() -> None:
    """Take our handler off the dispatcher: it is called no more."""
    global _handler
    if _handler is not None:
        _handler.detach()
        _handler = None
    if GUARD in sys.modules:
        import_module(GUARD).remove()


def _is_whole() -> bool:
    """Tell whether LlamaIndex is imported, and not just being imported: that would undo what we change in it."""
    return hasattr(sys.modules.get("llama_index.core"), "global_handler")
