"""`instrument()`: have every installed framework recorded."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.record.guard import contained, failure_of, faults
from tc_core.record.host import HostName, missing
from tc_core.record.label_texts import label_texts
from tc_core.runtime import adapters, recorders
from tc_core.runtime.hook import Hook
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

log = logging.getLogger("tc_core")

State = Literal["hooked", "not hooked", "not imported", "not installed", "failed"]

_hooks: dict[str, Hook] = {}
"""By the framework's name."""


@dataclass(frozen=True, slots=True)
class FrameworkState:
    """How it stands with the recording of one framework."""

    name: str
    state: State
    detail: str
    """What failed, as `type: message`, or what is waited for."""
    missing: tuple[HostName, ...] = ()
    """The names that this version of the framework lacks, each with what is not recorded for want of it."""


def instrument(
    storage: StorageBackend | str | Path | None = None,
    *,
    frameworks: Iterable[str] | None = None,
    labels: Mapping[str, object] | None = None,
    strict: bool | None = None,
    enforce: bool | None = None,
    cut_streams: bool | None = None,
) -> tuple[str, ...]:
    """Record every model call of the installed frameworks from now on, and return the frameworks' names.

    A framework is hooked at once where it is imported already, else as soon as the program imports it: nobody pays for
    the import of one that is not used. `storage` is a store, a path or a URL, which then is the default one of this
    process; without it the settings say which (TOKEN_CALC_STORAGE, else `./token_calculator.db`). `frameworks` limits
    the recording to some; one that is asked for and missing raises ImportError with the line that installs it. `labels`
    are given to every event. `strict` has hooks raise the errors that they otherwise count and swallow, for tests.
    `enforce` has hard budgets stop calls before they are made; without it the settings say so (TOKEN_CALC_ENFORCE),
    else no. `cut_streams` has them also cut streamed answers that get longer than there is room for
    (TOKEN_CALC_CUT_STREAMS), as far as each framework has a way for it: docs/budgets.md. A framework that cannot be
    hooked is left out and costs no other one; `framework_states` and `token-calc doctor` say why. Settings are read
    here, and hold from now on wherever the program goes; calling it again reads them anew, and is harmless. Raises
    StorageError for a store that cannot be opened or written, ConfigurationError for settings that cannot be read.
    """
    settings.fix()
    store = recorders.open_storage(storage)
    if isinstance(store, SqlStore):
        store.check_writable()
    if storage is not None:
        recorders.choose(store)
    recorder = recorders.recorder_for(store)
    if labels:
        recorder.scope = recorder.scope.extended(label_texts(labels))
    if strict is not None or settings.load().tracking.strict:
        faults.strict = strict is not False
    is_enforced = settings.load().tracking.enforce if enforce is None else enforce
    enforcing = [part.enforce for part in recorder.parts if part.enforce is not None]
    for enforce_in in enforcing:  # before the frameworks are hooked, which look at whether calls may be stopped
        enforce_in(is_enforced)
    is_cut = settings.load().tracking.cut_streams if cut_streams is None else cut_streams
    if cut_streams is None and enforce is False:
        is_cut = False
    if is_cut and not is_enforced:
        raise ConfigurationError(
            "cut_streams=True has hard budgets cut streams, but they stop no calls so far: give enforce=True as well, "
            "or TOKEN_CALC_ENFORCE=true"
        )
    for cut_in in (part.cut for part in recorder.parts if part.cut is not None):
        cut_in(is_cut)
    if is_enforced and not enforcing:
        log.warning("token-calculator: %s keeps no budgets: no call will be stopped", type(store).__name__)
    chosen = _installed() if frameworks is None else [_asked_for(name) for name in frameworks]
    errors = {adapter.name: _want(adapter, store) for adapter in chosen}
    if not chosen:
        log.warning("token-calculator: no supported framework is installed; only calls tracked by hand are recorded")
    for error in errors.values():
        if error is not None and faults.strict:
            raise error
    return tuple(name for name, error in errors.items() if error is None)


def uninstrument() -> None:
    """End what `instrument` began: no hook of ours is called any more. What was recorded is flushed.

    Settings are read anew where they are next needed. It never raises: what it fails with is counted.
    """
    for adapter in adapters.known_adapters():
        failure_of(f"{adapter.module}: drop", _hook(adapter).drop)
    failure_of("flush", recorders.flush)
    recorders.choose(None)
    settings.forget()


def wanted() -> dict[str, StorageBackend]:
    """Return where each framework is recorded to, also those that are not imported yet."""
    return {name: hook.store for name, hook in _hooks.items() if hook.store is not None}


def framework_states() -> tuple[FrameworkState, ...]:
    """Return how it stands in this process with each framework that has an adapter; imports none of them."""
    return tuple(_state_of(adapter) for adapter in adapters.known_adapters())


def _state_of(adapter: EntryPoint) -> FrameworkState:
    name, hook = adapter.name, _hook(adapter)
    found: list[tuple[State, str, tuple[HostName, ...]]] = []
    error = failure_of(f"{adapter.module}.HOST_NAMES", lambda: found.append(_examined(adapter, hook)))
    return FrameworkState(name, "failed", told(error)) if error is not None else FrameworkState(name, *found[0])


def _examined(adapter: EntryPoint, hook: Hook) -> tuple[State, str, tuple[HostName, ...]]:
    stand_ins = adapters.stand_ins(adapter)
    if stand_ins and not hook.is_hooked:
        return "failed", f"{stand_ins[0]} is a stand-in of the program's: not the module itself", ()
    if not adapters.is_imported(adapter):
        if hook.is_hooked:
            return "hooked", "", ()
        if not adapters.is_available(adapter):
            return "not installed", f"pip install 'token-calculator-suite[{adapter.name}]'", ()
        waits_for = adapters.module_of(adapter).FRAMEWORK
        return "not imported", f"hooked when {waits_for} is imported" if hook.is_wanted else "not asked for", ()
    hook.run()  # where a failed import of the adapter has left it waiting
    lacking = missing(adapters.host_names(adapter))
    if hook.error is not None:
        return "failed", told(hook.error), lacking
    return ("hooked", "", lacking) if hook.is_hooked else ("not hooked", "not asked for", lacking)


def told(error: BaseException) -> str:
    """Return what an error says, with its type."""
    return f"{type(error).__name__}: {error}"


def _want(adapter: EntryPoint, store: StorageBackend) -> Exception | None:
    """Have a framework recorded; what goes wrong with it costs no other one."""
    hook = _hook(adapter)
    hook.want(store)
    return hook.error


def _hook(adapter: EntryPoint) -> Hook:
    return _hooks.setdefault(adapter.name, Hook(adapter))


def _installed() -> list[EntryPoint]:
    found: list[EntryPoint] = []
    for adapter in adapters.known_adapters():
        with contained(f"{adapter.module}.FRAMEWORK"):  # an adapter of somebody else's that cannot be imported
            if adapters.is_available(adapter):
                found.append(adapter)
    return found


def _asked_for(name: str) -> EntryPoint:
    known = {adapter.name: adapter for adapter in adapters.known_adapters()}
    if name not in known:
        raise ConfigurationError(f"unknown framework {name!r}: known are {', '.join(sorted(known)) or 'none'}")
    if adapters.is_stand_in(adapters.module_of(known[name]).FRAMEWORK):
        raise ImportError(f"{name} cannot be recorded: the program has put something else in its place")
    if not adapters.is_available(known[name]):
        raise ImportError(f"{name} is not installed: pip install 'token-calculator-suite[{name}]'")
    return known[name]
