"""What the ledger adds to recording: it reads texts after the commit, and takes away what is not wanted any more."""

from collections.abc import Iterator

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.ledger.content import Capture, Expiry, redaction
from tc_core.ledger.recording import Recording
from tc_core.ledger.sweep import Sweep
from tc_core.model.part import Finding, Part
from tc_core.runtime.hash_key import hash_key
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


def part(store: StorageBackend) -> Part | None:
    """Return the ledger's part for a store; None where it is switched off, or has nowhere to write."""
    is_kept = settings.load().tracking.capture_content
    if not settings.load().tracking.ledger:
        return Part(name="ledger", checks=_said_of_nothing) if is_kept else None
    if not isinstance(store, SqlStore) or store.read_only:
        return None
    recording = Recording(store, hash_key, Capture() if is_kept else None)
    sweep, expiry = Sweep(store.database), Expiry(store.database)
    return Part(
        name="ledger",
        after=recording.after,
        chore=lambda: min(expiry.daily(), sweep.daily()),
        checks=_said_of_content if is_kept else None,
    )


def _said_of_nothing() -> Iterator[Finding]:
    yield Finding("warning", "content", "capture_content is on, but the ledger is off: no text is kept")


def _said_of_content() -> Iterator[Finding]:
    tracking = settings.load().tracking
    try:
        how = "as they are" if redaction() is None else "redacted"
    except ConfigurationError as error:
        yield Finding("fault", "content", f"{error}; no text is kept")
        return
    said = f"texts of prompts and answers are kept, {how}, for {tracking.content_retention_days} days"
    yield Finding("warning" if how == "as they are" else "ok", "content", said)
