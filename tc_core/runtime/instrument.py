"""`instrument()`: have every installed framework recorded."""

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import wrapt

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.record.guard import faults, never_raises
from tc_core.runtime import recorders
from tc_core.store.base import StorageBackend

log = logging.getLogger("tc_core")

GROUP = "tc_core.adapters"
"""The entry-point group in which adapters announce themselves, by the framework's name."""

_wanted: dict[str, StorageBackend] = {}
"""Where each framework is recorded to, also those that are not imported yet."""
_awaited: set[str] = set()
"""The frameworks whose import calls us."""


def instrument(
    storage: StorageBackend | str | Path | None = None,
    *,
    frameworks: Iterable[str] | None = None,
    labels: Mapping[str, object] | None = None,
    strict: bool | None = None,
) -> tuple[str, ...]:
    """Record every model call of the installed frameworks from now on, and return the frameworks' names.

    A framework is hooked at once where it is imported already, else as soon as the program imports it: nobody pays for
    the import of one that is not used. `storage` is a store, a path or a URL, which then is the default one of this
    process; without it the settings say which (TOKEN_CALC_STORAGE, else `./token_calculator.db`). `frameworks` limits
    the recording to some; one that is asked for and missing raises ImportError with the line that installs it. `labels`
    are given to every event. `strict` has hooks raise the errors that they otherwise count and swallow, for tests.
    Calling it again is harmless.
    """
    store = recorders.open_storage(storage)
    if storage is not None:
        recorders.choose(store)
    recorder = recorders.recorder_for(store)
    if labels:
        recorder.scope = recorder.scope.extended(labels)
    if strict is not None or settings.load().tracking.strict:
        faults.strict = strict is not False
    adapters = installed_adapters() if frameworks is None else [_asked_for(name) for name in frameworks]
    for adapter in adapters:
        _activate(adapter, store)
    if not adapters:
        log.warning("token-calculator: no supported framework is installed; only calls tracked by hand are recorded")
    return tuple(adapter.name for adapter in adapters)


def uninstrument() -> None:
    """End what `instrument` began: no hook of ours is called any more. What was recorded is flushed."""
    _wanted.clear()
    for adapter in installed_adapters():
        if _is_imported(adapter):
            adapter.load().uninstrument()
    recorders.flush()
    recorders.choose(None)


def installed_adapters() -> list[EntryPoint]:
    """Return the adapters whose framework is installed."""
    return [adapter for adapter in entry_points(group=GROUP) if is_available(adapter)]


def is_available(adapter: EntryPoint) -> bool:
    """Tell whether an adapter's framework is installed, without importing it."""
    return importlib.util.find_spec(_module(adapter).FRAMEWORK) is not None


def _activate(adapter: EntryPoint, store: StorageBackend) -> None:
    _wanted[adapter.name] = store
    if _is_imported(adapter):
        adapter.load().instrument(store)
    elif adapter.name not in _awaited:
        _awaited.add(adapter.name)
        module = _module(adapter)
        for name in (module.FRAMEWORK, *getattr(module, "AWAITED", ())):
            wrapt.register_post_import_hook(partial(_on_import, adapter), name)


@never_raises
def _on_import(adapter: EntryPoint, _framework: ModuleType) -> None:
    store = _wanted.get(adapter.name)
    if store is not None:
        adapter.load().instrument(store)


def _is_imported(adapter: EntryPoint) -> bool:
    return _module(adapter).FRAMEWORK in sys.modules


def _module(adapter: EntryPoint) -> ModuleType:
    return importlib.import_module(adapter.module)


def _asked_for(name: str) -> EntryPoint:
    known = {adapter.name: adapter for adapter in entry_points(group=GROUP)}
    if name not in known:
        raise ConfigurationError(f"unknown framework {name!r}: known are {', '.join(sorted(known)) or 'none'}")
    if not is_available(known[name]):
        raise ImportError(f"{name} is not installed: pip install 'token-calculator-suite[{name}]'")
    return known[name]
