"""A store that is encrypted at rest: nobody reads it without its key, nor anything that lies beside it."""

import pickle
import textwrap

import pytest

import tc_core
from tc_core import (
    BudgetTracker,
    ConfigurationError,
    CostTracker,
    SQLiteStorage,
    StorageError,
    TrackingEvent,
    create_storage,
    flush,
)
from tc_core.runtime.store_keeper import StoreKeeper
from tc_core.store.engine import driver

pytest.importorskip("sqlcipher3", reason="the extra encrypted is not installed")

KEY = "correct \"horse\" 'battery' 馬"
CANARY = "CANARY-7f3a"


@pytest.fixture(autouse=True)
def _no_key_known():
    driver._derived.cache_clear()
    yield
    driver._derived.cache_clear()


def fill(store):
    """Record a call and a budget that hold the canary."""
    CostTracker(store).track_call("gpt-4o", 1000, 10, agent_id=CANARY, team=CANARY, metadata={"note": CANARY})
    budgets = BudgetTracker(store)
    budgets.set_budget(5, "month", {"agent_id": CANARY}, name=CANARY, hard=True)
    flush()
    with budgets.reserve(0.01, agent_id=CANARY):
        pass


def secret_of_environment():
    return KEY


def test_nothing_that_is_written_can_be_read(tmp_path):
    with SQLiteStorage(tmp_path / "costs.db", key=KEY) as store:
        fill(store)
        assert store.is_encrypted
        assert CostTracker(store).get_costs(group_by="agent_id").groups[0].key == {"agent_id": CANARY}
        written = {path.name: path.read_bytes() for path in tmp_path.rglob("costs.db*") if path.is_file()}
    assert {"costs.db", "costs.db-wal", "costs.db.budgets"} <= written.keys()
    assert not [name for name in written if "spool" in name]
    for name, content in written.items():
        assert CANARY.encode() not in content, name
        assert not content.startswith(driver.MAGIC), name
        assert KEY.encode() not in content, name


def test_the_same_with_a_plain_store_is_readable(tmp_path):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        fill(store)
    assert CANARY.encode() in (tmp_path / "costs.db").read_bytes()  # so that the test above can fail


@pytest.mark.parametrize("key", ["open-sesame", f"{KEY} ", f"x'{'0' * 64}'"])
def test_another_key_is_said(tmp_path, key):
    with SQLiteStorage(tmp_path / "costs.db", key=KEY) as store:
        fill(store)
    with pytest.raises(StorageError, match=r"costs.db: the key does not fit, or it is no encrypted store") as raised:
        SQLiteStorage(tmp_path / "costs.db", key=key).query_events()
    assert key not in str(raised.value)


def test_without_a_key_it_is_said_how_to_give_it(tmp_path):
    with SQLiteStorage(tmp_path / "costs.db", key=KEY) as store:
        fill(store)
    with pytest.raises(StorageError, match=r"if it is encrypted, set TOKEN_CALC_STORAGE_KEY or give its key"):
        SQLiteStorage(tmp_path / "costs.db").query_events()


def test_a_plain_store_is_not_written_to_where_a_key_is_given(tmp_path, monkeypatch):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        fill(store)
    monkeypatch.setenv(driver.VARIABLE, KEY)
    with pytest.raises(StorageError, match=r"costs.db: it is not encrypted, but there is a key for it"):
        SQLiteStorage(tmp_path / "costs.db").query_events()


@pytest.mark.parametrize("key", ["", "a\0b", lambda: "", lambda: None])
def test_what_is_no_key(tmp_path, key):
    with pytest.raises(ConfigurationError, match="the key of a store must be a text that is not empty"):
        SQLiteStorage(tmp_path / "costs.db", key=key).save_event(TrackingEvent(event_type="tool"))


def test_the_ways_to_give_it(tmp_path, monkeypatch):
    with SQLiteStorage(tmp_path / "costs.db", key=KEY) as store:
        fill(store)
    monkeypatch.setenv(driver.VARIABLE, KEY)
    named = [tmp_path / "costs.db", f"sqlite:///{tmp_path / 'costs.db'}"]
    for each in (SQLiteStorage(named[0]), *map(create_storage, named)):
        assert len(each.query_events()) == 1
        each.close()
    monkeypatch.delenv(driver.VARIABLE)
    for each in (
        SQLiteStorage(named[0], key=secret_of_environment),
        *(create_storage(name, key=KEY) for name in named),
        create_storage("sqlite", path=named[0], key=KEY),
    ):
        assert len(each.query_events()) == 1
        each.close()
    for kind in ("memory", "postgresql://me@nowhere/db"):
        with pytest.raises(ConfigurationError):
            create_storage(kind, key=KEY)
    with pytest.raises(ConfigurationError, match="in memory takes no key"):
        SQLiteStorage(":memory:", key=KEY)


def test_a_raw_key_is_taken_as_it_is(tmp_path):
    raw = f"x'{'ab' * 32}'"
    with SQLiteStorage(tmp_path / "costs.db", key=raw) as store:
        fill(store)
    with SQLiteStorage(tmp_path / "costs.db", key=raw) as store:
        assert len(store.query_events()) == 1
    assert driver._derived.cache_info().misses == 0


def test_the_key_is_made_once_for_each_file(tmp_path):
    path = tmp_path / "costs.db"
    for _ in range(5):
        with SQLiteStorage(path, key=KEY) as store:
            store.save_event(TrackingEvent(event_type="tool"))
    assert driver._derived.cache_info().misses == 1
    assert driver._derived.cache_info().hits >= 4


def test_the_tools_of_sqlcipher_open_it_with_the_same_text(tmp_path):
    from sqlcipher3 import dbapi2

    with SQLiteStorage(tmp_path / "costs.db", key="plain words") as store:
        fill(store)
    connection = dbapi2.connect(str(tmp_path / "costs.db"))
    connection.execute("PRAGMA key = 'plain words'")
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
    connection.close()


def test_a_pickle_never_holds_the_key(tmp_path, monkeypatch):
    path = tmp_path / "costs.db"
    with SQLiteStorage(path, key=KEY) as store:
        fill(store)
        pickled = pickle.dumps(store)
    assert KEY.encode() not in pickled
    assert b"battery" not in pickled
    with pytest.raises(StorageError, match="set TOKEN_CALC_STORAGE_KEY"):
        pickle.loads(pickled).query_events()
    monkeypatch.setenv(driver.VARIABLE, KEY)
    assert len(pickle.loads(pickled).query_events()) == 1
    monkeypatch.delenv(driver.VARIABLE)
    with SQLiteStorage(path, key=secret_of_environment) as store:
        assert len(pickle.loads(pickle.dumps(store)).query_events()) == 1


def test_the_key_is_in_no_log_and_no_repr(tmp_path, caplog, capfd):
    caplog.set_level("DEBUG", logger="")
    with SQLiteStorage(tmp_path / "costs.db", key="sesame-open") as store:
        fill(store)
        said = f"{store!r} {store.database} {store.database.engine} {vars(store)}"
    with pytest.raises(StorageError):
        SQLiteStorage(tmp_path / "costs.db", key="other").query_events()
    out, err = capfd.readouterr()
    assert "sesame-open" not in said + caplog.text + out + err
    assert err == ""  # SQLCipher would tell of a wrong key there


def test_two_processes_record_into_one_that_is_new(tmp_path, run_python):
    program = """
import sys, tc_core
tracker = tc_core.CostTracker(tc_core.SQLiteStorage(sys.argv[1]))
for _ in range(50): tracker.track_call("gpt-4o", 10, 1)
assert tc_core.flush(30)
"""
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "costs.db"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: run_python(program, path, TOKEN_CALC_STORAGE_KEY=KEY), range(2)))
    with SQLiteStorage(path, key=KEY) as store:
        assert store.totals()[()].calls == 100
        assert not [each for each in StoreKeeper(store).check() if each.state == "fault"]


def test_an_encrypted_copy(tmp_path, run_command, month):
    made = tmp_path / "safe.db"
    said = run_command("db", "encrypt", made, "--store", month, TOKEN_CALC_STORAGE_KEY=KEY)
    assert said.stdout.splitlines()[0] == f"{made} is encrypted."
    assert b"gpt-4o" not in made.read_bytes()
    assert made.stat().st_mode & 0o777 == 0o600
    with SQLiteStorage(month) as plain, SQLiteStorage(made, key=KEY) as safe:
        assert safe.totals(("day", "model")) == plain.totals(("day", "model"))
        assert safe.query_events() == plain.query_events()
        before, after = (tc_core.ProvenanceAnalyzer(each).waterfall() for each in (plain, safe))
        assert before == after
        with pytest.raises(StorageError, match="is no plain file that could be encrypted"):
            StoreKeeper(safe).encrypt(tmp_path / "more.db", KEY)
    again = run_command("db", "encrypt", made, "--store", month, TOKEN_CALC_STORAGE_KEY=KEY)
    assert (again.returncode, again.stderr.strip()) == (3, f"{made} exists: name a new file")
    none = run_command("db", "encrypt", tmp_path / "other.db", "--store", month)
    assert none.stderr.startswith("TOKEN_CALC_STORAGE_KEY is not set")


def test_what_goes_wrong_in_the_middle_leaves_no_copy_that_looks_whole(tmp_path, month):
    """The key is asked for twice: for the copy, and to open what was made."""
    answers = iter((KEY,))

    def interrupted_key():
        try:
            return next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    with SQLiteStorage(month) as plain, pytest.raises(KeyboardInterrupt):
        StoreKeeper(plain).encrypt(tmp_path / "safe.db", interrupted_key)
    assert not list(tmp_path.iterdir())


def test_a_copy_that_is_killed_in_the_middle_has_another_name(tmp_path, month, run_python):
    program = f"""
        import os
        from tc_core import SQLiteStorage
        from tc_core.runtime.store_keeper import StoreKeeper

        answers = iter(("a key",))
        def key():
            return next(answers, None) or os._exit(0)

        StoreKeeper(SQLiteStorage({str(month)!r})).encrypt({str(tmp_path / "safe.db")!r}, key)
        raise SystemExit("it was not killed")
    """
    run_python(textwrap.dedent(program))
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    with SQLiteStorage(month) as plain:
        StoreKeeper(plain).encrypt(tmp_path / "safe.db", KEY)
    with SQLiteStorage(tmp_path / "safe.db", key=KEY) as safe:
        assert safe.totals()[()].calls


def test_a_store_that_is_encrypted_already_is_not_asked_for_the_key_that_is_there(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "safe.db", key=KEY) as safe:
        fill(safe)
    asked = ("db", "encrypt", tmp_path / "more.db", "--store", tmp_path / "safe.db")
    said = run_command(*asked, TOKEN_CALC_STORAGE_KEY=KEY)
    assert (said.returncode, said.stderr.strip()) == (
        3,
        f"{tmp_path / 'safe.db'} is encrypted already, or no store: name a plain one with --store",
    )
    assert not (tmp_path / "more.db").exists()


def test_without_the_extra_the_line_that_installs_it_is_said(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    with pytest.raises(ImportError, match=r"pip install 'token-calculator-suite\[encrypted\]'"):
        SQLiteStorage(tmp_path / "costs.db", key=KEY)
