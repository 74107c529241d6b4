"""The adapters that announce themselves, and whether the framework of each is installed and imported."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from tc_core.record.host import HostName

GROUP = "tc_core.adapters"
"""The entry-point group in which adapters announce themselves, by the framework's name."""


def known_adapters() -> list[EntryPoint]:
    """Return all adapters, whether or not their framework is installed."""
    return list(entry_points(group=GROUP))


def module_of(adapter: EntryPoint) -> ModuleType:
    """Return the adapter, which imports no framework."""
    return importlib.import_module(adapter.module)


def is_available(adapter: EntryPoint) -> bool:
    """Tell whether an adapter's framework is installed, without importing it."""
    name: str = module_of(adapter).FRAMEWORK
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # something stands in its place that was never imported
        return False


def is_imported(adapter: EntryPoint) -> bool:
    """Tell whether the program has imported an adapter's framework, or is about to."""
    return module_of(adapter).FRAMEWORK in sys.modules


def host_names(adapter: EntryPoint) -> Iterable[HostName]:
    """Return the names of its framework that an adapter is built on, as far as it tells them."""
    names: Iterable[HostName] = getattr(module_of(adapter), "HOST_NAMES", ())
    return names
