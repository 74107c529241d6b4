import json
import os
import stat
from pathlib import Path

import pytest

from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord
from tc_core.model.ports import Link, SpoolMark
from tc_core.model.scope import EMPTY_SCOPE, Scope
from tc_core.model.usage import Usage
from tc_core.record import spool as spool_module
from tc_core.record.entries import EntryWriter, read_item
from tc_core.record.guard import faults
from tc_core.record.pending import PendingEvent
from tc_core.record.spool import Spool, SpoolError, SpoolFile, files_of_others


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store.db.spool"


def read(payload):
    return read_item(payload, SpoolMark("f", 1))


def payloads(file):
    return [payload for _, payload in file.entries()]


# Entries


def test_an_end_comes_back_with_all_its_facts():
    record = EventRecord(
        ids.new_id(),
        "llm_call",
        1_763_870_000_000_000,
        ids.new_id(),
        Scope(agent_id="a", environment="p", labels={"user_id": "ü", "odd\n": '"'}),
        name="n",
        model="gpt-4o",
        provider="openai",
        served_model="gpt-4o-2024-08-06",
        status="ok",
        error_type="E",
        latency_us=12,
        usage=Usage(1, 2, 3, 4, 5, 6, 7, 8),
        service_tier="flex",
        usage_source="provider",
        cost_nanos=99,
        charges={"web_searches": 2, "audio_seconds": 0.5},
        charges_nanos=9,
        metadata={"k": [1, {"deep": None}]},
        external_id="req_1",
        price_source="own",
    )
    link = Link(record.id, "retry_of", ids.new_id(), "framework", 0.9)
    attempts = [Attempt(1, 0, None, 7), Attempt(2, 1, 200, 8, 9, 10)]
    call = PendingEvent("k", record, input_characters=10, output_characters=20, links=[link], attempts=attempts)
    found = read(EntryWriter().end(call))
    for name in record.__slots__:
        if name != "scope":
            assert getattr(found.record, name) == getattr(record, name), name
    assert (found.record.scope.agent_id, found.record.scope.labels) == ("a", record.scope.labels)
    assert (found.input_characters, found.output_characters, found.links) == (10, 20, [link])
    assert found.attempts == attempts


def test_a_start_comes_back_open():
    record = EventRecord(ids.new_id(), "tool", 5, name="search")
    found = read(EntryWriter().start(record))
    assert (found.record.id, found.record.name, found.record.status) == (record.id, "search", "open")


def test_a_link_comes_back():
    link = Link(ids.new_id(), "fallback_for", ids.new_id())
    found = read(EntryWriter().link(link))
    assert (found.link, found.spooled) == (link, SpoolMark("f", 1))


def test_an_entry_of_a_version_that_knew_fewer_dimensions_is_read():
    record = EventRecord(ids.new_id(), "tool", 5, scope=EMPTY_SCOPE.extended({"agent_id": "a", "user": "u"}))
    line, _, scope = EntryWriter().start(record).partition(b"\n")
    *dimensions, labels = json.loads(scope)
    found = read(line + b"\n" + json.dumps([*dimensions[:-1], labels]).encode()).record.scope
    assert (found.agent_id, found.environment, found.labels) == ("a", None, {"user": "u"})


def test_half_a_character_is_no_obstacle():
    record = EventRecord(ids.new_id(), "tool", 5, name="half \ud83d")
    assert read(EntryWriter().start(record)).record.name == "half \ud83d"


# Files


def test_entries_come_back_in_order_and_private(folder):
    file = SpoolFile.create(folder)
    for number in range(100):
        file.append(b"entry %d" % number)
    assert payloads(file) == [b"entry %d" % number for number in range(100)]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    positions = [position for position, _ in file.entries()]
    assert [payload for _, payload in file.entries(positions[97])] == [b"entry 98", b"entry 99"]


def test_a_file_grows_in_steps(folder, monkeypatch):
    monkeypatch.setattr(spool_module, "GROW_BYTES", 4096)
    file = SpoolFile.create(folder)
    for number in range(50):
        file.append(b"x" * 500 + b"%d" % number)
    assert len(payloads(file)) == 50
    assert file.path.stat().st_size % 4096 == 0


@pytest.mark.parametrize("damage", ["cut", "flip", "zero"])
def test_a_torn_entry_at_the_end_is_left_out(folder, damage):
    file = SpoolFile.create(folder)
    for number in range(3):
        file.append(b"entry %d" % number)
    last = file.size - 3
    with file.path.open("r+b") as raw:
        raw.seek(last)
        if damage == "cut":
            raw.truncate()
        else:
            raw.write(b"?" if damage == "flip" else b"\0")
    assert payloads(file) == [b"entry 0", b"entry 1"]
    assert file.damaged_bytes


@pytest.mark.parametrize(
    ("place", "damage"),
    [
        pytest.param(0, b"?", id="length"),
        pytest.param(3, b"\xff", id="a-length-beyond-the-file"),
        pytest.param(5, b"????", id="checksum"),
        pytest.param(12, b"?", id="text"),
        pytest.param(0, bytes(20), id="header-lost"),
        pytest.param(2, bytes(300_000), id="pages-lost"),
        pytest.param(0, bytes(range(256)) * 100, id="garbage"),
    ],
)
def test_what_lies_behind_damage_is_read(folder, place, damage):
    file = SpoolFile.create(folder)
    entries = [b'["entry %d"]' % number + b"." * number * 1000 for number in range(40)]
    for entry in entries:
        file.append(entry)
    ends = [0, *(end for end, _ in file.entries())]
    assert file.damaged_bytes == 0
    with file.path.open("r+b") as raw:
        raw.seek(ends[10] + place)
        raw.write(damage)
    behind = next(number for number, end in enumerate(ends) if end >= ends[10] + place + len(damage))
    assert payloads(file) == entries[:10] + entries[behind:]
    assert file.damaged_bytes == ends[behind] - ends[10]


def test_a_kill_leaves_no_entry_half_written(folder, run_python):
    """A child that does nothing but append is killed at any moment; of 500, three had left half a header before."""
    program = """
import os, random, signal, sys, time
from pathlib import Path
from tc_core.record.spool import SpoolFile

folder, chance, damaged = Path(sys.argv[1]), random.Random(7), 0
for _ in range(int(sys.argv[2])):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        file = SpoolFile.create(folder)
        os.close(writing)
        while file.size < 64 << 20:
            file.append(b"y" * 300)
        os._exit(1)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    time.sleep(chance.uniform(0, 0.003))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    (path,) = folder.glob("*.spool")
    file = SpoolFile.take(path)
    assert all(payload == b"y" * 300 for _, payload in file.entries())
    damaged += bool(file.damaged_bytes)
    path.unlink()
    file.close()
print(damaged)
"""
    assert run_python(program, folder, 500) == "0\n"


def test_a_file_belongs_to_its_process_until_that_ends(folder):
    file = SpoolFile.create(folder)
    file.append(b"mine")
    assert SpoolFile.take(file.path) is None
    file.close()
    taken = SpoolFile.take(file.path)
    assert payloads(taken) == [b"mine"]
    taken.delete()
    assert not folder.exists()
    assert SpoolFile.take(file.path) is None


def test_a_file_that_was_taken_before_it_was_locked_is_given_up(folder, monkeypatch):
    """Between making and locking a file, a process that looks for the files of dead ones may take and delete it."""
    real, taken = spool_module._lock, []

    def lock(descriptor):
        if not taken:
            (path,) = folder.iterdir()
            taken.append(path)
            path.unlink()
        return real(descriptor)

    monkeypatch.setattr(spool_module, "_lock", lock)
    file = SpoolFile.create(folder)
    assert file.path != taken[0]
    assert file.path.exists()


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="Not a directory"):
        SpoolFile.create(tmp_path / "file" / "spool")


def test_a_file_system_without_locks_is_an_error_that_says_so(folder, monkeypatch):
    def refuse(descriptor):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(spool_module, "_lock", refuse)
    with pytest.raises(SpoolError, match="cannot be locked"):
        SpoolFile.create(folder)
    assert list(folder.iterdir()) == []


# The spool of a process


def nothing_open():
    return []


def test_full_files_wait_until_the_store_has_them(folder, monkeypatch):
    monkeypatch.setattr(spool_module, "MOST_FILE_BYTES", 1000)
    spool = Spool(folder)
    marks = [spool.append(b"x" * 300, lambda: [b"still open"], is_end=True) for _ in range(10)]
    first, second, _third = spool.files
    assert payloads(second)[0] == b"still open"
    assert spool.done() == []
    spool.committed([mark for mark in marks if mark.file == first.name][-1])
    assert spool.done() == [first]
    spool.forget(first)
    assert len(spool.files) == 2
    assert [path.name for path in files_of_others(folder, [file.name for file in spool.files])] == [first.name]


def test_only_ends_hold_a_file_back(folder):
    spool = Spool(folder)
    mark = spool.append(b"end", nothing_open, is_end=True)
    assert spool.append(b"start", nothing_open, is_end=False) is None
    assert not spool.is_committed(spool.files[0])
    spool.committed(mark)
    assert spool.is_committed(spool.files[0])


@pytest.mark.swallows
def test_where_no_file_can_be_made_recording_goes_on_without(tmp_path):
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool")
    for _ in range(3):
        assert spool.append(b"x", nothing_open, is_end=True) is None
    assert "Not a directory" in spool.trouble
    assert faults.counts == {"spool: SpoolError": 1}  # it is not tried again for each event


@pytest.mark.swallows
def test_a_disk_that_is_full_is_counted_and_no_entry_is_torn(folder, monkeypatch):
    monkeypatch.setattr(spool_module, "GROW_BYTES", 4096)
    spool = Spool(folder)
    spool.append(b"x" * 3000, nothing_open, is_end=True)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert spool.append(b"y" * 3000, nothing_open, is_end=True) is None
    mark = spool.append(b"z" * 3000, nothing_open, is_end=True)
    (file,) = spool.files
    assert [payload[:1] for payload in payloads(file)] == [b"x", b"z"]
    assert mark == SpoolMark(file.name, file.size)
    assert faults.counts == {"spool: OSError": 1}


@pytest.mark.swallows
def test_what_waits_for_the_store_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(spool_module, "MOST_FILE_BYTES", 1000)
    monkeypatch.setattr(spool_module, "MOST_UNCOMMITTED_BYTES", 3000)
    spool = Spool(folder)
    marks = [spool.append(b"x" * 500, nothing_open, is_end=True) for _ in range(20)]
    assert 6 <= sum(mark is not None for mark in marks) <= 8
    assert marks[-1] is None
    assert faults.counts == {"spool: full": marks.count(None)}
    spool.committed(marks[5])
    spool.committed(marks[1])
    spool.committed(marks[3])
    assert spool.append(b"x" * 500, nothing_open, is_end=True) is not None


def test_closing_twice_closes_nobody_elses_file(tmp_path):
    file = SpoolFile.create(tmp_path / "f")
    descriptor = file.descriptor
    file.append(b"x")
    file.delete()
    other = os.open(tmp_path, os.O_RDONLY)  # takes the number that is free now
    assert other == descriptor
    file.close()
    os.fstat(other)
    os.close(other)


def test_a_file_that_cannot_begin_leaves_nothing_behind(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "f")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SpoolFile, "append", full)
    faults.strict = False
    for _ in range(5):
        assert spool.append(b"end", lambda: [b"start"], is_end=True) is None
    faults.after_fork()
    assert not list((tmp_path / "f").glob("*"))
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():  # those of other tests may be closed meanwhile
        with_names = [os.path.realpath(each) for each in descriptors.iterdir()]
        assert not [name for name in with_names if name.startswith(str(tmp_path))]
