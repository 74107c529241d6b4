"""`workflow`: a block of the user's code as a run of its own."""

from typing import Any

from tc_core.model.scope import bounded_text
from tc_core.record.context import Block, Here
from tc_core.record.guard import attempt
from tc_core.record.pending import status_of
from tc_core.record.recorder import Recorder
from tc_core.runtime.recorders import recorder_for, where_meant
from tc_core.store.base import StorageBackend


class workflow(Block):  # noqa: N801  # used like a function
    """Record a block as one run of a workflow; what is recorded inside hangs under it.

    The id is the user's, and may be used again: each entry is a run of its own. `event_id` is that run's.

    >>> with workflow("nightly-report") as run:
    ...     ...
    """

    def __init__(self, workflow_id: str, *, storage: StorageBackend | str | None = None) -> None:
        super().__init__()
        self.workflow_id = workflow_id
        self.event_id: str | None = None
        self._storage = where_meant(storage)  # it may be entered elsewhere, as the decorator of a function
        self._key: object = None
        self._recorder: Recorder | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: it opens a run of its own."""
        return {**self.__dict__, "_key": None, "_recorder": None}

    @property
    def key(self) -> object:
        """The key of the run in its recorder."""
        return self._key

    def _open(self) -> None:
        self._key = object()
        self._recorder = recorder_for(self._storage)
        self.event_id = self._recorder.start(
            "workflow",
            key=self._key,
            name=attempt(bounded_text, self.workflow_id),
            labels={"workflow_id": self.workflow_id},
        )

    def _changed(self, before: Here) -> Here:
        return Here({**before.values, "workflow_id": self.workflow_id}, self._key)

    def _close(self, error: BaseException | None) -> None:
        if self._recorder is None:
            return
        if error is None:
            self._recorder.finish(self._key)
        else:
            self._recorder.fail(self._key, status=status_of(error), error_type=type(error).__name__)
