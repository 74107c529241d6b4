"""With which keys ids were made from texts, by the keys' own ids.

Another key is another epoch: from then on the same text has another id. Hosts that share a store share a key.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.schema.tables import HashKey, table

log = logging.getLogger("tc_core")

_KEYS = table(HashKey)


@dataclass(frozen=True, slots=True)
class Noted:
    """The keys that one transaction has noted, and whether one of them begins another epoch."""

    keys: frozenset[str] = frozenset()
    is_change: bool = False


class HashKeys:
    """The table `hash_key`; `in_use` gives the ids of the keys that this process has used."""

    def __init__(self, database: Database, interned: InternedTexts) -> None:
        self.in_use: Callable[[], frozenset[str]] = frozenset
        self._database = database
        self._interned = interned
        self._noted: frozenset[str] = frozenset()
        self._generation = interned.generation

    def note(self, connection: Connection) -> Noted:
        """Write down the keys that are in use and not known yet."""
        if self._generation != self._interned.generation:  # there is another database in the old one's place
            self._generation, self._noted = self._interned.generation, frozenset()
        new = self.in_use() - self._noted
        if not new:
            return Noted()
        known = epochs(connection).keys()
        rows = [(key, time.time_ns() // 1000) for key in sorted(new - known)]
        self._database.insert_missing(connection, "hash_key", ("id", "since"), rows)
        return Noted(new, is_change=bool(rows) and len(known) + len(rows) > 1)

    def keep(self, noted: Noted) -> None:
        """Once it is committed: note them no more, and say that an epoch has begun."""
        self._noted |= noted.keys
        if noted.is_change:
            log.warning(
                "token-calculator: %s has ids that were made from texts with another key; the same text has another id "
                "from now on. Programs and hosts that share a store set the same TOKEN_CALC_HASH_KEY.",
                self._database,
            )


def epochs(connection: Connection) -> dict[str, int]:
    """Return the ids of all keys that were used, and since when (us UTC), the oldest first."""
    return {row.id: row.since for row in connection.execute(select(_KEYS).order_by(_KEYS.c.since))}
