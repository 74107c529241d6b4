"""Names of a framework that some versions lack: an adapter goes on without, and `doctor` says what that costs."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

_MISSING = object()


@dataclass(frozen=True, slots=True)
class HostName:
    """A name that an adapter looks up in its framework, and what is not recorded where a version lacks it."""

    where: str
    """The module, or `module:object` for what is an attribute of an object in it."""
    name: str
    without: str
    """What follows where it is missing, as a clause: `crews are not recorded`."""

    def find(self, default: Any = None) -> Any:
        """Return what has this name, else `default`; an error of the framework's own while it is imported is raised."""
        module_name, _, inner = self.where.partition(":")
        try:
            holder = _imported(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise
            return default
        if inner:
            holder = getattr(holder, inner, None)
        return getattr(holder, self.name, default)


def _imported(name: str) -> Any:
    """Return a module; what it lies in is imported before it, lest a thread that does so wait for this one's lock."""
    above = name.rpartition(".")[0]
    if above:
        _imported(above)
    return import_module(name)


def missing(names: Iterable[HostName]) -> tuple[HostName, ...]:
    """Return the names that are not there, of the packages that this process has imported; it imports no others."""
    return tuple(each for each in names if _is_loaded(each.where) and each.find(_MISSING) is _MISSING)


def _is_loaded(where: str) -> bool:
    """Tell whether the package is imported that a module would be in; a namespace package alone says nothing."""
    parts = where.partition(":")[0].split(".")
    above = (sys.modules.get(".".join(parts[:size])) for size in range(1, len(parts) + 1))
    return any(getattr(module, "__file__", None) is not None for module in above)
