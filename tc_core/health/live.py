"""What health adds to recording: it follows conversations after the commit, and keeps their scores."""

from tc_core import settings
from tc_core.health.recording import Recording
from tc_core.health.sql import Recorded
from tc_core.model.part import Part
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


def part(store: StorageBackend) -> Part | None:
    """Return what follows conversations; None where texts are not read (`ledger: false`), or nothing can be written."""
    if not settings.load().tracking.ledger or not isinstance(store, SqlStore) or store.read_only:
        return None
    return Part(name="health", after=Recording(store).after, rule_kinds=RULE_KINDS)


def _usage(health: Recorded) -> float | None:
    return health.context_usage


def _rot(health: Recorded) -> float | None:
    return health.rot_percentage


def _repetition(health: Recorded) -> float | None:
    return health.signals["repetition"]


def _injection(health: Recorded) -> float | None:
    return health.signals["injection_risk"]


RULE_KINDS = {
    "context_usage": _usage,
    "context_rot": _rot,
    "repetition": _repetition,
    "injection_risk": _injection,
}
"""Kinds of alert rules: the figure of a call's health that a threshold is held against. Use and rot are 0 to 100."""
