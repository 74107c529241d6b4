"""What the ledger adds to recording: it reads texts after the commit, and sweeps what nothing refers to any more."""

from tc_core import settings
from tc_core.ledger.recording import Recording
from tc_core.ledger.sweep import Sweep
from tc_core.model.part import Part
from tc_core.runtime.hash_key import hash_key
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


def part(store: StorageBackend) -> Part | None:
    """Return the ledger's part for a store; None where it is switched off, or has nowhere to write."""
    if not settings.load().tracking.ledger or not isinstance(store, SqlStore) or store.read_only:
        return None
    return Part(name="ledger", after=Recording(store, hash_key).after, chore=Sweep(store.database).daily)
