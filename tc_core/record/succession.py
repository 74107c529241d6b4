"""Bringing spool files into the store: those of dead processes, and what the own queue had no room for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tc_core.errors import StorageError
from tc_core.model.patience import is_out
from tc_core.model.ports import EventSink, SpoolMark
from tc_core.record.entries import forgotten, read_item
from tc_core.record.guard import attempt, contained, faults
from tc_core.record.pending import Item, PendingEvent
from tc_core.record.spool import SpoolFile, files_of_others

BATCH = 2000

Write = Callable[[list[Item], SpoolMark | None], None]
"""Writes items in one transaction, which moves the mark: to the one given, else to the last item's."""


@contextmanager
def _patient() -> Iterator[None]:
    """Take a store that was not to be had in the time that there was for no error: the file stays for the next one."""
    try:
        yield
    except StorageError as error:
        if not (error.is_passing and is_out()):
            raise


class Succession:
    """Reads spool files and hands what the store lacks to a writer."""

    def __init__(self, sink: EventSink, write: Write) -> None:
        self._sink = sink
        self._write = write

    def take_over(self, folder: Path, own: list[str]) -> None:
        """Write and delete the files of dead processes; runs that were open there are abandoned."""
        for path in files_of_others(folder, own):
            if is_out():
                return  # the next one goes on
            file = SpoolFile.take(path)
            if file is None:
                continue
            try:
                with contained("take over a spool file"), _patient():
                    self._write_file(file)
                    self.delete(file)
            finally:
                file.close()

    def write_rest(self, file: SpoolFile, until: int) -> None:
        """Write the ended runs between the mark and a position of a file of one's own."""
        self._write_entries(file, start=self._sink.position(file.name), until=until)

    def delete(self, file: SpoolFile) -> None:
        """Delete a file that the store has whole, once even a loss of power could not take that back.

        A damaged one is kept aside, for whoever wants to look.
        """
        if file.damaged_bytes:
            faults.note("spool: a damaged file is kept aside")
        self._sink.make_durable(file.name)
        file.delete()
        self._sink.forget(file.name)

    def _write_file(self, file: SpoolFile) -> None:
        left_open = self._write_entries(file, mark=self._sink.position(file.name), until=file.size)
        for call in left_open:
            call.record.status = "abandoned"
        self._write(list(left_open), SpoolMark(file.name, file.size))

    def _write_entries(self, file: SpoolFile, *, mark: int = 0, start: int = 0, until: int) -> list[PendingEvent]:
        """Write the ended runs behind the mark; return the runs that have no end in what was read."""
        left_open: dict[bytes, PendingEvent] = {}
        items: list[Item] = []
        for position, payload in file.entries(start):
            if position > until:
                break
            gone = forgotten(payload)
            if gone is not None:
                left_open.pop(gone, None)
                continue
            item = attempt(read_item, payload, SpoolMark(file.name, position))
            if item is None:
                file.damaged_bytes += len(payload)
                continue
            if item.spooled is None and isinstance(item, PendingEvent):
                left_open[item.record.id] = item
                continue
            if isinstance(item, PendingEvent):
                left_open.pop(item.record.id, None)
            if position > mark:
                items.append(item)
            if len(items) == BATCH:
                self._write(items, None)
                items = []
        if items:
            self._write(items, None)
        return list(left_open.values())
