"""Handing texts to the parts that read them, once the events are in the store, on a thread of its own.

Texts are held by reference until then, and no longer. They are bounded: where a part is slower than the calls come, the
texts of further calls are let go, and counted. What comes within a moment is read together: a part's transaction costs
more than reading one call.
"""

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from tc_core.model.part import Texts
from tc_core.model.segment import segments
from tc_core.record.guard import attempt, contained, faults
from tc_core.record.pending import PendingEvent

After = Callable[[Sequence[Texts]], object]

MOST_HELD_BYTES = 64 << 20
GATHER_SECONDS = 0.5
"""So long the first text waits for others, unless somebody waits for it."""
GATHERED_BYTES = 1 << 20
"""With so much nothing waits any longer."""


class AfterCommit:
    """The thread, what waits for it, and about how much memory that keeps."""

    def __init__(self, parts: Sequence[tuple[str, After]]) -> None:
        self.thread: threading.Thread | None = None
        self.is_wanted = bool(parts)
        self._parts = parts
        self.begin()

    def begin(self) -> None:
        """Begin anew: no thread, nothing waits."""
        self.thread = None
        self._waiting: SimpleQueue[_Waiting] = SimpleQueue()
        self._given_bytes = self._taken_bytes = 0  # each is changed by one thread alone

    def hand_over(self, calls: Sequence[PendingEvent]) -> None:
        """Take the texts of events that are committed; called by one thread at a time."""
        held = [_Held(call) for call in calls if call.has_texts]
        if not held:
            return
        size = sum(each.held_bytes for each in held)
        if self._given_bytes - self._taken_bytes + size > MOST_HELD_BYTES:
            faults.note("texts: let go, a part is too slow", count=len(held))
            return
        if self.thread is None:
            arguments = (self._waiting,)
            self.thread = threading.Thread(target=self._run, args=arguments, name="token-calculator-after", daemon=True)
            self.thread.start()
        self._given_bytes += size
        self._waiting.put(held)

    def wait(self, timeout: float) -> bool:
        """Return once all that was handed over is done with; False when that took too long."""
        if self.thread is None or threading.current_thread() is self.thread:
            return True
        done: SimpleQueue[None] = SimpleQueue()
        self._waiting.put(done)
        try:
            done.get(timeout=max(timeout, 0.0))
        except Empty:
            return False
        return True

    def close(self, timeout: float) -> None:
        """Let the parts see what waits, for at most `timeout` seconds, and end the thread."""
        thread = self.thread
        if thread is None or thread is threading.current_thread():
            return
        self._waiting.put(None)
        thread.join(timeout)
        self.begin()  # a part that never comes back keeps the old thread

    def _run(self, waiting: "SimpleQueue[_Waiting]") -> None:
        is_over = False
        while not is_over:
            texts, held_bytes, asking = _gather(waiting)
            for name, after in self._parts if texts else ():
                with contained(f"part {name}: texts"):
                    after(texts)
            self._taken_bytes += held_bytes
            del texts  # else they are held until the next ones come
            if isinstance(asking, SimpleQueue):
                asking.put(None)
            is_over = asking is None


def _gather(waiting: "SimpleQueue[_Waiting]") -> "tuple[list[Texts], int, _Waiting]":
    """Wait for texts and a moment for more; return them, about how much memory they keep, and what ended the moment.

    They are read from the framework's objects as they come: the program may go on to change those.
    """
    texts: list[Texts] = []
    held_bytes, deadline = 0, float("inf")
    while held_bytes < GATHERED_BYTES:
        try:
            each = waiting.get(timeout=max(deadline - time.monotonic(), 0.0) if held_bytes else None)
        except Empty:
            break
        if not isinstance(each, list):
            return texts, held_bytes, each
        if not held_bytes:
            deadline = time.monotonic() + GATHER_SECONDS
        texts += [found for found in (attempt(held.read) for held in each) if found is not None]
        held_bytes += sum(held.held_bytes for held in each)
    return texts, held_bytes, []


class _Held:
    """The texts of one event, by reference."""

    def __init__(self, call: PendingEvent) -> None:
        self.held_bytes = call.held_bytes
        self._record, self._content, self._output = call.record, call.content, call.output

    def read(self) -> Texts:
        return Texts(self._record, segments(self._content), segments(self._output))


_Waiting = list[_Held] | SimpleQueue[None] | None
"""Texts, somebody who waits until they are read, or the end."""
