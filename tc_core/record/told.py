"""What the spool is told of runs: at once that one has ended, and soon that it has begun."""

from collections import deque
from collections.abc import Hashable, Mapping

from tc_core.model.ports import Link, SpoolMark
from tc_core.record.entries import EntryWriter
from tc_core.record.guard import attempt
from tc_core.record.inside import undisturbed
from tc_core.record.pending import EVENT_BYTES, PendingEvent
from tc_core.record.writer import Writer

MOST_UNTOLD = 256


class Told:
    """Tells the spool of a writer; used with its lock held.

    That a run has begun the writer's thread tells, within 20 ms unless the store keeps it: most calls of a fast program
    have ended by then, and for others that takes no time of the caller's. Should the process be killed before, it is
    unknown that the run had begun, unless something inside it has ended.
    """

    def __init__(self, writer: Writer, open_runs: Mapping[Hashable, PendingEvent]) -> None:
        self._writer, self._open = writer, open_runs
        self._entries = EntryWriter()
        self._untold: deque[PendingEvent] = deque()  # runs that have begun
        writer.mark = self.beginnings

    def begins(self, call: PendingEvent) -> None:
        """Note that a run begins, or that it is of another kind than was told."""
        if self._writer.spool is None:
            return
        call.is_marked = False
        self._untold.append(call)
        if len(self._untold) > MOST_UNTOLD:  # the store keeps the writer's thread
            self.beginnings()

    def beginnings(self) -> None:
        """Tell which runs have begun, of those that have not ended since; this takes the lock itself."""
        if not self._untold:
            return
        with undisturbed(), self._writer.lock:
            while self._untold:  # an interrupt (Ctrl-C) leaves what is not told yet
                attempt(self._begun, self._untold[0])
                self._untold.popleft()

    def _begun(self, call: PendingEvent) -> None:
        if not call.is_marked and self._open.get(call.key) is call:
            self._append(self._entries.start(call.record), is_end=False)
            call.is_marked = True

    def ends(self, call: PendingEvent) -> None:
        """Tell that a run has ended, and before that, what it hangs under has begun."""
        if self._writer.spool is None:
            return
        if call.parent is not None and not call.parent.is_marked:
            self.beginnings()
        payload = self._entries.end(call)
        call.spooled = self._append(payload, is_end=True)
        if len(payload) > EVENT_BYTES:  # its metadata
            call.held_bytes += len(payload)

    def related(self, link: Link) -> SpoolMark | None:
        """Tell of a relation by itself."""
        return self._append(self._entries.link(link), is_end=True)

    def is_none(self, call: PendingEvent) -> None:
        """Tell that a run which has begun is none."""
        self._append(self._entries.forget(call.record.id), is_end=False)

    def clear(self) -> None:
        """Forget what is not told: in a forked child."""
        self._untold.clear()

    def _append(self, payload: bytes, *, is_end: bool) -> SpoolMark | None:
        spool = self._writer.spool
        return None if spool is None else spool.append(payload, self._open_starts, is_end=is_end)

    def _open_starts(self) -> list[bytes]:
        """Return what begins each new file."""
        for call in self._open.values():
            call.is_marked = True
        return [self._entries.start(call.record) for call in self._open.values()]
