import gc
import threading

import pytest

from tc_core.store.storages import InMemoryStorage, SQLiteStorage, create_storage
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

    before = threading.active_count()
    for _ in range(5):
        CostTracker(InMemoryStorage()).track_call("gpt-4o", 1, 1)
    gc.collect()
    deadline = threading.Event()
    for _ in range(50):
        if threading.active_count() <= before:
            break
        deadline.wait(0.1)
    assert threading.active_count() <= before
