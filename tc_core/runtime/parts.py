"""The parts of all branches: nothing else in the trunk knows them.

A branch that has tables names them in `tables.py`, and one that adds to recording says what in `live.py`: a function
`part(store)` that returns a `Part`, or None. Opening a store loads all tables; its parts are made once, when it is
first written to, recorded into or examined.
"""

from collections.abc import Callable
from importlib import import_module

from tc_core import settings
from tc_core.model.part import Part
from tc_core.record.enrich import METERING
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

TABLES: list[str] = [
    "tc_core.ledger.tables",
    "tc_core.health.tables",
    "tc_core.budgets.tables",
    "tc_core.alerts.tables",
    "tc_core.selection.ab_tables",
    "tc_core.selection.policies.tables",
    "tc_core.web.tables",
]
"""The modules of branches whose import makes their tables known."""

LIVE: list[str] = [
    "tc_core.ledger.live",
    "tc_core.health.live",
    "tc_core.selection.policies.live",  # before budgets, which reserve for the model that is asked in the end
    "tc_core.budgets.live",
    "tc_core.alerts.live",
    "tc_core.selection.ab_live",
]
"""The modules of branches that have a function `part`."""


def load_tables() -> None:
    """Make the tables of all branches known."""
    for name in TABLES:
        import_module(name)


def parts_of(store: StorageBackend) -> list[Part]:
    """Make the parts for a store: first those of the trunk itself, then those of the branches."""
    makers: list[Callable[[StorageBackend], Part | None]] = [import_module(name).part for name in LIVE]
    found = [METERING, _retention(store), *(make(store) for make in makers)]
    return [part for part in found if part is not None]


def _retention(store: StorageBackend) -> Part | None:
    days = settings.load().storage.retention_days
    if days is None or not isinstance(store, SqlStore) or store.read_only:
        return None
    return Part(name="retention", chore=store.retention(days).daily)
