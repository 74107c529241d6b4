"""A host that uses SQLModel itself: its tables and ours know nothing of each other, in whatever order they are made."""

import pytest

HOST = """
from sqlmodel import Field, Session, SQLModel, create_engine, select
{ours_first}
NAMES = {names}
def model(name):
    fields = {{"__annotations__": {{"id": int | None, "title": str}}, "id": Field(default=None, primary_key=True)}}
    return type(SQLModel)(name.title().replace("_", ""), (SQLModel,), {{**fields, "__tablename__": name,
        "__module__": "host"}}, table=True)
models = [model(name) for name in NAMES]
Event = next(each for each in models if each.__tablename__ == "event")
{ours_last}
engine = create_engine("sqlite:///host.db")
SQLModel.metadata.create_all(engine)
with Session(engine) as session:
    session.add(Event(title="a concert"))
    session.commit()
    assert session.exec(select(Event)).one().title == "a concert"
import sqlite3
tables = {{name for name, in sqlite3.connect("host.db").execute("SELECT name FROM sqlite_master WHERE type = 'table'")}}
assert tables == set(NAMES), tables
with tc_core.SQLiteStorage("ours.db") as store:
    tc_core.CostTracker(store).track_call("gpt-4o", 10, 20)
    assert len(store.query_events()) == 1
    columns = [row[1] for row in sqlite3.connect("ours.db").execute("PRAGMA table_info(event)")]
    assert "title" not in columns and "cost_nanos" in columns
print("fine")
"""

OURS = """
import tc_core
tc_core.CostTracker(tc_core.SQLiteStorage("ours.db")).track_call("gpt-4o", 1, 2)
import os; tc_core.flush(); os.remove("ours.db")
"""


@pytest.mark.parametrize("names", ["['event']", "sorted(ours)"], ids=["event", "all of our names"])
@pytest.mark.parametrize("is_ours_first", [True, False], ids=["ours first", "the host first"])
def test_a_hosts_own_tables_may_have_our_names(run_python, tmp_path, monkeypatch, names, is_ours_first):
    from tc_core.store.schema.tables import StoreTable

    monkeypatch.chdir(tmp_path)
    names = names.replace("ours", repr(set(StoreTable.metadata.tables)))
    ours = "import tc_core, tc_core.store.sql"
    program = HOST.format(names=names, ours_first=ours if is_ours_first else "", ours_last=ours)
    assert run_python(program).strip() == "fine"
