"""Hosts with listeners on SQLAlchemy's classes, or with alembic: neither hears of us, nor is disturbed."""

import shutil

import pytest

from tc_core.store.engine import migrate
from tests.store.make_version import HERE

LISTENERS = {
    "sqlalchemy's recipe for transactions of sqlite": """
        @event.listens_for(Engine, "connect")
        def connect(driver, record): driver.isolation_level = None
        @event.listens_for(Engine, "begin")
        def begin(connection): connection.exec_driver_sql("BEGIN")
    """,
    "a time zone on every connection": """
        @event.listens_for(Engine, "connect")
        def connect(driver, record): driver.cursor().execute("SET TIME ZONE 'UTC'")
    """,
    "texts as bytes": """
        @event.listens_for(Pool, "connect")
        def connect(driver, record): driver.text_factory = bytes
    """,
    "a file for one connection alone": """
        @event.listens_for(Pool, "first_connect")
        def first(driver, record): driver.execute("PRAGMA locking_mode=EXCLUSIVE")
        @event.listens_for(QueuePool, "connect")
        def connect(driver, record): driver.execute("PRAGMA locking_mode=EXCLUSIVE")
    """,
    "guards that raise": """
        def guard(*_, **__): raise RuntimeError("only the host's own database here")
        for name in ("connect", "first_connect", "checkout", "checkin", "reset", "close"):
            event.listen(Pool, name, guard)
        for name in ("begin", "commit", "rollback", "engine_connect", "before_execute", "before_cursor_execute",
                     "handle_error", "engine_disposed", "set_connection_execution_options"):
            event.listen(Engine, name, guard)
        for name in ("begin", "before_cursor_execute"):
            event.listen(Connection, name, guard)
        for name in ("do_connect", "do_execute", "do_executemany", "do_execute_no_params", "handle_error"):
            event.listen(Engine, name, guard)
        event.listen(Table, "before_create", guard)
        event.listen(MetaData, "before_create", guard)
        event.listen(Session, "before_flush", guard)
    """,
    "rewritten statements": """
        @event.listens_for(Engine, "before_cursor_execute", retval=True)
        def add(connection, cursor, statement, parameters, context, many): return "/* host */ nonsense", parameters
    """,
}

PROGRAM = """
from sqlalchemy import Connection, MetaData, Table, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool, QueuePool
import tc_core
def track(): tc_core.CostTracker("s.db").track_call("gpt-4o", 10, 20)
{before}
{listeners}
track()
tc_core.SQLiteStorage(":memory:").query_events()
assert tc_core.CostTracker("s.db").get_costs().total_calls == {calls}
import sqlite3
assert sqlite3.connect("s.db", timeout=1).execute("SELECT count(*) FROM event").fetchone() == ({calls},)
print("fine")
"""


@pytest.mark.parametrize("first", ["", "track(); tc_core.flush()"], ids=["before", "after our engine is made"])
@pytest.mark.parametrize("name", LISTENERS)
def test_a_listener_on_a_class_is_none_of_our_engines(run_python, name, first):
    listeners = "\n".join(line[8:] for line in LISTENERS[name].splitlines())
    program = PROGRAM.format(before=first, listeners=listeners, calls=1 + bool(first))
    assert run_python(program) == "fine\n"


def test_a_hosts_own_engines_still_tell_its_listeners(run_python):
    program = """
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
import tc_core
heard = []
event.listen(Engine, "before_cursor_execute", lambda *said: heard.append(said[2]))
tc_core.CostTracker("s.db").track_call("gpt-4o", 10, 20)
tc_core.flush()
with create_engine("sqlite://").connect() as connection: connection.execute(text("SELECT 7"))
assert heard == ["SELECT 7"], heard
"""
    run_python(program)


ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine
import app
with create_engine("sqlite:///host.db").connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "1", None
def upgrade():
    import app
    app.count()
    op.create_table("mine", sa.Column("id", sa.Integer, primary_key=True))
"""
APP = """
import shutil, sys, tc_core
def count():
    shutil.copy(f"{old}/0002.db", "again.db")
    tc_core.CostTracker("again.db").get_costs()
tc_core.CostTracker("old.db").get_costs()
"""
MIGRATION = """
import sys; sys.path.insert(0, ".")
from alembic import command
from alembic.config import Config
config = Config()
config.set_main_option("script_location", "migrations")
command.upgrade(config, "head")
import sqlite3
assert sqlite3.connect("host.db").execute("SELECT count(*) FROM mine").fetchone() == (0,)
assert sqlite3.connect("old.db").execute("SELECT version_num FROM token_calculator_version").fetchone() == ("{head}",)
print("fine")
"""


def test_a_hosts_migration_goes_on_where_its_program_opens_an_older_store(run_python, tmp_path):
    shutil.copy(HERE / "0001.db", tmp_path / "old.db")
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "migrations" / "versions" / "1_mine.py").write_text(REVISION)
    (tmp_path / "app.py").write_text(APP.replace("{old}", str(HERE)))
    assert run_python(MIGRATION.replace("{head}", migrate.HEAD)) == "fine\n"
