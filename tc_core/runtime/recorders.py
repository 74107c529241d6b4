"""One recorder for each store in a process, from the first event to the last.

It is found by the store's identity (the resolved path or URL), so that two ways to the same store share it. Every store
that opens is tied in here: a question first brings in what this process has recorded, and what dead ones left.
"""

import atexit
import os
import threading
import time
import weakref
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from platformdirs import user_data_path

from tc_core import settings
from tc_core.errors import StorageError
from tc_core.foreign import let_pass
from tc_core.meter import loading
from tc_core.model.apart import apart, obstacles
from tc_core.model.part import Part, WritePart
from tc_core.model.patience import within
from tc_core.model.ports import Batch, EventSink, SpoolMark
from tc_core.model.scope import EMPTY_SCOPE
from tc_core.record.guard import contained, faults
from tc_core.record.inside import inside, undisturbed
from tc_core.record.recorder import Recorder
from tc_core.record.spool import Spool
from tc_core.record.writer import FORK_WAIT_SECONDS
from tc_core.runtime import hash_key
from tc_core.runtime.parts import load_tables, parts_of
from tc_core.store.base import Listener, StorageBackend
from tc_core.store.sql import SqlStore, before_open, on_open
from tc_core.store.storages import create_storage, path_of

ASK_SECONDS = 4.0
"""How long a question waits until what was recorded is in the store; it may wait a second more for its answer."""
END_SECONDS = 3.5
"""How long the end of the program waits for others; what is not written then stays in the spool."""

_lock = threading.RLock()
_recorders: dict[str, Recorder] = {}
_parts: dict[str, list[Part]] = {}
_open_stores: "weakref.WeakSet[SqlStore]" = weakref.WeakSet()
_default: tuple[str, StorageBackend] | None = None
_chosen: StorageBackend | None = None


class BackendSink:
    """Writes to a backend of the user's own, which knows no batches and no marks: each event at least once."""

    def __init__(self, backend: StorageBackend) -> None:
        self._backend = backend

    def write(self, batch: Batch, mark: SpoolMark | None = None) -> None:
        """Save the events; what else a batch has, such a backend cannot keep.

        Whatever it raises may pass, so that the events are tried again; only a ValueError refuses them.
        """
        events = [record.to_event() for record in batch.records if record.status != "open"]
        try:
            self._backend.save_events(events)
        except ValueError:
            raise
        except Exception as error:  # a backend of somebody's own may raise anything
            let_pass(error)
            raise StorageError(f"{type(self._backend).__name__}: {error}", is_passing=True) from error

    def position(self, file: str) -> int:
        """There is no spool for such a backend."""
        return 0

    def make_durable(self, file: str) -> None:
        """There is no spool for such a backend."""

    def forget(self, file: str) -> None:
        """There is no spool for such a backend."""

    def close(self) -> None:
        """The backend is its user's to close."""


def open_storage(storage: StorageBackend | str | Path | None = None) -> StorageBackend:
    """Return a store: the one given, the one at a path or URL, or the default one, which all share.

    The default is what `choose` has chosen, else what the settings say.
    """
    global _default
    if isinstance(storage, StorageBackend):
        return storage
    if storage is not None:
        return create_storage(storage)
    if _chosen is not None:
        return _chosen
    wanted, default = settings.load().store, _default
    path = path_of(wanted)
    if path is not None:
        wanted = str(settings.absolute(path))
    if default is not None and default[0] == wanted:
        return default[1]
    with undisturbed(), _lock:
        if _default is None or _default[0] != wanted:
            _default = (wanted, create_storage(wanted))
        return _default[1]


def where_meant(storage: StorageBackend | str | Path | None) -> StorageBackend | str | Path | None:
    """Return what names a store, such that it names the same one wherever the program goes."""
    if storage is None or isinstance(storage, StorageBackend):
        return storage
    path = path_of(str(storage))
    return storage if path is None or path.is_absolute() else os.path.abspath(path)  # noqa: PTH100  # links are looked up later


def choose(storage: StorageBackend | None) -> None:
    """Make a store the default one of this process; None goes back to what the settings say."""
    global _chosen
    _chosen = storage


def chosen() -> StorageBackend | None:
    """Return the default store of this process, where one was chosen."""
    return _chosen


def recorder_for(storage: StorageBackend | str | Path | None = None) -> Recorder:
    """Return the recorder of a store, the same for every way to that store."""
    storage = open_storage(storage)
    identity = _identity(storage)
    recorder = _recorders.get(identity)
    if recorder is not None:
        return recorder
    with undisturbed(), _lock:
        recorder = _recorders.get(identity)
        if recorder is None:
            recorder = _recorders[identity] = _make(storage)
        return recorder


@apart
def flush(timeout: float = 5.0) -> bool:
    """Bring everything recorded so far into the stores; return whether that succeeded within `timeout` seconds.

    What reads texts after the commit, such as the ledger, is waited for as well.
    """
    recorders, deadline = _all(), time.monotonic() + timeout
    with within(timeout):
        drained = [recorder.drain(timeout) for recorder in recorders]
    read = [recorder.writer.after.wait(deadline - time.monotonic()) for recorder in recorders]
    return all(drained) and all(read)


def add_listener(listener: Listener, storage: StorageBackend | str | Path | None = None) -> None:
    """Have recorded events told to `listener`, some at a time, once they are in the store, on a thread of its own.

    What it raises is counted as a fault. It hears of what this process records, from now on.
    """
    open_storage(storage).add_listener(listener)


def remove_listener(listener: Listener, storage: StorageBackend | str | Path | None = None) -> None:
    """Tell a listener no more; ValueError where it is none of that store."""
    open_storage(storage).remove_listener(listener)


@apart
def wait_for_parts(storage: StorageBackend, timeout: float = 5.0) -> bool:
    """Return once the parts of a store have read the texts of all that is recorded; False when that took too long.

    On the listeners' thread that is all that they have been told of.
    """
    recorder = _recorders.get(_identity(storage))
    if recorder is None:
        return True
    deadline = time.monotonic() + timeout
    is_written = recorder.writer.is_own_thread or recorder.drain(timeout)
    return is_written and recorder.writer.after.wait(deadline - time.monotonic())


def spool_folder(store: SqlStore) -> Path | None:
    """Return the folder that holds a store's spool, or None for a store that has none.

    It is beside the database's file, or for a server in the user's data directory, by a hash of its address. A user
    without a home has none for a server. Nor has an encrypted store: a spool is plain. What a killed process had not
    committed is lost there.
    """
    if store.read_only or store.is_in_memory or store.is_encrypted:
        return None
    if store.path is not None:
        return store.path.with_name(f"{store.path.name}.spool")
    address = blake2b(store.identity.encode(), digest_size=8).hexdigest()
    folder = settings.user_folder(user_data_path, "token-calculator")
    return None if folder is None else folder / f"{address}.spool"


def _make(storage: StorageBackend) -> Recorder:
    sink: EventSink = BackendSink(storage)
    folder = None
    if isinstance(storage, SqlStore):
        sink, folder = storage.sink, spool_folder(storage)
        if folder is not None and storage.path is None:
            with contained("make the folder of the spool"):
                folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if storage.is_in_memory:
            weakref.finalize(storage, _discard, storage.identity)
    return Recorder(
        sink,
        parts=parts(storage),
        spool=None if folder is None else Spool(folder),
        listeners=storage.listeners,
        scope=EMPTY_SCOPE.extended(settings.load().labels),
    )


def parts(storage: StorageBackend) -> list[Part]:
    """Return the parts of a store, the same ones for every way to it; they are made at the first use."""
    identity = _identity(storage)
    found = _parts.get(identity)
    if found is None:
        with undisturbed(), _lock:
            found = _parts.get(identity)
            if found is None:
                found = _parts[identity] = parts_of(storage)
    return found


def _note_commit(store: SqlStore) -> None:
    """Have the parts told of what was written past the recorder, such as an import."""
    if any(part.committed is not None for part in parts(store)):
        recorder_for(store).writer.note_commit()


def _write_parts(store: SqlStore) -> list[WritePart]:
    return [part.write for part in parts(store) if part.write is not None]


def _identity(storage: StorageBackend) -> str:
    return storage.identity if isinstance(storage, SqlStore) else f"{type(storage).__qualname__}:{id(storage)}"


def _all() -> list[Recorder]:
    return list(_recorders.values())  # at once, while other threads add some


def _discard(identity: str) -> None:
    """Let go of a store in memory that nobody can ask any more; a garbage collection does this, so it never waits."""
    _parts.pop(identity, None)
    recorder = _recorders.pop(identity, None)
    if recorder is not None:
        recorder.writer.end_thread()


# Ties between stores and recorders


def _tie_in(store: SqlStore) -> None:
    _open_stores.add(store)
    store.use_hash_keys(hash_key.used)
    reference = weakref.ref(store)
    store.use_parts(lambda: _write_parts(store) if (store := reference()) is not None else [])
    store.use_commits(lambda: _note_commit(store) if (store := reference()) is not None else None)
    store.before_read.append(lambda: _before_read(reference))
    store.before_close.append(lambda: _before_close(reference))


def _before_read(reference: "weakref.ref[SqlStore]") -> None:
    store = reference()
    if store is None:
        return
    recorder = _recorders.get(store.identity)
    folder = spool_folder(store)
    if recorder is None and folder is not None and folder.exists():
        recorder = recorder_for(store)
    if recorder is not None:
        with within(ASK_SECONDS):
            recorder.drain()
            recorder.writer.take_over()
        if not inside.is_busy and not recorder.writer.is_own_thread:
            recorder.writer.wake()  # which closes what the question opens, once nothing more comes


def _before_close(reference: "weakref.ref[SqlStore]") -> None:
    store = reference()
    recorder = None if store is None else _recorders.get(store.identity)
    if recorder is not None:
        recorder.stop()


obstacles.append(lambda: inside.is_busy or bool(inside.draining))
load_tables()  # with this module: one that a program's own play with `sys.modules` drops would be imported again
before_open.append(load_tables)  # of a branch that was named since
on_open.append(_tie_in)


# The process's life


@atexit.register
def _at_exit() -> None:
    with within(END_SECONDS):
        for recorder in _all():
            with contained("the end of the process: a recorder"):
                recorder.close()
        for store in list(_open_stores):
            with contained("the end of the process: a store"):
                store.close()  # the last connection folds SQLite's log into the file


_fork_lock = threading.RLock()  # so that two threads which fork at once do so one after the other
_held: dict[int, list[Recorder]] = {}
"""By thread, the recorders that are held still, also where an interrupt (Ctrl-C) came before all were."""


def _before_fork() -> None:
    inside.is_busy = True
    _fork_lock.acquire()
    loading.lock.acquire()  # before all others: who loads something waits for none of them
    held = _held[threading.get_ident()] = []
    with within(FORK_WAIT_SECONDS):
        for recorder in _all():
            held.append(recorder)
            recorder.writer.before_fork()


def _after_fork_in_parent() -> None:
    for recorder in reversed(_held.pop(threading.get_ident(), [])):
        recorder.writer.after_fork_in_parent()
    for lock in (loading.lock, _fork_lock):
        with suppress(RuntimeError):
            lock.release()
    inside.is_busy = False
    inside.catch_up()


def _after_fork_in_child() -> None:
    global _lock, _fork_lock
    _lock, _fork_lock, loading.lock = threading.RLock(), threading.RLock(), threading.RLock()
    _held.clear()
    inside.is_busy, inside.draining = False, ()
    inside.put_off.clear()
    faults.after_fork()
    for recorder in _all():
        recorder.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
