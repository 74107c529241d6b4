"""Importing a module that other threads look at meanwhile, such that they never see half of it.

OpenAI's client asks `sys.modules` for httpx2 at each request, and takes what it finds there for whole. The price table
imports httpx2, on a thread of ours, while a program may be asking a model.
"""

import importlib
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MOST_SECONDS = 10.0
"""How long another thread waits for the import at most."""


def import_whole(name: str) -> None:
    """Import a module; who asks it for a name before that is done, in another thread, waits. Raises ImportError."""
    if name in sys.modules:
        return
    finder = _Finder(name)
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path, target) if fullname == self._name else None
        if found is not None and found.loader is not None:
            found.loader = _Loader(found.loader)
        return found


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._done = threading.Event()

    def __getattr__(self, name: str) -> Any:  # `get_data` and the like, where somebody asks for resources
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = self._loader.create_module(spec) or ModuleType(spec.name)
        importing, done = threading.get_ident(), self._done

        def look_up(name: str) -> Any:
            if threading.get_ident() != importing and not name.startswith("__"):
                done.wait(MOST_SECONDS)
                if name in vars(module):
                    return vars(module)[name]
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        vars(module)["__getattr__"] = self._look_up = look_up  # now: others can see it before it is executed
        return module

    def exec_module(self, module: ModuleType) -> None:
        try:
            self._loader.exec_module(module)
        finally:
            if vars(module).get("__getattr__") is self._look_up:
                del vars(module)["__getattr__"]
            self._done.set()
