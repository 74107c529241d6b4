"""The adapters that announce themselves, and whether the framework of each is installed and imported."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
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
    if is_stand_in(name):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # what it lies in is a stand-in, or cannot be imported
        return False


def is_imported(adapter: EntryPoint) -> bool:
    """Tell whether the program has imported an adapter's framework, or is about to."""
    name: str = module_of(adapter).FRAMEWORK
    return name in sys.modules and not is_stand_in(name)


def stand_ins(adapter: EntryPoint) -> list[str]:
    """Return the modules, of those that an adapter is built on, in whose place a program has put something else."""
    module = module_of(adapter)
    where = {module.FRAMEWORK: None, **{each.where.partition(":")[0]: None for each in host_names(adapter)}}
    parts = (name.split(".") for name in where)
    names = {".".join(each[:size]): None for each in parts for size in range(1, len(each) + 1)}
    # Of a part in whose place is None, Python itself says that it is not there.
    blocked = {name for name in names if name != module.FRAMEWORK and sys.modules.get(name, name) is None}
    return [name for name in names if is_stand_in(name) and name not in blocked]


def is_stand_in(name: str) -> bool:
    """Tell whether something that was never imported stands in a module's place: a stub, a mock, or None against it."""
    if name not in sys.modules:
        return False
    module = sys.modules[name]
    if not issubclass(type(module), ModuleType):  # a mock says that it is an instance of anything
        return True
    spec = object.__getattribute__(module, "__dict__").get("__spec__")  # which calls nothing of the module's
    return not issubclass(type(spec), ModuleSpec) or (spec.loader is None and spec.submodule_search_locations is None)


def host_names(adapter: EntryPoint) -> Iterable[HostName]:
    """Return the names of its framework that an adapter is built on, as far as it tells them."""
    names: Iterable[HostName] = getattr(module_of(adapter), "HOST_NAMES", ())
    return names
