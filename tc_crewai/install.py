"""Recording everything: one listener on CrewAI's bus, which also works in a forked process."""

import logging
import os
import threading

import crewai  # noqa: F401  # whole before its parts, which another thread may be importing
from crewai.events.event_bus import crewai_event_bus

from tc_core import CostTracker, StorageBackend
from tc_core.adapter import never_raises
from tc_crewai import host
from tc_crewai.listener import TokenCalculatorListener, drop, drop_all
from tc_crewai.runs import runs

log = logging.getLogger("tc_core")

_listener: TokenCalculatorListener | None = None
_PRIVATE = host.OF_FORKED_BUS


class ForkedBusError(RuntimeError):
    """Nothing of CrewAI is recorded in this process: it was forked, and its bus has no threads. Spawned ones record."""


def instrument(storage: StorageBackend | str | None = None) -> None:
    """Record every crew, flow, agent and model call of CrewAI from now on, in all threads and tasks.

    `storage` is a store, a path or a URL; without it the default store is used. Calling it again changes the store.
    """
    global _listener
    before, _listener = _listener, TokenCalculatorListener(CostTracker(storage))
    if _listener.recorder.cuts_streams and not (host.ADD_SINK.find() and host.RESET_SINKS.find()):
        log.warning("token-calculator: this version of CrewAI has no way to cut a stream")
    if before is not None:
        drop(before)


def uninstrument() -> None:
    """Take all handlers of ours off CrewAI's bus, also those of listeners made by hand; what is open is given up."""
    global _listener
    _listener = None
    drop_all()


def works_after_fork() -> bool:
    """Tell whether CrewAI's bus can be revived in a forked process; else nothing that happens there is recorded.

    The threads of the bus do not live on in a child, and there is no public way to start new ones. A child that cannot
    be revived is a fault that `doctor` shows.
    """
    return hasattr(os, "register_at_fork") and all(hasattr(crewai_event_bus, name) for name in _PRIVATE)


@never_raises
def _after_fork() -> None:
    runs.after_fork()
    if not runs.sinks:
        return
    if not works_after_fork():
        raise ForkedBusError("this version of CrewAI tells nothing in a forked process: spawn it instead")
    bus = crewai_event_bus
    bus._executor_initialized = bus._has_pending_events = False
    bus._pending_futures = set()
    bus._futures_lock = threading.Lock()
    bus._rwlock = type(bus._rwlock)()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
