"""The small keys of repeating texts, both ways.

Keys never change and rows are never deleted, so a cache of them is right as long as the database is the same one, in
every process. It only takes up what a transaction has committed.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from tc_core.model.scope import label_text
from tc_core.store.engine.database import Database, chunks
from tc_core.store.schema.tables import SEED, SEED_KEYS, Dimension, table

Term = tuple[str, str]
"""A kind and a value."""

_MOST_CACHED = 50_000
_TABLE = table(Dimension)


class InternedTexts:
    """The table `dimension`, with a bounded cache."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[Term, int] = {}
        self._values: dict[int, str] = {}
        self.generation = 0
        """Changes with `clear`: what others have worked out from keys is to be forgotten then."""
        self.clear()

    def clear(self) -> None:
        """Forget all but the rows that every store has."""
        self.generation += 1
        self._keys = dict(SEED_KEYS)
        self._values = {key: value for key, _, value in SEED}

    def keys(self, connection: Connection, terms: set[Term]) -> dict[Term, int]:
        """Return the key of each term, writing those that are new, for use inside this transaction."""
        cached = self._keys
        missing = [term for term in terms if term not in cached]
        if not missing:
            return cached
        storable = {(kind, value): (kind, label_text(value)) for kind, value in missing}
        # In order, so that no two writers wait for each other.
        self._database.insert_missing(connection, "dimension", ("kind", "value"), sorted(set(storable.values())))
        found = self._look_up(connection, list(set(storable.values())))
        return {
            **{term: cached[term] for term in terms if term in cached},
            **{term: found[stored] for term, stored in storable.items()},
        }

    def keep(self, keys: Mapping[Term, int]) -> None:
        """Take up keys whose transaction is committed."""
        if keys is self._keys:
            return
        if len(self._keys) + len(keys) > _MOST_CACHED:
            self.clear()
        for term, key in keys.items():
            self._keys[term] = key
            self._values[key] = label_text(term[1])

    def find(self, connection: Connection, kind: str, values: Iterable[str]) -> list[int]:
        """Return the keys of those values that the store knows."""
        terms = [(kind, value) for value in values]
        found = {term: self._keys[term] for term in terms if term in self._keys}
        missing = [term for term in terms if term not in found]
        if missing:
            looked_up = self._look_up(connection, missing)
            self.keep(looked_up)
            found |= looked_up
        return list(found.values())

    def values(self, connection: Connection, keys: set[int]) -> dict[int, str]:
        """Return the text of each key."""
        values = self._values
        missing = sorted(key for key in keys if key not in values)
        if not missing:
            return values
        looked_up: dict[Term, int] = {}
        for some in chunks(missing):
            for row in connection.execute(select(_TABLE).where(_TABLE.c.id.in_(some))):
                looked_up[row.kind, row.value] = row.id
        known = {key: values[key] for key in keys if key in values}
        self.keep(looked_up)
        return known | {key: value for (_, value), key in looked_up.items()}

    def _look_up(self, connection: Connection, terms: list[Term]) -> dict[Term, int]:
        by_kind: dict[str, list[str]] = {}
        for kind, value in terms:
            by_kind.setdefault(kind, []).append(value)
        found: dict[Term, int] = {}
        for kind, values in by_kind.items():
            for some in chunks(values):
                is_wanted, parameters = self._database.one_of("value", some)
                question = f"SELECT id, value FROM dimension WHERE {is_wanted} AND kind = {self._database.placeholder}"
                for key, value in connection.exec_driver_sql(question, (*parameters, kind)):
                    found[kind, value] = key
        return found
