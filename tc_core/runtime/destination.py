"""Where something of a host's records to, and what its copies and pickles take along of that.

Models are copied and pickled with their callbacks. A store is not: every copy has the same one, and in another process
the one at the same path or URL.
"""

import logging
import pickle
from pathlib import Path
from typing import Any, Self

from tc_core.errors import StorageError
from tc_core.foreign import let_pass
from tc_core.record.guard import failure_of
from tc_core.record.recorder import Recorder
from tc_core.runtime.recorders import open_storage, recorder_for
from tc_core.store.base import StorageBackend
from tc_core.store.storages import InMemoryStorage

log = logging.getLogger("tc_core")


class Destination:
    """A store and its recorder, shared by all copies.

    Pickling names the store by its path or its whole URL, with the password. A store in memory is found again in the
    same process; elsewhere a new one takes its place. So it does where the store cannot be opened, which is a fault:
    what is unpickled is the host's. It raises StorageError for a backend of the user's own that cannot be pickled.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        self.storage = open_storage(storage)
        self.recorder: Recorder = recorder_for(self.storage)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            return _found_again, (pickle.dumps(self.storage),)
        except Exception as error:  # a backend of somebody's own may raise anything
            let_pass(error)
            raise StorageError(f"{type(self.storage).__name__} cannot be pickled, nor what records to it") from error


def _found_again(pickled: bytes) -> Destination:
    found: list[Destination] = []
    error = failure_of(
        "open the store of what was unpickled",
        lambda: found.append(Destination(pickle.loads(pickled))),  # noqa: S301  # a part of what is being unpickled
    )
    if error is not None:
        log.warning("token-calculator: recording into memory, since the store of what was unpickled cannot be opened")
        return Destination(InMemoryStorage())
    return found[0]
