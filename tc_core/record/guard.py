"""The only place that swallows errors: a fault of ours must not become the host's.

Every hook is wrapped in `never_raises`, every reading of a foreign object in `attempt`. What they swallow is
counted, logged once for each kind, and raised again in strict mode, which tests switch on. An exception of the host's
that struck our code, such as a time limit by a signal, is no fault: it goes on to the host.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from tc_core.foreign import let_pass
from tc_core.record.inside import inside, undisturbed

log = logging.getLogger("tc_core")

P = ParamSpec("P")
R = TypeVar("R")

MOST_KINDS = 500
"""Kinds of fault that are told apart; what comes after is counted under one name."""


class Faults:
    """Counts of swallowed errors, by where they happened and their type; never their text."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._total: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self.strict = False

    def note(self, where: str, error: BaseException | None = None, *, count: int = 1) -> None:
        """Count a fault, and log it when it is the first of its kind; the host's own exception passes, uncounted."""
        if error is not None:
            let_pass(error)
        kind = where if error is None else f"{where}: {type(error).__name__}"
        with undisturbed(), self._lock:
            if len(self._total) >= MOST_KINDS and kind not in self._total:
                kind = "other"
            is_first = kind not in self._total
            self._total[kind] += count
            self._untold[kind] += count
            if is_first:
                inside.put_off.append(partial(_log, kind, error))  # handlers of a log have locks of their own

    def take(self) -> dict[str, int]:
        """Return what was noted since the last call, for the store."""
        if not self._untold:
            return {}
        with undisturbed(), self._lock:
            untold, self._untold = self._untold, Counter()
        return dict(untold)

    def give_back(self, counts: Mapping[str, int]) -> None:
        """Take again what could not be stored."""
        with undisturbed(), self._lock:
            self._untold.update(counts)

    @property
    def counts(self) -> dict[str, int]:
        """All faults of this process."""
        with undisturbed(), self._lock:
            return dict(self._total)

    def after_fork(self) -> None:
        """In a child process: a new lock, and no counts of the parent's."""
        self._lock = threading.RLock()
        self._total, self._untold = Counter(), Counter()


def _log(kind: str, error: BaseException | None) -> None:
    # The text of an error may hold a prompt, so it is only shown to who debugs.
    log.warning("token-calculator: %s (counted from now on; see `token-calc doctor`)", kind)
    log.debug("token-calculator: %s", kind, exc_info=error)


faults = Faults()


def never_raises(hook: Callable[P, R]) -> Callable[P, R | None]:
    """Wrap a hook so that its errors are counted and never reach the host; it then returns None."""
    where = f"{hook.__module__}.{hook.__qualname__}"

    @wraps(hook)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return hook(*args, **kwargs)
        except Exception as error:
            faults.note(where, error)
            if faults.strict:
                raise
            return None

    return guarded


def attempt(reading: Callable[..., R], *args: Any, default: R | None = None) -> R | None:
    """Read one detail from a foreign object; a failure costs that detail alone."""
    try:
        return reading(*args)
    except Exception as error:
        faults.note(f"{reading.__module__}.{reading.__qualname__}", error)
        if faults.strict:
            raise
        return default


def attempt_each(steps: Iterable[Callable[[Any], object]], target: Any) -> None:
    """Take each of some steps; a failure costs that step alone."""
    for step in steps:
        try:
            step(target)
        except Exception as error:
            faults.note(f"{step.__module__}.{step.__qualname__}", error)
            if faults.strict:
                raise


def failure_of(where: str, action: Callable[[], object]) -> Exception | None:
    """Do something, and return the error that it ended with, which is counted: for what `doctor` shows whole."""
    try:
        action()
    except Exception as error:  # noqa: BLE001  # the caller gets it
        faults.note(where, error)
        return error
    return None


def deferred(reading: Callable[..., Sequence[R]], *args: Any) -> Callable[[], Sequence[R]]:
    """Return what reads texts from a foreign object once somebody needs them; a failure costs these texts alone."""
    return partial(_read_now, reading, args)


def _read_now(reading: Callable[..., Sequence[R]], args: Sequence[Any]) -> Sequence[R]:
    return attempt(reading, *args) or ()


@contextmanager
def contained(where: str) -> Iterator[None]:
    """Count errors of a block of our own work, and go on after it."""
    try:
        yield
    except Exception as error:
        faults.note(where, error)
        if faults.strict:
            raise
