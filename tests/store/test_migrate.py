import sqlite3

import pytest

from tc_core.store.engine import migrate
from tc_core.store.engine.sqlite import SQLite
from tc_core.store.schema.tables import SEED
from tc_core.store.storages import SQLiteStorage


def schema(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name").fetchall()
    columns = {
        name: sorted(tuple(column)[1:] for column in connection.execute(f"PRAGMA table_info({name})"))
        for kind, name, _ in rows
        if kind in ("table", "view")
    }
    indexes = {
        name: (
            [tuple(column)[1:] for column in connection.execute(f"PRAGMA index_info({name})")],
            next(tuple(each)[2:] for each in connection.execute(f"PRAGMA index_list({table})") if each[1] == name),
        )
        for kind, name, table in rows
        if kind == "index"
    }
    seed = connection.execute("SELECT id, kind, value FROM dimension ORDER BY id").fetchall()
    version = connection.execute(f"SELECT * FROM {migrate.VERSION_TABLE}").fetchall()
    connection.close()
    return rows, columns, indexes, seed, version


def test_a_new_store_is_what_the_migrations_make(tmp_path):
    SQLiteStorage(tmp_path / "new.db").close()
    database = SQLite(tmp_path / "migrated.db")
    database.prepare()
    with database.writing() as connection:
        migrate._upgrade(connection, database)
    database.close()
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "new.db")


def test_the_newest_version_is_the_head_of_the_migrations():
    assert migrate.HEAD in migrate._known_versions()
    assert max(migrate._known_versions()) == migrate.HEAD


def test_reserved_keys_never_move():
    # Stores in the world hold these numbers; a new word goes behind the last of its kind.
    assert [key for key, _, _ in SEED[:8]] == [1, 2, 3, 4, 5, 6, 7, 21]
    assert {key: (kind, value) for key, kind, value in SEED} == {
        1: ("event_type", "llm_call"),
        2: ("event_type", "embedding"),
        3: ("event_type", "tool"),
        4: ("event_type", "retrieval"),
        5: ("event_type", "agent"),
        6: ("event_type", "task"),
        7: ("event_type", "workflow"),
        21: ("status", "open"),
        22: ("status", "ok"),
        23: ("status", "error"),
        24: ("status", "cancelled"),
        25: ("status", "closed"),
        26: ("status", "abandoned"),
        41: ("usage_source", "provider"),
        42: ("usage_source", "exact"),
        43: ("usage_source", "proxy"),
        44: ("usage_source", "estimate"),
        61: ("relation", "triggered_by"),
        62: ("relation", "part_of"),
        63: ("relation", "derived_from"),
        64: ("relation", "retry_of"),
        65: ("relation", "fallback_for"),
        66: ("relation", "enhancement_of"),
        67: ("relation", "validation_of"),
        68: ("relation", "continuation_of"),
        81: ("relation_source", "framework"),
        82: ("relation_source", "content"),
        83: ("relation_source", "user"),
    }


def test_opening_a_store_of_today_does_not_load_alembic(run_python, tmp_path):
    SQLiteStorage(tmp_path / "s.db").close()
    program = (
        "import sys; from tc_core import SQLiteStorage\n"
        "SQLiteStorage('s.db').query_events(); print('alembic' in sys.modules)"
    )
    assert run_python(program).strip() == "False"


def test_a_failed_migration_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "old.db"
    SQLiteStorage(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '0000'")
    connection.commit()
    connection.close()
    before = schema(path)
    monkeypatch.setattr(migrate, "_known_versions", lambda: {"0000", "0001"})
    with pytest.raises(Exception, match="0000"):
        SQLiteStorage(path)
    assert schema(path) == before
