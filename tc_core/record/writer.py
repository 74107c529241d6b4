"""The writer: takes ended runs from the queue to the store, on a thread of its own or on that of a question."""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from tc_core.errors import StorageError
from tc_core.model.event import EventRecord
from tc_core.model.ports import Batch, EventSink, Link, SpoolMark
from tc_core.record.call import EVENT_BYTES, OpenCall
from tc_core.record.entries import read_entry
from tc_core.record.guard import attempt, contained, faults
from tc_core.record.listeners import Listener, Listeners
from tc_core.record.spool import Spool, SpoolFile, files_of_others

Step = Callable[[OpenCall], None]
"""An enrich step: completes a call's record on the writer's thread."""

BATCH = 1000
GATHER_SECONDS = 0.05
"""How long the thread lets a batch gather."""
RETRY_SECONDS = 1.0
FORK_WAIT_SECONDS = 0.1
"""How long a fork waits for a batch that is being written."""
MOST_HELD_BYTES = 64 << 20
"""How much the queue holds: beyond it texts are let go, then whole events, which the spool still has."""


@dataclass(slots=True, eq=False)
class LooseLink:
    """A relation that was observed after its event had ended, in its place in the queue."""

    link: Link
    spooled: SpoolMark | None
    held_bytes: int = 200


Item = OpenCall | LooseLink


@dataclass(slots=True)
class _Work:
    """Items on their way to the store, kept until that has them."""

    items: list[Item]
    batch: Batch
    mark: SpoolMark | None


class Writer:
    """Writes the queue to the sink in batches; each is one transaction, which also moves the spool mark.

    `lock` guards the queue and the spool; it is never held over the store's I/O. `drain` writes on the
    caller's thread, so that whoever asks the store need not wait for the writer's.
    """

    def __init__(
        self,
        sink: EventSink,
        steps: Iterable[Step],
        *,
        spool: Spool | None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self.lock = threading.RLock()  # reentrant: a garbage collection inside it may run a hook
        self.listeners = Listeners(listeners)
        self.spool = spool
        self._sink = sink
        self._steps = list(steps)
        self._queue: deque[Item] = deque()
        self._held_bytes = 0
        self._is_behind = False  # the spool has ended runs that the queue has not
        self._work: _Work | None = None
        self._turn = threading.Lock()
        self._at_work: int | None = None
        self._is_held = False
        self._thread: threading.Thread | None = None
        self._wake, self._stop = threading.Event(), threading.Event()

    # The caller's side

    def put(self, item: Item) -> None:
        """Queue an item; called with the lock held, right after its entry went to the spool."""
        room = MOST_HELD_BYTES - self._held_bytes
        if item.held_bytes > room or self._is_behind:
            _let_go_of_texts(item)
        if item.spooled is None and item.held_bytes > room:
            faults.note("queue: full, an event is lost")
        elif item.spooled is not None and (item.held_bytes > room or self._is_behind):
            self._is_behind = True
        else:
            self._held_bytes += item.held_bytes
            self._queue.append(item)

    def wake(self) -> None:
        """Have the thread write soon."""
        if self._thread is None:
            self._start_thread()
        if not self._wake.is_set():
            self._wake.set()

    # The writing side

    def drain(self, timeout: float = 5.0) -> bool:
        """Write all that is queued; return whether that was possible within `timeout` seconds.

        On our own threads, which would wait for themselves, it does nothing.
        """
        if threading.current_thread() in (self._thread, self.listeners.thread):
            return False
        return self._drain(timeout)

    def take_over(self) -> None:
        """Write what dead processes have left in the spool folder."""
        if self.spool is None:
            return
        for path in files_of_others(self.spool.folder, [file.name for file in self.spool.files]):
            file = SpoolFile.take(path)
            if file is None:
                continue
            try:
                with contained("take over a spool file"):
                    self._write_file(file)
                    self._delete(file)
            finally:
                file.close()

    def rest(self, timeout: float = 5.0) -> bool:
        """Drain, end the threads and give up the spool files; the next event starts everything anew.

        What could not be written stays in the spool, for whoever comes next.
        """
        is_drained = self.drain(timeout)
        thread, self._thread = self._thread, None
        self._stop.set()
        self._wake.set()
        self._wake, self._stop = threading.Event(), threading.Event()
        if thread not in (None, threading.current_thread()):
            thread.join(timeout)
        self.listeners.close(timeout)
        if self.spool is not None:
            with contained("close the spool"):
                self._delete_written(self.spool, closing=True)
            self.spool.release()
        self._sink.close()
        return is_drained

    def before_fork(self) -> None:
        """Hold the queue and the spool still, and for a moment the store, whose library has locks of its own."""
        self._is_held = self._turn.acquire(timeout=FORK_WAIT_SECONDS)
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self.lock.release()
        if self._is_held:
            self._turn.release()

    def after_fork(self) -> None:
        """In a child process: nothing queued, no thread, locks of its own."""
        self.lock, self._turn = threading.RLock(), threading.Lock()
        self._queue.clear()
        self._held_bytes, self._is_behind, self._work = 0, False, None
        self._at_work = self._thread = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self.listeners.after_fork()
        if self.spool is not None:
            self.spool.release()

    def _drain(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        if self._at_work == threading.get_ident() or not self._turn.acquire(timeout=timeout):
            return False
        self._at_work = threading.get_ident()
        try:
            while self._write_some():
                if time.monotonic() > deadline:
                    return False
            if self.spool is not None:
                self._delete_written(self.spool)
        except StorageError as error:
            faults.note("store", error)
            return False
        else:
            return True
        finally:
            self._at_work = None
            self._turn.release()

    def _write_some(self) -> bool:
        """Write one batch; return whether there was one. Raises StorageError when it should be tried again."""
        if self._work is None:
            items = self._take()
            if not items:
                return self._catch_up()
            self._work = self._prepare(items)
        self._write(self._work)
        self._work = None
        return True

    def _take(self) -> list[Item]:
        """Take a batch from the queue; a mark speaks of one spool file, so a batch does too."""
        items: list[Item] = []
        file = None
        while self._queue and len(items) < BATCH:
            spooled = self._queue[0].spooled
            if spooled is not None:
                if file not in (None, spooled.file):
                    break
                file = spooled.file
            items.append(self._queue.popleft())
        return items

    def _prepare(self, items: list[Item]) -> _Work:
        batch = Batch(faults=faults.take())
        for item in items:
            if isinstance(item, LooseLink):
                batch.links.append(item.link)
                continue
            for step in self._steps:
                attempt(step, item)
            batch.records.extend(_as_open(ancestor.record) for ancestor in reversed(_unwritten_ancestors(item)))
            batch.records.append(item.record)
            batch.links.extend(item.links)
        marks = [item.spooled for item in items if item.spooled is not None]
        return _Work(items, batch, marks[-1] if marks else None)

    def _write(self, work: _Work) -> None:
        try:
            self._sink.write(work.batch, work.mark)
        except StorageError as error:
            if error.is_passing:
                faults.give_back(work.batch.faults)
                work.batch.faults = {}
                raise
            self._write_singly(work, error)
        except Exception as error:  # noqa: BLE001  # one broken event must not stop all that follow
            self._write_singly(work, error)
        else:
            self._written(work)

    def _write_singly(self, work: _Work, error: Exception) -> None:
        """Write what can be written of a batch that was refused; count what cannot."""
        if len(work.items) > 1:
            for item in work.items:
                self._write(self._prepare([item]))
            return
        faults.note("store: an event is refused", error)
        self._sink.write(Batch(), work.mark)
        self._written(work)

    def _written(self, work: _Work) -> None:
        if work.mark is not None and self.spool is not None:
            self.spool.committed(work.mark)
        for item in work.items:
            if isinstance(item, OpenCall):
                for call in (item, *_unwritten_ancestors(item)):
                    call.is_written = True
                item.content = item.output = item.parent = None
        with self.lock:
            self._held_bytes -= sum(item.held_bytes for item in work.items)
        self.listeners.tell([item.record for item in work.items if isinstance(item, OpenCall)])

    def _catch_up(self) -> bool:
        """Write from the own spool what the queue had no room for; return whether there was any."""
        if not self._is_behind or self.spool is None:
            return False
        for file in self.spool.files:
            with self.lock:
                end = file.size
            if not self.spool.is_committed(file):
                self._write_entries(file, start=self._sink.position(file.name), until=end)
        with self.lock:
            self._is_behind = not all(self.spool.is_committed(file) for file in self.spool.files)
        return True

    # Spool files

    def _write_file(self, file: SpoolFile) -> None:
        """Write the file of a dead process; runs that it left open are abandoned."""
        left_open = self._write_entries(file, mark=self._sink.position(file.name))
        for call in left_open:
            call.record.status = "abandoned"
        work = self._prepare(list(left_open))
        work.mark = SpoolMark(file.name, file.size)
        self._write(work)

    def _write_entries(
        self, file: SpoolFile, *, mark: int = 0, start: int = 0, until: int | None = None
    ) -> list[OpenCall]:
        """Write the ended runs behind the mark; return the runs that have no end in what was read."""
        left_open: dict[bytes, OpenCall] = {}
        items: list[Item] = []
        for position, payload in file.entries(start):
            if until is not None and position > until:
                break
            with contained("read a spool entry"):
                item = _read_item(payload, SpoolMark(file.name, position))
                if isinstance(item, OpenCall) and item.spooled is None:
                    left_open[item.record.id] = item
                    continue
                if isinstance(item, OpenCall):
                    left_open.pop(item.record.id, None)
                if position > mark:
                    items.append(item)
            if len(items) == BATCH:
                self._write(self._prepare(items))
                items = []
        if items:
            self._write(self._prepare(items))
        return list(left_open.values())

    def _delete_written(self, spool: Spool, *, closing: bool = False) -> None:
        for file in spool.done(closing=closing):
            self._delete(file)
            spool.forget(file)

    def _delete(self, file: SpoolFile) -> None:
        """Delete a file whose entries the store has, and that survive even a loss of power."""
        self._sink.settle(file.name)
        file.delete()
        self._sink.forget(file.name)

    # The thread

    def _start_thread(self) -> None:
        with self.lock:
            if self._thread is not None:
                return
            arguments = (weakref.ref(self), self._wake, self._stop)
            thread = threading.Thread(target=_run, args=arguments, name="token-calculator-writer", daemon=True)
            with suppress(RuntimeError):  # the interpreter is shutting down; `rest` writes what is left
                thread.start()
                self._thread = thread


def _run(reference: "weakref.ref[Writer]", wake: threading.Event, stop: threading.Event) -> None:
    """The thread's work; it keeps no writer alive that nobody else holds."""
    try:
        while True:
            wake.wait()
            stop.wait(GATHER_SECONDS)
            wake.clear()
            writer = reference()
            if writer is None or stop.is_set():
                return
            if not writer._drain(timeout=60.0):
                stop.wait(RETRY_SECONDS)
                wake.set()
            del writer
    finally:
        writer = reference()
        if writer is not None and writer._thread is threading.current_thread():
            writer._thread = None  # whatever ended it, the next event starts another


def _read_item(payload: bytes, mark: SpoolMark) -> Item:
    """Read an entry as what the queue would hold; a run without an end has no mark."""
    entry = read_entry(payload)
    if isinstance(entry, Link):
        return LooseLink(entry, mark, held_bytes=0)
    if entry.record.status != "open":
        entry.spooled = mark
    return entry


def _let_go_of_texts(item: Item) -> None:
    if isinstance(item, OpenCall) and item.content is not None:
        item.content = item.output = None
        item.held_bytes = EVENT_BYTES


def _unwritten_ancestors(call: OpenCall) -> list[OpenCall]:
    ancestors = []
    above = call.parent
    while above is not None and not above.is_written:
        ancestors.append(above)
        above = above.parent
    return ancestors


def _as_open(record: EventRecord) -> EventRecord:
    """Return the record as it was at its start; its end may be on its way from another thread."""
    return replace(record, status="open", error_type=None, latency_us=None, usage=None, usage_source=None)
