"""The small keys of label sets, found by a hash of their text; its unique index says which of several writers made one.

They are looked up for each batch: retention lets go of sets that no event has, also of those that this process knew.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from tc_core.store.engine.database import ConflictError, Database, chunks


def label_set_keys(connection: Connection, database: Database, bodies: Mapping[int, str]) -> dict[int, int]:
    """Return the key of each set by the hash of its text, writing those that are new.

    Raises ConflictError where a new one's key was taken meanwhile.
    """
    found = _find(connection, database, list(bodies))
    new = sorted(bodies.keys() - found.keys())  # in order, so that no two writers wait for each other
    if not new:
        return found
    keys = database.allocate_keys(connection, "label_set", "id", len(new))
    rows = [(key, hash_, bodies[hash_]) for key, hash_ in zip(keys, new, strict=True)]
    database.insert_missing(connection, "label_set", ("id", "hash", "body"), rows)
    found |= _find(connection, database, new) if database.writers_overlap else zip(new, keys, strict=True)
    if len(found) < len(bodies):
        raise ConflictError(f"cannot write {database}: the key of a label set was taken meanwhile")
    return found


def _find(connection: Connection, database: Database, hashes: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for some in chunks(hashes):
        is_wanted, parameters = database.one_of("hash", some)
        question = f"SELECT hash, id FROM label_set WHERE {is_wanted}"
        found.update((hash_, key) for hash_, key in connection.exec_driver_sql(question, parameters))
    return found
