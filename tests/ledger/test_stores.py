"""The ledger in both kinds of store: what it keeps, what leaves with its events, and what others must not disturb."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import SQLiteStorage
from tc_core.ledger.sweep import Sweep
from tc_core.model.clock import clock
from tc_core.record.guard import faults
from tc_core.runtime.recorders import wait_for_parts
from tests.ledger.conftest import LONG, SYSTEM, Ledger, asked, brought, of, said, user

TABLES = ("segment", "node", "prompt", "produced")


def counts(store):
    with store.question() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in TABLES}


def talk(ledger, name="a"):
    prompt = [SYSTEM, user(f"a flight to {name} please")]
    first = ledger.call(prompt, [asked("search", to=name)], tokens=200)
    ledger.tool("search", f"{name}: {LONG}")
    prompt += [asked("search", to=name), brought(f"{name}: {LONG}")]
    return first, ledger.call(prompt, [said("at 10:40")], tokens=600)


def test_what_is_sent_again_and_what_continues_what(each_ledger):
    first, second = talk(each_ledger)
    relations = each_ledger.relations()
    assert relations["continuation_of"] == {(second, first)}
    rows = of(each_ledger.waterfall())
    assert rows["tool search"].tokens > 300
    assert sum(row.tokens for row in rows.values()) == 800


def test_each_turn_adds_only_what_is_new(each_ledger):
    talk(each_ledger)
    each_ledger.relations()
    assert counts(each_ledger.store) == {"segment": 5, "node": 5, "prompt": 2, "produced": 3}
    talk(each_ledger)
    each_ledger.relations()
    assert counts(each_ledger.store) == {"segment": 5, "node": 5, "prompt": 4, "produced": 6}


def test_what_leaves_the_store_is_swept_and_what_stays_is_whole(each_ledger):
    store = each_ledger.store
    talk(each_ledger, "Rome")
    each_ledger.relations()
    kept = counts(store)
    old = Ledger(store)
    talk(old, "Oslo")
    assert wait_for_parts(store, 60)
    before = of(each_ledger.waterfall())["system prompt"].tokens
    with store.question() as connection:
        keys = [key for (key,) in connection.exec_driver_sql("SELECT key FROM event ORDER BY key")][-3:]
    from tc_core.store.keep import deletion

    store.database.transact(lambda connection: deletion.remove(connection, store.database, keys))
    sweep = Sweep(store.database)
    while sweep.step():
        pass
    assert counts(store) == kept
    assert of(each_ledger.waterfall())["system prompt"].tokens < before
    assert [finding.state for finding in store.check() if finding.state == "fault"] == []


def test_retention_takes_the_ledger_along(tmp_path, monkeypatch):
    with SQLiteStorage(tmp_path / "s.db") as store:
        talk(Ledger(store))
        assert wait_for_parts(store, 60)
        later = (datetime.now(UTC) + timedelta(days=40)).timestamp()
        monkeypatch.setattr(clock, "wall_ns", lambda: int(later * 1e9))
        retention = store.retention(30)
        while retention.step():
            pass
        sweep = Sweep(store.database)
        while sweep.step():
            pass
        assert counts(store) == dict.fromkeys(TABLES, 0)


def test_several_threads_and_two_stores_on_one_file_write_the_same_tree(tmp_path):
    stores = [SQLiteStorage(tmp_path / "s.db") for _ in range(2)]
    ledgers = [Ledger(store) for store in stores]
    threads = [threading.Thread(target=talk, args=(Ledger(store), f"city {n}")) for n in range(6) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(wait_for_parts(store, 60) for store in stores)
    found = ledgers[0].waterfall()
    assert (found.calls, sum(row.tokens for row in found.rows)) == (24, 24 // 2 * 800)
    assert "calls without details" not in of(found)
    for store in stores:
        store.close()


def test_no_text_is_stored(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        ledger = Ledger(store)
        ledger.call([SYSTEM, user("canary-4711 sings")], [said("canary-4712 answers")])
        ledger.tool("search", "canary-4713 is found")
        assert wait_for_parts(store, 60)
        assert counts(store)["segment"] == 4
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary" not in everything


@pytest.mark.swallows
def test_two_contents_with_one_id_are_counted(tmp_path):
    with SQLiteStorage(tmp_path / "first.db") as first, SQLiteStorage(tmp_path / "second.db") as second:
        talk(Ledger(first))
        assert wait_for_parts(first, 60)
        assert faults.counts == {}
        with first.question() as connection:
            rows = connection.exec_driver_sql("SELECT id, tail + 1, tokens FROM segment").all()
        columns = ("id", "tail", "tokens")
        second.database.transact(
            lambda connection: second.database.insert_missing(
                connection, "segment", columns, [tuple(row) for row in rows]
            )
        )
        talk(Ledger(second))
        assert wait_for_parts(second, 60)
    assert faults.counts == {"ledger: two contents have one id, and are taken for the same": len(rows)}
