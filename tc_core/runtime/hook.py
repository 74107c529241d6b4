"""The hooking of one framework: when the program imports it, once, and with an adapter that is imported whole.

A program may import a name of the adapter first, and that the framework: the framework's import then ends while that of
the adapter has only begun, in this thread or in another one. Hooking waits for the adapter's, and does so without any
lock: threads hold those of the modules that they import.
"""

import pkgutil
import sys
import threading
from functools import partial
from importlib.metadata import EntryPoint
from types import ModuleType

import wrapt

from tc_core.record.guard import failure_of, faults, never_raises
from tc_core.runtime import adapters
from tc_core.store.base import StorageBackend


class StandInError(RuntimeError):
    """A framework is not hooked, since a stub or a mock is in the place of one of its modules."""


class Hook:
    """Hooks one framework, and knows how that went."""

    def __init__(self, adapter: EntryPoint) -> None:
        self.adapter = adapter
        self.is_hooked = False
        self.error: Exception | None = None
        """What the last attempt failed with."""
        self.store: StorageBackend | None = None
        self._is_awaited = self._is_due = False
        self._busy = threading.Lock()  # nobody ever waits for it: who finds it taken leaves the work to its holder
        self._finished: set[str] = set()
        """The modules of the adapter whose import has been awaited and has ended."""

    @property
    def is_wanted(self) -> bool:
        """Tell whether the framework is to be recorded, now or as soon as it is imported."""
        return self.store is not None

    @property
    def _further(self) -> tuple[str, ...]:
        """The modules after whose import it is hooked again, since what it hooks is there only then."""
        return tuple(getattr(adapters.module_of(self.adapter), "AWAITED", ()))

    def want(self, store: StorageBackend) -> None:
        """Record the framework into a store: at once where it is imported, else as soon as it is."""
        self.store, self._is_due, self.error = store, True, None
        if not (adapters.is_imported(self.adapter) and all(name in sys.modules for name in self._further)):
            self._await()
        self.run()

    def drop(self) -> None:
        """Record it no longer; what that fails with is counted."""
        self.store, self._is_due = None, False
        if self.is_hooked or self.error is None:
            failure_of(f"{self.adapter.module}.uninstrument", self._uninstrument)
        self.is_hooked, self.error = False, None

    def run(self) -> None:
        """Hook it if that is due, and neither another thread does so nor the adapter is half imported."""
        while self._is_due and adapters.is_imported(self.adapter) and not self._importing():
            if not self._busy.acquire(blocking=False):
                return
            try:
                if self._is_due:
                    self._is_due = False
                    self.error = failure_of(f"{self.adapter.module}.instrument", self._instrument)
                    self.is_hooked = self.is_hooked or (self.error is None and not self._is_due)
            finally:
                self._busy.release()

    def _instrument(self) -> None:
        finished = len(self._finished)
        try:
            stand_ins = adapters.stand_ins(self.adapter)
            if stand_ins:  # nothing of ours may be built on them: it would stay when they have gone
                raise StandInError(f"{stand_ins[0]} is a stand-in of the program's: not the module itself")
            if self.store is not None:
                self.adapter.load().instrument(self.store)
        except ImportError:
            # Another thread may have been half through the same module, and Python then gives the half to this one.
            if not self._importing() and len(self._finished) == finished:
                raise
            self._is_due = True

    def _uninstrument(self) -> None:
        if self.is_hooked or (adapters.is_imported(self.adapter) and not adapters.stand_ins(self.adapter)):
            self.adapter.load().uninstrument()

    def _await(self) -> None:
        """Have the ends of the imports told: the framework's, and those of the adapter's modules."""
        if self._is_awaited:
            return
        self._is_awaited = True
        module = adapters.module_of(self.adapter)
        inner = pkgutil.iter_modules(getattr(module, "__path__", None) or [], f"{module.__name__}.")
        for name in (module.FRAMEWORK, *self._further, *(each.name for each in inner)):
            if not adapters.is_stand_in(name):  # which wrapt would take for the module
                wrapt.register_post_import_hook(partial(self._on_import, name), name)

    def _importing(self) -> bool:
        """Tell whether a module of the adapter is being imported, or the framework itself, whose end will be told."""
        prefix, framework = f"{self.adapter.module}.", adapters.module_of(self.adapter).FRAMEWORK
        return any(
            (
                f"{name}".startswith(prefix) or (name == framework and self._is_awaited)
            )  # a program may put any key there
            and name not in self._finished
            and _is_unfinished(module)
            for name, module in list(sys.modules.items())
        )

    @never_raises
    def _on_import(self, name: str, _module: ModuleType) -> None:
        self._finished.add(name)
        if name in self._further and self.store is not None:
            self._is_due = True
        self.run()
        if self.error is not None and faults.strict:
            raise self.error


def _is_unfinished(module: ModuleType) -> bool:
    if not issubclass(type(module), ModuleType):
        return False
    return getattr(object.__getattribute__(module, "__dict__").get("__spec__"), "_initializing", False) is True
