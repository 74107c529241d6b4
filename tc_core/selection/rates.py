"""How many units there are a day, of late: by that a test's outcomes become days."""

from tc_core.model.clock import clock
from tc_core.selection import ab_sql
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

DAYS = 28
"""So far back is looked."""

_US_PER_DAY = 86_400_000_000


def units_a_day(store: StorageBackend, unit: str, agent_id: str | None = None) -> float | None:
    """Return how many units made calls a day in the last `DAYS` days, or since the first call; None for none.

    A unit that made calls on several days counts once.
    """
    if not isinstance(store, SqlStore):
        return None
    now_us = clock.wall_ns() // 1000
    count, first_us = ab_sql.units_between(store, unit, agent_id, now_us - DAYS * _US_PER_DAY, now_us + 1)
    return count / max(1.0, (now_us - first_us) / _US_PER_DAY) if count else None
