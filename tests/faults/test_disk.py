"""Disks that are full, and folders that turn read-only: the program goes on, and nothing is lost."""

import os
import shutil
import subprocess
import sys

import pytest

from tc_core import CostTracker, SQLiteStorage
from tc_core.errors import StorageError
from tc_core.record.guard import faults
from tc_core.runtime import recorders

NOBODY = 65534


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can make a small disk")
    yield folder
    for recorder in list(recorders._recorders.values()):
        recorder.close()
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, *, leave=0):
    """Fill a disk up to so many bytes; return what can be deleted again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
        if leave:
            file.truncate(file.tell() - leave)
    return ballast


@pytest.mark.swallows
@pytest.mark.parametrize("leave", [0, 300_000], ids=["at-once", "amid-the-log"])
def test_a_disk_that_becomes_full_costs_a_living_process_nothing(small_disk, leave):
    tracker = CostTracker(small_disk / "s.db")
    tracker.track_call("no-such-model", 1, 1)
    assert tracker.get_costs().total_calls == 1
    ballast = fill(small_disk, leave=leave)
    for n in range(800):
        tracker.track_call("no-such-model", 1, 1, metadata={"padding": f"{n} " * 200})
    assert not recorders.flush(timeout=1)
    assert tracker.get_costs().total_calls >= 1  # a question is answered all the same
    assert any(fault.startswith("store") for fault in faults.counts)
    ballast.unlink()
    assert recorders.flush()
    assert tracker.get_costs().total_calls == 801
    tracker.storage.close()
    assert os.listdir(small_disk) == ["s.db"]
    with SQLiteStorage(small_disk / "s.db") as store:
        assert store.aggregate("calls") == {(): 801}
        assert len(store.query_events()) == 801


def test_a_store_cannot_begin_on_a_full_disk_and_says_so(small_disk):
    ballast = fill(small_disk)
    with pytest.raises(StorageError, match=r"s\.db: .*(full|I/O)"):
        SQLiteStorage(small_disk / "s.db")
    ballast.unlink()
    with SQLiteStorage(small_disk / "s.db") as store:
        assert store.aggregate("calls") == {(): 0}


LIMITED = """
import resource, sys
from tc_core import CostTracker, flush
tracker = CostTracker("s.db")
tracker.track_call("no-such-model", 1, 1)
flush()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, most))
for n in range(1500):
    tracker.track_call("no-such-model", 1, 1, metadata={"padding": f"{n} " * 200})
print(flush(timeout=1), tracker.get_costs().total_calls < 1501)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
print(flush(), tracker.get_costs().total_calls)
"""


def test_a_limit_on_the_size_of_files_is_as_a_full_disk(run_python, tmp_path):
    assert run_python(LIMITED).splitlines() == ["False True", "True 1501"]
    assert os.listdir(tmp_path) == ["s.db"]
    assert CostTracker("s.db").get_costs().total_calls == 1501


UNPRIVILEGED = """
import os, sys
import tc_core.store.engine.migrate, alembic.command
from tc_core import CostTracker, InMemoryStorage, SQLiteStorage, StorageError, flush
CostTracker(InMemoryStorage()).track_call("gpt-4o", 1, 1)  # load what is needed, which nobody else may read
os.chdir(sys.argv[1])
os.setgid(65534); os.setuid(65534)
tracker = CostTracker("s.db")
tracker.track_call("no-such-model", 1, 1)
flush()
os.chmod(".", 0o555)
try: open("x", "w")
except PermissionError: pass
for _ in range(3): tracker.track_call("no-such-model", 1, 1)
print(tracker.get_costs().total_calls)
tracker.storage.close()
tracker.track_call("no-such-model", 1, 1)
print(flush(timeout=1), tracker.get_costs().total_calls)
again = SQLiteStorage("s.db")
print(again.read_only, again.aggregate("calls"))
try: CostTracker("s.db").track_call("no-such-model", 1, 1)
except StorageError as error: print(error)
try: SQLiteStorage("new.db")
except StorageError as error: print(error)
os.chmod(".", 0o755)
tracker.track_call("no-such-model", 1, 1)
print(flush(), tracker.get_costs().total_calls)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_becomes_read_only_loses_nothing(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    for above in folder.parents:
        if above.is_relative_to("/tmp") and above.stat().st_uid == os.geteuid():
            above.chmod(above.stat().st_mode | 0o055)
    result = subprocess.run([sys.executable, "-c", UNPRIVILEGED, str(folder)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "4",
        "True 5",
        "True {(): 5}",
        f"{folder}/s.db can only be read: the file or its folder is not writable",
        f"cannot create {folder}/new.db: Permission denied",
        "True 6",
    ]
