"""With which keys ids were made from texts: hosts that share a store should share one."""

import json

import pytest

from tc_core import CostTracker, SQLiteStorage
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
    warning, counted = second.splitlines()  # one warning for three batches
    assert "another key" in warning
    assert "TOKEN_CALC_HASH_KEY" in warning
    assert counted == "[3, 3] 2"
    doctor = run_command("doctor", "--quick", "--store", where).stdout
    assert "warning hash key 2 keys made ids from texts" in " ".join(doctor.split())
    again = run_python(HOST, where, XDG_DATA_HOME=str(tmp_path / "first"))
    assert again.splitlines()[-1] == "[3, 6] 2"


def test_two_hosts_with_one_key_agree(run_python, run_command, tmp_path, where):
    for host in ("first", "second"):
        said = run_python(HOST, where, XDG_DATA_HOME=str(tmp_path / host), TOKEN_CALC_HASH_KEY="shared secret")
    assert said == "[6] 1\n"
    assert "one for all" in run_command("doctor", "--quick", "--store", where).stdout


def test_a_store_without_such_ids_names_no_key(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        assert store.hash_keys() == {}


def test_a_key_that_changes_on_one_machine_is_warned_of_too(run_python):
    said = [run_python(HOST, "s.db", TOKEN_CALC_HASH_KEY=key) for key in ("first", "second", "second")]
    assert ["another key" in each for each in said] == [False, True, False]


def test_a_key_that_changes_before_anything_is_written_is_warned_of(tmp_path, monkeypatch, caplog):
    with SQLiteStorage(tmp_path / "s.db") as store:
        tracker = CostTracker(store)
        for key in ("first", "second"):
            monkeypatch.setenv("TOKEN_CALC_HASH_KEY", key)
            tracker.track_call("gpt-4o", 1, 1, task_type=hash_key.short_id("write a poem"))
        store.flush()
        assert len(store.hash_keys()) == 2
    assert caplog.text.count("another key") == 1


def test_doctor_names_few_of_many_keys(tmp_path, monkeypatch, run_command):
    with SQLiteStorage(tmp_path / "s.db") as store:
        tracker = CostTracker(store)
        for key in range(20):  # as containers do whose files go with them
            monkeypatch.setenv("TOKEN_CALC_HASH_KEY", str(key))
            tracker.track_call("gpt-4o", 1, 1, task_type=hash_key.short_id("write a poem"))
            store.flush()
        ids = list(store.hash_keys())
    findings = json.loads(run_command("doctor", "--quick", "--store", tmp_path / "s.db", "--json").stdout)
    (found,) = [finding for finding in findings if finding["subject"] == "hash key"]
    assert found["state"] == "warning"
    assert found["said"].startswith("20 keys made ids from texts")
    assert [id_ for id_ in ids if id_ in found["said"]] == [ids[0], *ids[-3:]]
    assert ", 16 more, " in found["said"]


@pytest.mark.parametrize("said", [{}, {"TOKEN_CALC_HASH_KEY": "shared secret"}], ids=["kept", "said"])
def test_the_key_is_in_no_file_of_the_store(run_python, tmp_path, said):
    program = f"""{HOST.removesuffix("store.close()" + chr(10))}
import os, signal
from tc_core.runtime.hash_key import hash_key
tracker.track_call("gpt-4o", 1, 1, task_type=f"task-{{short_id('write a poem')}}")
print(hash_key().hex(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    key = run_python(program, "s.db", check=False, **said).stdout.split()[-1]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "hash.key"]
    assert {path.suffix for path in files} == {".db", ".db-wal", ".db-shm", ".spool"}
    content = b"".join(path.read_bytes() for path in files)
    with SQLiteStorage(tmp_path / "s.db") as store:
        ((key_id, _),) = store.hash_keys().items()
    assert key_id.encode() in content
    for secret in (b"shared secret", bytes.fromhex(key), key.encode()):
        assert secret not in content


def test_an_id_of_a_key_is_short_and_its_own(monkeypatch):
    monkeypatch.setattr(hash_key, "_used", {b"a" * 32, b"b" * 32})
    assert sorted(map(len, hash_key.used())) == [8, 8]
