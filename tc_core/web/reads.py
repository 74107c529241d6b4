"""The log of who has read what: noted at once, and written into the store by a thread of its own."""

import logging
import threading
from collections import deque
from contextlib import suppress

from tc_core.errors import StorageError
from tc_core.model import clock
from tc_core.store.sql import SqlStore
from tc_core.web import sql
from tc_core.web.sql import ExplorerRead

log = logging.getLogger("tc_core")

MOST_WAITING = 10_000
"""What waits beyond these, as while the store is locked, pushes out the oldest and is counted."""
MOST_CHARACTERS = 600
WRITE_SECONDS = 0.5


class ReadLog:
    """Notes reads without waiting for the store; `close` writes what is left. A store that is only read keeps none."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._waiting: deque[ExplorerRead] = deque(maxlen=MOST_WAITING)
        self._wake, self._ends = threading.Event(), threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.lost = 0
        """How many were pushed out, or could not be written."""

    @property
    def is_kept(self) -> bool:
        """Whether the store can keep it."""
        return not self._store.read_only

    def note(self, who: str, what: str, asked: str, status: int) -> None:
        """Note one question and what became of it."""
        if not self.is_kept:
            return
        if len(self._waiting) == MOST_WAITING:
            self._lose(1)
        self._waiting.append(
            ExplorerRead(clock.now(), who[:MOST_CHARACTERS], what[:MOST_CHARACTERS], asked[:MOST_CHARACTERS], status)
        )
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="token-calc-reads", daemon=True)
                    self._thread.start()
        self._wake.set()

    def flush(self) -> None:
        """Write what waits; what the store refuses is counted, and said in the log."""
        with self._writing:
            batch: list[ExplorerRead] = []
            with suppress(IndexError):
                while True:
                    batch.append(self._waiting.popleft())
            path = self._store.path
            if not batch or (path is not None and not path.exists()):  # to write would make an empty store there
                return
            try:
                sql.write(self._store, batch)
            except StorageError as error:
                self._lose(len(batch))
                log.warning("token-calculator: who has read what could not be kept: %s", error)

    def close(self) -> None:
        """End the thread, and write what is left."""
        self._ends.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)
        self.flush()

    def _lose(self, count: int) -> None:
        self.lost += count

    def _run(self) -> None:
        while not self._ends.is_set():
            self._wake.wait()
            self._wake.clear()
            self._ends.wait(WRITE_SECONDS)  # those that come together are written together
            self.flush()
