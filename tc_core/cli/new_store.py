"""A store that a command has made and then not needed: it goes again."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tc_core import settings
from tc_core.errors import StorageError
from tc_core.runtime.recorders import open_storage
from tc_core.store.sql import SqlStore
from tc_core.store.storages import path_of


@contextmanager
def kept_if_used(wanted: str | None) -> Iterator[None]:
    """Delete a store that was not there before where nothing is in it afterwards, also when the command fails."""
    path = path_of(wanted or settings.load().store)
    is_new = path is not None and not path.exists()
    try:
        yield
    finally:
        if is_new and path is not None and path.exists():
            _delete_if_empty(path)


def _delete_if_empty(path: Path) -> None:
    store = open_storage(path)
    if not isinstance(store, SqlStore):
        return
    with contextlib.suppress(StorageError):
        if store.size()["events"]:
            return
        store.close()
        for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            each.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds what another process records
            Path(f"{path}.spool").rmdir()
