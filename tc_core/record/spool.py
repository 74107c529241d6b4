"""The spool: what a hook has told is on disk before the hook returns, so that a killed process loses nothing.

A folder beside the database holds one append-only file for each recording process, locked (`flock`) while that
process lives. Entries are framed by length and checksum. What the store has committed is known by a mark
that moves in the store's own transaction; the files of dead processes are read by whoever comes next.
"""

import mmap
import os
import re
import struct
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tc_core.foreign import let_pass
from tc_core.model.ports import SpoolMark
from tc_core.record.guard import faults

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

GROW_BYTES = 1 << 20
MOST_FILE_BYTES = 16 << 20
MOST_UNCOMMITTED_BYTES = 1 << 30
RETRY_SECONDS = 5.0
SUFFIX = ".spool"
DAMAGED_SUFFIX = ".damaged"
"""What a file is called that was not whole: all that could be read of it is in the store."""

_FRAME = struct.Struct("<II")
_LENGTH = re.compile(rb"(?=(?:[^\0]..|.[^\0].|..[^\0])\0)", re.DOTALL)
"""What may be the length of an entry: not zero, and less than 16 MiB."""


class SpoolError(Exception):
    """The spool cannot be used here; the message says why."""


class SpoolFile:
    """One spool file, open and locked.

    Entries are copied into its memory map, which the kernel keeps when the process is killed. Unlike a call of
    `write` that does not give up the interpreter's lock, for which the caller might wait milliseconds to get it back.
    An entry's text is written first, then its header in a single store of eight bytes, so that a kill leaves none half.
    The file is made longer in steps, each of which takes its room on the disk at once: a full disk is an
    error then, not a signal later. Behind the last entry it holds zeros.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.name = path.name
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        """Where the next entry begins; in the file of a dead process, where the file ends."""
        self.last_end = 0
        """Where the last entry ends that the store must have."""
        self.damaged_bytes = 0
        """How much of it could not be read."""
        self._room = self.size
        self._map: mmap.mmap | None = None

    @classmethod
    def create(cls, folder: Path) -> "SpoolFile":
        """Make a new file in a folder; raise SpoolError where that or locking is impossible."""
        if fcntl is None:
            raise SpoolError("this system has no flock")
        for _attempt in range(100):
            path = folder / f"{uuid.uuid4().hex}{SUFFIX}"
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            except FileNotFoundError:
                continue  # another process removed the empty folder in between
            except OSError as error:
                raise SpoolError(f"{folder}: {error.strerror}") from error
            try:
                if _lock(descriptor) and _is_named(path, descriptor):
                    return cls(path, descriptor)
            except OSError as error:
                path.unlink(missing_ok=True)
                os.close(descriptor)
                raise SpoolError(f"{folder} cannot be locked: {error.strerror}") from error
            os.close(descriptor)  # a process that looks for the files of dead ones was faster
        raise SpoolError(f"{folder} cannot be made")

    @classmethod
    def take(cls, path: Path) -> "SpoolFile | None":
        """Lock the file of a dead process, or return None when its process lives or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            return None
        with suppress(OSError):
            if _lock(descriptor) and _is_named(path, descriptor):
                return cls(path, descriptor)
        os.close(descriptor)
        return None

    def append(self, payload: bytes) -> None:
        """Write one entry; raise OSError when there is no room on the disk."""
        start = self.size + _FRAME.size
        end = start + len(payload)
        if self._map is None or end > self._room:
            self._map = self._grown(end)
        self._map[start:end] = payload
        self._map[self.size : start] = _FRAME.pack(len(payload), zlib.crc32(payload))  # at once: `pack_into` takes two
        self.size = end

    def entries(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield each whole entry and where it ends; what is damaged between whole ones is skipped and counted."""
        position = start
        while position < self.size:
            payload = self._entry(position)
            if payload is None:
                position = self._behind_damage(position)
                continue
            position += _FRAME.size + len(payload)
            yield position, payload

    def _entry(self, position: int) -> bytes | None:
        header = os.pread(self.descriptor, _FRAME.size, position)
        length, checksum = _FRAME.unpack(header) if len(header) == _FRAME.size else (0, 0)
        payload = os.pread(self.descriptor, length, position + _FRAME.size)
        return payload if length and len(payload) == length and zlib.crc32(payload) == checksum else None

    def _behind_damage(self, position: int) -> int:
        """Return where the next whole entry begins, or where the file ends."""
        rest = os.pread(self.descriptor, self.size - position, position).rstrip(b"\0")
        for place in _LENGTH.finditer(rest, 1):
            if self._entry(position + place.start()) is not None:
                self.damaged_bytes += place.start()
                return position + place.start()
        if any(rest[: _FRAME.size]):  # else its process was killed before it wrote the header, which comes last
            self.damaged_bytes += len(rest)
        return self.size

    def is_in_place(self) -> bool:
        """Tell whether the file is still found by its name."""
        return _is_named(self.path, self.descriptor)

    def put_back(self) -> None:
        """Make the file again where somebody has removed it, with all that it holds; raise OSError if that fails."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        new = self.path.with_suffix(".new")
        descriptor = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        try:
            _lock(descriptor)  # before it has its name, by which others look for the files of dead processes
            with open(descriptor, "wb", closefd=False) as copy:
                copy.write(os.pread(self.descriptor, self.size, 0))
            new.rename(self.path)
        except OSError:
            os.close(descriptor)
            raise
        before, self.descriptor = self.descriptor, descriptor
        self._map, self._room = None, self.size
        os.close(before)

    def delete(self) -> None:
        """Remove the file for good, and its folder when that is empty; a damaged one is kept under another name."""
        with suppress(FileNotFoundError):
            if self.damaged_bytes:
                self.path.rename(self.path.with_suffix(DAMAGED_SUFFIX))
            else:
                self.path.unlink()
        with suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # else a power cut could bring the file back after its mark is gone
            finally:
                os.close(folder)
        self.close()
        with suppress(OSError):
            self.path.parent.rmdir()

    def close(self) -> None:
        """Close the file, and thereby unlock it."""
        if self._map is not None:
            self._map.close()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:  # closing it again could close what somebody else has opened since
            os.close(descriptor)

    def _grown(self, end: int) -> mmap.mmap:
        """Make the file long enough for an entry that ends at `end`, and map it.

        The old map is let go, not closed: an interrupt (Ctrl-C) between two lines must not leave a closed one.
        """
        room = -(-end // GROW_BYTES) * GROW_BYTES
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.descriptor, 0, room)
        else:  # macOS
            os.pwrite(self.descriptor, bytes(room - self._room), self._room)
        grown = mmap.mmap(self.descriptor, room)
        self._room = room
        return grown


class Spool:
    """This process's files in a spool folder: one that grows, and full ones until the store has them.

    A file is made on first use. Where that is impossible, or the disk is full, entries are lost to a kill
    but not to the queue in memory; `trouble` says why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble: str | None = None
        self._current: SpoolFile | None = None
        self._full: list[SpoolFile] = []
        self._committed: dict[str, int] = {}
        self._retry_at = 0.0

    @property
    def files(self) -> list[SpoolFile]:
        """All files of this process, the oldest first."""
        return [*self._full, *([self._current] if self._current is not None else [])]

    @property
    def uncommitted_bytes(self) -> int:
        """How much the store does not have yet."""
        return sum(max(0, file.last_end - self._committed.get(file.name, 0)) for file in self.files)

    def append(self, payload: bytes, open_starts: Callable[[], Iterable[bytes]], *, is_end: bool) -> SpoolMark | None:
        """Write an entry; `open_starts` gives the entries of runs that are open, which begin each new file.

        Returns for an end the mark to set once the store has it; None, with a fault counted, when it is not on disk.
        """
        file = self._current
        try:
            if file is None or file.size >= MOST_FILE_BYTES:
                file = self._begin_file(open_starts)
                if file is None:
                    return None
            file.append(payload)
        except OSError as error:
            let_pass(error)
            self.trouble = f"{self.folder}: {error.strerror or error}"
            faults.note("spool", error)
            return None
        if not is_end:
            return None
        file.last_end = file.size
        return SpoolMark(file.name, file.size)

    def look_after(self) -> None:
        """Where somebody has removed the folder or a file in it: put back what the store lacks, and forget the rest."""
        for file in self.files:
            if file.is_in_place():
                continue
            if not self.is_committed(file):
                try:
                    file.put_back()
                except OSError as error:
                    self.trouble = f"{self.folder}: {error.strerror or error}"
                    faults.note("spool", error)
                    continue
            elif file is self._current:  # the next entry begins a new file, with all runs that are open
                self._full.append(file)
                self._current = None
            faults.note("spool: somebody removed a file that is in use")

    def committed(self, mark: SpoolMark) -> None:
        """Learn that the store has everything before the mark."""
        self._committed[mark.file] = mark.position

    def is_committed(self, file: SpoolFile) -> bool:
        """Tell whether the store has every run that ends in the file."""
        return self._committed.get(file.name, 0) >= file.last_end

    def done(self) -> list[SpoolFile]:
        """Return the full files that the store has whole."""
        return [file for file in self._full if self.is_committed(file)]

    def forget(self, file: SpoolFile) -> None:
        """Drop a full file that is deleted."""
        self._full.remove(file)
        self._committed.pop(file.name, None)

    def detach(self) -> list[SpoolFile]:
        """Give all files away; the next entry begins a new one.

        What the store lacks of them is for whoever comes next, once they are closed. Closing them in a forked
        child leaves the parent's lock alone, which goes with the parent's own descriptor.
        """
        files = self.files
        self._current, self._full = None, []
        return files

    def _begin_file(self, open_starts: Callable[[], Iterable[bytes]]) -> SpoolFile | None:
        if self.uncommitted_bytes > MOST_UNCOMMITTED_BYTES:
            self.trouble = f"{self.folder}: more than {MOST_UNCOMMITTED_BYTES >> 20} MiB wait for the store"
            faults.note("spool: full")
            return None
        now = time.monotonic()
        if now < self._retry_at:
            return None
        try:
            file = SpoolFile.create(self.folder)
        except SpoolError as error:
            self.trouble, self._retry_at = str(error), now + RETRY_SECONDS
            faults.note("spool", error)
            return None
        try:
            for payload in open_starts():
                file.append(payload)
        except OSError:
            file.delete()
            self._retry_at = now + RETRY_SECONDS
            raise
        if self._current is not None:
            self._full.append(self._current)
        self._current, self.trouble = file, None
        return file


def files_of_others(folder: Path, own: Iterable[str]) -> list[Path]:
    """Return the files in a spool folder that are not one's own."""
    mine = set(own)
    try:
        names = os.listdir(folder)  # noqa: PTH208  # a third of the time, and it is done for each question
    except OSError as error:
        let_pass(error)
        return []
    return [folder / name for name in sorted(names) if name.endswith(SUFFIX) and name not in mine]


def _lock(descriptor: int) -> bool:
    """Lock a file unless another process has; raise OSError where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_named(path: Path, descriptor: int) -> bool:
    """Tell whether the path still leads to the open file."""
    try:
        named = path.stat()
    except OSError as error:
        let_pass(error)
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
