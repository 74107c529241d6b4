"""What health adds to recording: it follows conversations after the commit, and keeps their scores."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tc_core import settings
from tc_core.meter import loading
from tc_core.model.part import Part, Texts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.health.recording import Recording


def part(store: StorageBackend) -> Part | None:
    """Return what follows conversations; None where that or the ledger is off, or nothing can be written."""
    tracking = settings.load().tracking
    if not (tracking.health and tracking.ledger) or not isinstance(store, SqlStore) or store.read_only:
        return None
    return Part(name="health", after=_following(store))


def _following(store: SqlStore) -> Callable[[Sequence[Texts]], object]:
    """Return what follows conversations; it is loaded at the first text, on the thread that reads them."""
    recording: Recording | None = None

    def after(texts: Sequence[Texts]) -> None:
        nonlocal recording
        if recording is None:
            with loading.lock:
                from tc_core.health.recording import Recording
            recording = Recording(store)
        recording.after(texts)

    return after
