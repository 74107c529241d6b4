import gc
import threading
import time

import pytest

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.store.storages import InMemoryStorage, PostgreSQLStorage, SQLiteStorage, create_storage
from tests.store.contract import RevisionContract, StorageContract, call


class TestMemory(StorageContract, RevisionContract):
    @pytest.fixture
    def store(self):
        return InMemoryStorage()


def test_two_stores_in_memory_are_two():
    first, second = InMemoryStorage(), SQLiteStorage(":memory:")
    first.save_event(call())
    assert (first.aggregate("calls"), second.aggregate("calls")) == ({(): 1}, {(): 0})


def test_a_closed_store_in_memory_still_has_what_was_saved():
    store = InMemoryStorage()
    store.save_event(call())
    store.close()
    assert store.aggregate("calls") == {(): 1}


@pytest.mark.parametrize("wanted", ["memory", "Memory", ":memory:", "memory://", "sqlite://"])
def test_kinds_of_memory(wanted):
    assert isinstance(create_storage(wanted), InMemoryStorage)


@pytest.mark.slow
def test_ten_thousand_events_take_little_memory():
    import tracemalloc

    store = InMemoryStorage()
    store.save_event(call())
    tracemalloc.start()
    for start in range(0, 10_000, 1000):
        store.save_events([call(n, labels={"user_id": str(n % 50)}) for n in range(start, start + 1000)])
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pages = 0
    with store._database.reading() as connection:
        pages = (
            connection.exec_driver_sql("PRAGMA page_count").scalar()
            * connection.exec_driver_sql("PRAGMA page_size").scalar()
        )
    assert held + pages < 5_000_000


def test_a_store_that_is_dropped_leaves_no_thread():
    from tc_core import CostTracker

    before = set(threading.enumerate())
    for _ in range(5):
        CostTracker(InMemoryStorage()).track_call("gpt-4o", 1, 1)
    gc.collect()

    def left():
        threads = set(threading.enumerate()) - before
        return [thread for thread in threads if thread.name != "token-calculator-alarms"]  # one for all stores

    deadline = time.monotonic() + 5
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left()


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        ("memory", {"path": "s.db"}),
        ("sqlite", {"pathh": "s.db"}),
        ("s.db", {"timeout": 5}),
        ("postgresql", {"url": "postgresql://127.0.0.1:9/db", "host": "elsewhere"}),
        ("postgresql", {"hots": "127.0.0.1"}),
    ],
)
def test_an_option_that_a_kind_does_not_have_is_named(wanted, options, tmp_path):
    with pytest.raises(ConfigurationError, match=f"cannot use .*{[*options][-1]}"):
        create_storage(wanted, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://u:secret@127.0.0.1/db", "sqlite:///s.db", "http://u:secret@127.0.0.1/db"])
def test_the_url_of_another_kind_is_no_server_of_ours(url):
    with pytest.raises(ConfigurationError, match="cannot read the PostgreSQL URL") as refused:
        PostgreSQLStorage(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["postgres", "PostgreSQL"])
def test_kinds_are_known_by_their_names_however_they_are_written(kind, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_STORAGE", kind)
    monkeypatch.setenv("TOKEN_CALC_PG_HOST", "db.internal")
    assert settings.load().store.startswith("postgresql://db.internal")
