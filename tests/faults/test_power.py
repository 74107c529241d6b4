"""A loss of power takes what the disk has not been made to keep: commits since the last flush."""

import shutil
from itertools import count

import pytest

from tc_core import SQLiteStorage, Usage
from tc_core.record import spool, succession
from tc_core.runtime.recorders import recorder_for, spool_folder
from tc_core.store.engine.sqlite import SQLite


class Disk:
    """Knows what of a store has surely reached the disk: all commits up to the last flush."""

    def __init__(self, store, folder):
        self.flushes = 0
        self._store = store
        self._kept = folder / "kept"
        self._numbers = count()
        self.keep()

    def keep(self):
        """Take down the database as it is: a flush has just ended."""
        shutil.rmtree(self._kept, ignore_errors=True)
        self._kept.mkdir()
        for ending in ("", "-wal"):
            file = self._store.path.with_name(f"{self._store.path.name}{ending}")
            if file.exists():
                shutil.copy(file, self._kept / f"s.db{ending}")

    def after_power_loss(self, folder):
        """Return the store as the next start finds it."""
        found = folder / f"found{next(self._numbers)}"
        shutil.copytree(self._kept, found)
        if spool_folder(self._store).exists():
            shutil.copytree(spool_folder(self._store), found / "s.db.spool")
        return SQLiteStorage(found / "s.db")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "MOST_FILE_BYTES", 5_000)  # a new file every twenty calls or so
    store = SQLiteStorage(tmp_path / "s.db")
    disk, make_durable = Disk(store, tmp_path), SQLite.make_durable

    def make_durable_and_keep(database, file):
        make_durable(database, file)
        if database.path == store.path:
            disk.flushes += 1
            disk.keep()

    monkeypatch.setattr(SQLite, "make_durable", make_durable_and_keep)
    yield disk
    store.close()


def record(store, numbers):
    recorder = recorder_for(store)
    for number in numbers:
        recorder.start("llm_call", key=number, model="gpt-4o", labels={"user": str(number % 7)})
        recorder.finish(number, usage=Usage(10, 1))


def test_what_a_loss_of_power_takes_from_the_database_is_in_the_spool(disk, tmp_path):
    store = disk._store
    for part in range(12):
        record(store, range(part * 30, part * 30 + 30))
        if part % 3:
            recorder_for(store).drain()
        with disk.after_power_loss(tmp_path) as found:
            total = found.totals()[()]
            assert (total.calls, total.input_tokens) == (30 * (part + 1), 300 * (part + 1))
            assert len({event.event_id for event in found.query_events()}) == 30 * (part + 1)
            assert sum(each.calls for each in found.totals(["user"]).values()) == 30 * (part + 1)
    assert disk.flushes > 5


def test_without_the_flush_before_a_spool_file_goes_calls_would_be_lost(disk, tmp_path, monkeypatch):
    """The test above can tell."""

    def delete_at_once(self, file):
        file.delete()
        self._sink.forget(file.name)

    monkeypatch.setattr(succession.Succession, "delete", delete_at_once)
    record(disk._store, range(200))
    recorder_for(disk._store).drain()
    with disk.after_power_loss(tmp_path) as found:
        assert found.totals()[()].calls < 200
