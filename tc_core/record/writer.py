"""The writer: takes ended runs from the queue to the store, on a thread of its own or on that of a question."""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from tc_core.errors import StorageError
from tc_core.foreign import let_pass
from tc_core.model.part import Part
from tc_core.model.patience import is_out, left
from tc_core.model.ports import Batch, EventSink, SpoolMark
from tc_core.record.after import AfterCommit
from tc_core.record.alarms import alarms
from tc_core.record.chores import Chores
from tc_core.record.guard import attempt, contained, faults
from tc_core.record.inside import inside, undisturbed
from tc_core.record.listeners import Listener, Listeners
from tc_core.record.pending import Item, PendingEvent
from tc_core.record.spool import Spool
from tc_core.record.succession import BATCH, Succession
from tc_core.record.wake import WakeSignal
from tc_core.record.work import Work, let_go_of_texts, prepare

MARK_SECONDS = 0.02
"""How soon the spool says that a run has begun."""
MARKS_A_BATCH = 3
"""For how many of these times the thread lets a batch gather."""
RETRY_SECONDS = 1.0
REST_SECONDS = 1.5
"""After so long without work the thread ends, and the writer keeps no file and no connection open."""
FORK_WAIT_SECONDS = 0.08
"""How long a fork waits for a batch that is being written."""
MOST_HELD_BYTES = 64 << 20
"""How much the queue holds: beyond it texts are let go, then whole events, which the spool still has."""


_OF_BROKEN_EVENTS = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""What a store raises of an event that it cannot write, beside its StorageError."""


class Writer:
    """Writes the queue to the sink in batches; each is one transaction, which also moves the spool mark.

    `lock` guards the queue and the spool; it is never held over the store's I/O. `drain` writes on the
    caller's thread, so that whoever asks the store need not wait for the writer's. What the parts add happens here:
    their steps before a batch is written, `committed`, `after` and `listen` once it is, and their chores between
    batches, on the writer's own thread alone.
    """

    def __init__(
        self,
        sink: EventSink,
        parts: Sequence[Part],
        *,
        spool: Spool | None,
        listeners: list[Listener] | None = None,
    ) -> None:
        self.lock = threading.RLock()  # taken only where hooks are put off: see `inside`
        listeners = [] if listeners is None else listeners
        listeners += [part.listen for part in parts if part.listen is not None]
        self.listeners = Listeners(listeners)
        self.after = AfterCommit([(part.name, part.after) for part in parts if part.after is not None])
        self.spool = spool
        self._sink = sink
        self._steps = [step for part in parts for step in part.steps]
        self._committed = [(part.name, part.committed) for part in parts if part.committed is not None]
        self._is_commit_untold = False
        self._is_stopped = False
        self._chores = Chores([part.chore for part in parts if part.chore is not None])
        self._queue: deque[Item] = deque()
        self._held_bytes = 0
        self._is_behind = False  # the spool has ended runs that the queue has not
        self._work: Work | None = None
        self._succession = Succession(sink, self._write_items)
        self._turn = threading.RLock()  # of whoever writes
        self._is_held = False
        self._thread: threading.Thread | None = None
        self._signal = WakeSignal()
        self.may_rest: Callable[[], bool] = lambda: True
        """Tells whether nothing is open whose start is in the spool."""
        self.mark: Callable[[], object] = lambda: None
        """Has the spool say which runs have begun."""

    # The caller's side

    def put(self, item: Item) -> None:
        """Queue an item; called with the lock held, right after its entry went to the spool."""
        room = MOST_HELD_BYTES - self._held_bytes
        if item.held_bytes > room or self._is_behind:
            let_go_of_texts(item)
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
        self._signal.set()

    def _do_chores(self) -> None:
        """When a chore is due: have the thread do it, unless this was stopped: what is closed stays closed."""
        if not self._is_stopped:
            self.wake()

    # The writing side

    def drain(self, timeout: float = 5.0) -> bool:
        """Write all that is queued; return whether that was possible within `timeout` seconds.

        On our own threads, which would wait for themselves, it does nothing.
        """
        return False if self.is_own_thread else self._drain(timeout)

    @property
    def is_own_thread(self) -> bool:
        """Whether this is asked on a thread of the writer, the listeners or the parts."""
        return threading.current_thread() in (self._thread, self.listeners.thread, self.after.thread)

    def take_over(self) -> None:
        """Write what dead processes have left in the spool folder."""
        if self.spool is not None:
            self._succession.take_over(self.spool.folder, [file.name for file in self.spool.files])

    def stop(self, timeout: float = 5.0) -> bool:
        """Drain, end the threads and give up the spool files; the next event starts everything anew.

        What could not be written stays in the spool, for whoever comes next.
        """
        is_drained = self.drain(timeout)
        thread, self._thread = self._thread, None
        self.end_thread()
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(left(timeout))
        self._tell_of_commit()
        self.listeners.close(left(timeout))  # which may wait for what the parts read
        self.after.close(left(timeout))
        self._give_back()
        self._is_stopped = True
        if is_drained and (self._queue or not self.may_rest()):  # what was noted, or has begun, behind the drain
            self.wake()
        return is_drained

    def _give_back(self) -> None:
        """Close the spool files, delete those that the store has whole, and close the store's connections."""
        if self.spool is not None:
            with undisturbed(), self.lock:
                files = self.spool.detach()
            for file in files:
                with contained("close the spool"):
                    if self.spool.is_committed(file):
                        self._succession.delete(file)
                file.close()
        self._sink.close()

    def _rest(self, due_seconds: float | None) -> bool:
        """On the thread: keep nothing open while there is nothing to do; return whether the thread is to end.

        A chore that is due later has the thread started again then.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            with undisturbed(), self.lock:
                if not self._is_idle():
                    return False
            self._give_back()
        finally:
            self._turn.release()
        with undisturbed(), self.lock:
            if not self._is_idle():  # an event came meanwhile: whoever queued it saw a thread
                return False
            self._thread, self._signal = None, WakeSignal()
        if due_seconds is not None:
            alarms.set(due_seconds, self._do_chores)
        return True

    def _is_idle(self) -> bool:
        return not (self._queue or self._work or self._is_behind or self._is_commit_untold) and self.may_rest()

    def note_commit(self) -> None:
        """Have the parts told that something was committed."""
        if self._committed:
            self._is_commit_untold = True
            if threading.current_thread() is not self._thread:
                self.wake()

    def _tell_of_commit(self) -> bool:
        """Tell the parts of a commit; return False where one of them is to be told again."""
        if not self._is_commit_untold:
            return True
        self._is_commit_untold = False  # before they are told: another commit may come meanwhile
        is_told = True
        for name, committed in self._committed:
            is_heard = False
            with contained(f"part {name}: committed"):
                committed()
                is_heard = True
            is_told = is_told and is_heard
        if not is_told:
            self._is_commit_untold = True
        return is_told

    def end_thread(self) -> None:
        """Have the thread end soon, whatever is queued; this waits for nothing."""
        before, self._signal = self._signal, WakeSignal()
        before.end()

    def before_fork(self) -> None:
        """Hold the queue and the spool still, and for a moment the store, whose library has locks of its own."""
        self._is_held = self._turn.acquire(timeout=left(FORK_WAIT_SECONDS))
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on; an interrupt (Ctrl-C) may have come before all was held."""
        with suppress(RuntimeError):
            self.lock.release()
        if self._is_held:
            self._is_held = False
            self._turn.release()

    def after_fork(self) -> None:
        """In a child process: nothing queued, no thread, locks of its own."""
        self.lock, self._turn = threading.RLock(), threading.RLock()
        self._queue.clear()
        self._held_bytes, self._is_behind, self._work = 0, False, None
        self._thread = None
        self._signal = WakeSignal()
        self.listeners.begin()
        self.after.begin()
        self._is_commit_untold = False
        if self.spool is not None:
            for file in self.spool.detach():
                file.close()

    def _drain(self, timeout: float) -> bool:
        timeout, before = left(timeout), inside.draining
        deadline = time.monotonic() + timeout
        if self in before:
            return False
        inside.draining = (*before, self)
        try:
            if not self._turn.acquire(timeout=timeout):
                return False
            if self.spool is not None:
                self._look_after(self.spool)
            while self._write_some():
                if time.monotonic() > deadline:
                    return False
            self._write_faults()
            self._delete_written()
        except StorageError as error:
            if not (error.is_passing and is_out()):
                faults.note("store", error)
            return False
        else:
            return True
        finally:
            inside.draining = before
            _release_wholly(self._turn)

    def _look_after(self, spool: Spool) -> None:
        if not inside.is_busy:  # else a garbage collection inside a hook asked the store something
            with undisturbed(), self.lock:
                spool.look_after()

    def _write_some(self) -> bool:
        """Write one batch; return whether there was one. Raises StorageError when it should be tried again."""
        if self._work is None:
            items = self._next()
            if not items:
                return self._catch_up()
            self._work = prepare(items, self._steps)  # an interrupt (Ctrl-C) before leaves all in the queue
            for _ in items:
                self._queue.popleft()
        self._write(self._work)
        self._work = None
        return True

    def _write_faults(self) -> None:
        """Write the counts of swallowed errors that no batch has taken along: there may be no event ever."""
        counted = faults.take()
        if not counted:
            return
        try:
            self._sink.write(Batch(faults=counted))
        except StorageError:
            faults.give_back(counted)
            raise

    def _next(self) -> list[Item]:
        """Return the next batch of the queue; a mark speaks of one spool file, so a batch does too."""
        items: list[Item] = []
        file = None
        with undisturbed(), self.lock:  # hooks append to it meanwhile
            waiting = list(islice(self._queue, BATCH))
        for item in waiting:
            mark = item.spooled
            if mark is not None:
                if file is not None and mark.file != file:
                    break
                file = mark.file
            items.append(item)
        return items

    def _write(self, work: Work) -> None:
        try:
            self._sink.write(work.batch, work.mark)
        except StorageError as error:
            if error.is_passing:
                faults.give_back(work.batch.faults)
                work.batch.faults = {}
                raise
            self._write_singly(work, error)
        except Exception as error:  # one broken event must not stop all that follow
            let_pass(error)
            if not (isinstance(error, _OF_BROKEN_EVENTS) or threading.current_thread() is self._thread):
                raise  # whatever it is, it may be the caller's own: the batch stays
            self._write_singly(work, error)
        else:
            self._written(work)

    def _write_singly(self, work: Work, error: Exception) -> None:
        """Write what can be written of a batch that was refused; count what cannot."""
        faults.give_back(work.batch.faults)
        if len(work.items) > 1:
            for item in work.items:
                self._write(prepare([item], self._steps))
            return
        faults.note("store: an event is refused", error)
        self._sink.write(Batch(), work.mark)
        self._written(work)

    def _written(self, work: Work) -> None:
        if work.mark is not None and self.spool is not None:
            self.spool.committed(work.mark)
        events = [item for item in work.items if isinstance(item, PendingEvent)]
        for event in events:
            event.is_written = True
            above, event.parent = event.parent, None
            while above is not None and not above.is_written:
                above.is_written = True
                above = above.parent
        with undisturbed(), self.lock:
            self._held_bytes -= sum([item.held_bytes for item in work.items])
        if self.after.is_wanted:
            self.after.hand_over(events)
        for event in events:
            event.content = event.output = None
        self.note_commit()
        self.listeners.tell([event.record for event in events])

    def _catch_up(self) -> bool:
        """Write from the own spool what the queue had no room for; return whether there was any."""
        if not self._is_behind or self.spool is None:
            return False
        for file in self.spool.files:
            if not self.spool.is_committed(file):
                with undisturbed(), self.lock:
                    end = file.size
                self._succession.write_rest(file, end)
        with undisturbed(), self.lock:
            self._is_behind = not all(self.spool.is_committed(file) for file in self.spool.files)
        return True

    def _write_items(self, items: list[Item], mark: SpoolMark | None) -> None:
        work = prepare(items, self._steps)
        work.mark = mark or work.mark
        self._write(work)

    def _delete_written(self) -> None:
        """Delete own spool files that are full and that the store has whole."""
        spool = self.spool
        for file in spool.done() if spool is not None else ():
            with contained("delete a spool file"):
                self._succession.delete(file)
            if spool is not None:
                spool.forget(file)

    # The thread

    def _start_thread(self) -> None:
        with undisturbed(), self.lock:
            if self._thread is not None:
                return
            arguments = (weakref.ref(self), self._signal)
            thread = threading.Thread(target=_run, args=arguments, name="token-calculator-writer", daemon=True)
            self._thread, self._is_stopped = thread, False
        try:
            thread.start()  # waits for the new thread, so that nothing may be locked here
        except RuntimeError:  # the interpreter is shutting down; `stop` writes what is left
            self._thread = None


def _run(reference: "weakref.ref[Writer]", signal: WakeSignal) -> None:
    """The thread's work; it keeps no writer alive that nobody else holds."""
    try:
        seconds: float | None = None
        due: float | None = None
        while True:
            if seconds != 0.0 and not signal.wait(REST_SECONDS if seconds is None else min(seconds, REST_SECONDS)):
                writer = reference()
                if writer is None or ((due is None or due > time.monotonic()) and writer._rest(_until(due))):
                    return
                if due is None or due > time.monotonic():
                    del writer
                    continue
            for _ in range(MARKS_A_BATCH):
                signal.pause(MARK_SECONDS)
                writer = reference()
                if writer is None or signal.is_over:
                    return
                attempt(writer.mark)
                if not (writer._queue or writer._is_behind):
                    break
                del writer
            writer = reference()
            if writer is None:
                return
            is_done = attempt(writer._drain, 60.0) and writer._tell_of_commit()
            if not is_done:  # whatever it is, it is tried again
                signal.pause(RETRY_SECONDS)
            seconds = writer._chores.do() if is_done else 0.0
            due = None if seconds is None else time.monotonic() + seconds
            del writer
    finally:
        writer = reference()
        if writer is not None and writer._thread is threading.current_thread():
            writer._thread = None  # whatever ended it, the next event starts another


def _until(moment: float | None) -> float | None:
    return None if moment is None else max(moment - time.monotonic(), 0.0)


def _release_wholly(lock: Any) -> None:
    """Release a lock as often as this thread has it: once more where an interrupt (Ctrl-C) once skipped that."""
    with suppress(RuntimeError):  # it has it no more
        while True:
            lock.release()
