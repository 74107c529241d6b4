"""The archive: an event is in the store or in a file, and never in both or in neither, whenever the process dies."""

import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tc_core import (
    ConfigurationError,
    InMemoryStorage,
    ProvenanceRelationship,
    SQLiteStorage,
    StorageError,
    StoreKeeper,
)
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.ports import Batch
from tc_core.store.engine.database import Database
from tc_core.store.keep import archive, deletion
from tests.store.contract import NOON, call
from tests.store.test_retention import assert_sound

dataset = pytest.importorskip("pyarrow.dataset", reason="pyarrow is not installed")

BEFORE = datetime(2026, 11, 22, tzinfo=UTC)
DAY = 24 * 60


def fill(store):
    """Three days: runs that straddle midnights, calls without a price, relations within and across."""
    for day in range(3):
        store.save_events(
            [
                call(day * DAY + 690, event_id=f"run{day}", event_type="agent", model=None, cost=None),  # at 23:30
                call(day * DAY + 691, event_id=f"call{day}", parent_id=f"run{day}", labels={"team": "a"}),
                call(day * DAY + 725, event_id=f"late{day}", parent_id=f"run{day}", metadata={"day": day}),  # at 00:05
                call(day * DAY, event_id=f"lone{day}", parent_id="nobody"),
                call(day * DAY + 5, event_id=f"unpriced{day}", cost=None),
            ]
        )
    store.sink.write(Batch(attempts=[(ids.from_text("call0"), Attempt(1, 0, 200, 10, 5, 1))]))
    for source, target in (("late0", "call0"), ("call1", "call0"), ("call2", "call0"), ("unpriced2", "unpriced1")):
        store.save_relationship(ProvenanceRelationship(source, target, "derived_from", metadata={"of": source}))


def archived(folder):
    """The ids in all files of the folder, as any reader of such folders finds them."""
    if not list(Path(folder).rglob("[!.]*.parquet")):
        return []
    return dataset.dataset(folder, partitioning="hive").to_table().column("event_id").to_pylist()


def whole_files(store):
    with store._database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT path, events, whole FROM archive_file").all()
    return {path: events for path, events, whole in rows if whole}, [path for path, _, whole in rows if not whole]


def in_store(store):
    return [event.event_id for event in store.query_events()]


def test_runs_go_as_a_whole_into_folders_by_day_and_their_sums_stay(each_store, tmp_path):
    fill(each_store)
    before = each_store.totals(["hour", "model"])
    all_ids = in_store(each_store)
    done = StoreKeeper(each_store).archive("2026-11-22", tmp_path / "archive")
    assert done.events == 5  # the run of the 21st ends on the 22nd, so that all of it stays
    assert sorted(archived(tmp_path / "archive")) == ["call0", "late0", "lone0", "lone1", "run0"]
    days = [path.name for path in sorted((tmp_path / "archive").glob("day=*"))]
    assert days == ["day=2026-11-20", "day=2026-11-21"]
    assert sorted(in_store(each_store) + archived(tmp_path / "archive")) == sorted(all_ids)
    assert each_store.totals(["hour", "model"]) == before
    assert_sound(each_store)


def test_the_files_are_typed_and_lossless(tmp_path):
    store, other = InMemoryStorage(), InMemoryStorage()
    fill(store)
    fill(other)
    keeper = StoreKeeper(store)
    keeper.archive("2026-12-01", tmp_path / "archive")
    table = dataset.dataset(tmp_path / "archive", partitioning="hive").to_table()
    types = {name: str(table.schema.field(name).type) for name in ("timestamp", "cost_nanos", "input_tokens", "labels")}
    assert types == {
        "timestamp": "timestamp[us, tz=UTC]", "cost_nanos": "int64", "input_tokens": "int64", "labels": "string",
    }  # fmt: skip
    days = {row["event_id"]: (row["day"], row["timestamp"]) for row in table.to_pylist()}
    assert all(day == f"{when:%Y-%m-%d}" for day, when in days.values())
    back = StoreKeeper(InMemoryStorage()).storage
    done = StoreKeeper(back).import_events(tmp_path / "archive")
    assert (done.malformed, done.refused) == (0, 0)
    expected = {event.event_id: event for event in other.query_events() if event.event_id in days}
    assert {event.event_id: event for event in back.query_events()} == expected
    assert back.attempts("call0") == other.attempts("call0")
    assert len(back.relationships()) + len(store.relationships()) == len(other.relationships())


def test_what_is_charged_goes_along_and_its_sums_stay(each_store, tmp_path):
    charged = {"charges": {"web_searches": 2, "audio_seconds": 0.5}, "charges_nanos": 600_000}
    event = call(event_id="old", **charged)
    each_store.save_event(event)
    StoreKeeper(each_store).archive("2026-11-22", tmp_path / "a")
    assert in_store(each_store) == []
    assert each_store.aggregate("charges", ["model"]) == {("gpt-4o",): 0.0006}
    back = InMemoryStorage()
    assert StoreKeeper(back).import_events(tmp_path / "a").is_whole
    assert back.query_events() == [event]
    assert back.aggregate("charges") == {(): 0.0006}
    assert_sound(each_store)


def test_a_relation_to_what_goes_from_what_stays_goes_along(tmp_path):
    store = InMemoryStorage()
    store.save_events([call(event_id="old"), call(5 * DAY, event_id="new")])
    link = ProvenanceRelationship("new", "old", "retry_of")
    store.save_relationship(link)
    StoreKeeper(store).archive("2026-11-22", tmp_path / "a")
    assert store.relationships() == []
    done = StoreKeeper(store).import_events(tmp_path / "a")
    assert (done.refused, done.lost_relations) == (1, 0)  # its sums are still here
    other = InMemoryStorage()
    other.save_event(call(5 * DAY, event_id="new"))
    assert StoreKeeper(other).import_events(tmp_path / "a").is_whole
    assert other.relationships() == [link]


def test_late_events_of_an_archived_day_get_another_file(tmp_path):
    store = InMemoryStorage()
    store.save_event(call(event_id="first"))
    keeper = StoreKeeper(store)
    first = keeper.archive("2026-11-22", tmp_path)
    store.save_event(call(event_id="second"))
    second = keeper.archive("2026-11-22", tmp_path)
    assert [len(done.files) for done in (first, second)] == [1, 1]
    assert first.files != second.files
    assert sorted(archived(tmp_path)) == ["first", "second"]
    assert store.aggregate("calls") == {(): 2}
    assert store.removals() == {NOON.date(): 2}
    assert keeper.archive("2026-11-22", tmp_path).events == 0


def test_what_changes_while_files_are_written_is_read_again(tmp_path, monkeypatch):
    store = InMemoryStorage()
    store.save_event(call(event_id="run", event_type="agent", model=None))
    write, changes = archive._write, iter([call(event_id="child", parent_id="run"), None])

    def write_and_change(*arguments):
        write(*arguments)
        event = next(changes)
        if event is not None:
            store.save_event(event)

    monkeypatch.setattr(archive, "_write", write_and_change)
    done = StoreKeeper(store).archive("2026-11-22", tmp_path)
    assert done.events == 2
    assert sorted(archived(tmp_path)) == ["child", "run"]
    assert in_store(store) == []


def test_two_archives_into_one_folder_take_turns(tmp_path):
    with archive.taking_turns(tmp_path / "a"), pytest.raises(StorageError, match="another process is archiving"):
        StoreKeeper(InMemoryStorage()).archive("2026-11-22", tmp_path / "a")


def test_dates_and_folders_that_cannot_be_used_are_said(tmp_path):
    keeper = StoreKeeper(InMemoryStorage())
    with pytest.raises(ConfigurationError, match="cannot read 'soon'"):
        keeper.archive("soon", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot archive into"):
        keeper.archive("2026-11-22", tmp_path / "file")


# Killed


def _die_at(tick):
    """Kill this process at the given tick; ticks are before and after each thing that an archive does to the world."""
    ticks = iter(range(1, 10_000))

    def around(function):
        def ticking(*arguments, **options):
            if next(ticks) == tick:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if next(ticks) == tick:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return ticking

    os.fsync, Path.replace, Path.unlink = around(os.fsync), around(Path.replace), around(Path.unlink)
    deletion.remove = around(deletion.remove)
    begin, end = Database.writing, around(lambda: None)

    def writing(self, **options):
        end()
        return _Then(begin(self, **options), end)

    Database.writing = writing


class _Then:
    """A context manager with something to do after its end."""

    def __init__(self, inner, after):
        self._inner, self._after = inner, after

    def __enter__(self):
        return self._inner.__enter__()

    def __exit__(self, *exception):
        self._inner.__exit__(*exception)
        self._after()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_kill_between_any_two_steps_loses_nothing_and_doubles_nothing(tmp_path, monkeypatch, in_a_child):
    monkeypatch.setattr(archive, "MOST", 3)
    with SQLiteStorage(tmp_path / "template.db") as store:
        fill(store)
        all_ids = sorted(in_store(store))
        sums = store.totals(["hour", "model"])

    def archive_and_die():
        _die_at(tick)
        SQLiteStorage(path).archive(folder, BEFORE)

    tick, end = 0, -signal.SIGKILL
    while end == -signal.SIGKILL:
        tick += 1
        path, folder = tmp_path / str(tick) / "s.db", (tmp_path / str(tick) / "archive").resolve()
        path.parent.mkdir()
        shutil.copy(tmp_path / "template.db", path)
        end = in_a_child(archive_and_die)
        with SQLiteStorage(path) as store:
            whole, _ = whole_files(store)
            gone = [each for file in whole for each in dataset.dataset(file).to_table().column("event_id").to_pylist()]
            assert sorted(gone + in_store(store)) == all_ids, tick
            store.archive(folder, BEFORE)
            assert sorted(archived(folder) + in_store(store)) == all_ids, tick
            whole, left = whole_files(store)
            assert left == []
            assert {str(file) for file in folder.rglob("*.parquet*")} == set(whole), tick
            assert len(archived(folder)) == sum(whole.values()) == sum(store.removals().values())
            assert store.totals(["hour", "model"]) == sums
        shutil.rmtree(path.parent)
    assert end == 0
    assert tick > 40


def test_files_of_a_dead_archive_in_another_folder_are_thrown_away_too(tmp_path):
    store = SQLiteStorage(tmp_path / "s.db")
    store.save_event(call(event_id="e"))
    dead = tmp_path / "dead" / "day=2026-11-20" / "x.parquet"
    dead.parent.mkdir(parents=True)
    dead.touch()
    unreachable = tmp_path / "elsewhere" / "day=2026-11-20" / "y.parquet"
    with store._database.writing() as connection:
        rows = [(str(path), 20777, 1, 0) for path in (dead, unreachable)]
        store._database.insert(connection, "archive_file", ("path", "day", "events", "whole"), rows)
    store.archive(tmp_path / "archive", BEFORE + timedelta(days=1))
    assert not dead.exists()
    assert whole_files(store)[1] == [str(unreachable)]
    store.close()
