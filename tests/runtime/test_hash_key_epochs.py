"""With which keys ids were made from texts: hosts that share a store should share one."""

import sqlite3

import pytest

from tc_core import SQLiteStorage
from tc_core.runtime import hash_key

HOST = """
import logging, sys
logging.basicConfig(level="WARNING", stream=sys.stdout)
from tc_core import CostTracker, create_storage
from tc_core.adapter import short_id
store = create_storage(sys.argv[1])
tracker = CostTracker(store)
for _ in range(3):
    tracker.track_call("gpt-4o", 1, 1, task_type=f"task-{short_id('write a poem')}")
    store.flush()
print(sorted(store.aggregate("calls", ["task_type"]).values()), len(store.hash_keys()))
store.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    if request.param == "sqlite":
        yield str(tmp_path / "shared.db")
    else:
        with request.getfixturevalue("postgresql").database() as url:
            yield url


def test_two_hosts_with_keys_of_their_own_are_told_apart_and_warned(run_python, run_command, tmp_path, where):
    first = run_python(HOST, where, XDG_DATA_HOME=str(tmp_path / "first"))
    second = run_python(HOST, where, XDG_DATA_HOME=str(tmp_path / "second"))
    assert first == "[3] 1\n"
    warning, counted = second.splitlines()
    assert "another key" in warning
    assert "TOKEN_CALC_HASH_KEY" in warning
    assert counted == "[3, 3] 2"
    doctor = run_command("doctor", "--store", where).stdout
    assert "2 keys made ids from texts" in " ".join(doctor.split())
    again = run_python(HOST, where, XDG_DATA_HOME=str(tmp_path / "first"))
    assert again.splitlines()[-1] == "[3, 6] 2"


def test_two_hosts_with_one_key_agree(run_python, run_command, tmp_path, where):
    for host in ("first", "second"):
        said = run_python(HOST, where, XDG_DATA_HOME=str(tmp_path / host), TOKEN_CALC_HASH_KEY="shared secret")
    assert said == "[6] 1\n"
    assert "one for all" in run_command("doctor", "--store", where).stdout


def test_a_store_without_such_ids_names_no_key(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        assert store.hash_keys() == {}


def test_the_key_is_in_no_file_of_the_store(run_python, tmp_path):
    run_python(HOST, tmp_path / "s.db", TOKEN_CALC_HASH_KEY="shared secret")
    with sqlite3.connect(tmp_path / "s.db") as connection:
        ((key_id,),) = connection.execute("SELECT id FROM hash_key").fetchall()
    connection.close()
    content = (tmp_path / "s.db").read_bytes()
    assert key_id.encode() in content
    assert b"shared secret" not in content


def test_an_id_of_a_key_is_short_and_its_own(monkeypatch):
    monkeypatch.setattr(hash_key, "_used", {b"a" * 32, b"b" * 32})
    assert sorted(map(len, hash_key.used())) == [8, 8]
