"""W3C trace context: a run that goes on in another process, or behind another service."""

import re
import sys
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tc_core.errors import LineageError
from tc_core.model import ids
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import Batch
from tc_core.model.scope import DIMENSIONS, bounded_text
from tc_core.record.context import Here
from tc_core.record.guard import attempt
from tc_core.record.pending import status_of
from tc_core.runtime.recorders import open_storage, recorder_for, where_meant
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore
from tc_core.workflows.agents import InRun, RunKey

TRACE_ID = "trace_id"
"""The label of what goes on with a trace that began elsewhere, outside of this store."""

_WRITTEN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ZEROS = {"0" * 32, "0" * 16}
_SPAN_BYTES = 8


class TraceParent(NamedTuple):
    """What a `traceparent` says: the trace, and what of it asks for what comes, both in hexadecimal digits."""

    trace_id: str
    parent_id: str


def parse(traceparent: str) -> TraceParent:
    """Read a `traceparent`; ValueError for what is none, by the rules of W3C Trace Context."""
    written: object = traceparent  # what an environment has not is None
    found = _WRITTEN.fullmatch(written.strip()) if isinstance(written, str) else None
    version, trace_id, parent_id, _, more = found.groups() if found is not None else ("ff", "", "", "", None)
    if version == "ff" or (version == "00" and more is not None) or trace_id in _ZEROS or parent_id in _ZEROS:
        raise ValueError(
            f"traceparent must be written 00-<32 hexadecimal digits>-<16 digits>-<2 digits>, not {traceparent!r:.100}"
        )
    return TraceParent(trace_id, parent_id)


def traceparent(storage: StorageBackend | str | Path | None = None, *, or_else: Hashable = None) -> str:
    """Return the W3C `traceparent` of the innermost run that is open here, for a program that goes on with it.

    The trace's id is that of the run's root event. What is open is written to the store, so that the other program
    finds it there. Raises LineageError where nothing is open.

    >>> with tc_core.workflow("nightly-report"):
    ...     subprocess.run(command, env={**os.environ, "TRACEPARENT": tc_core.traceparent()})
    """
    store = open_storage(storage)
    recorder = recorder_for(store)
    key = recorder.innermost()
    line = recorder.line(or_else if key is None else key)
    if not line:
        raise LineageError("Nothing is open here: call traceparent() inside a workflow, an agent or a framework's run.")
    top, own = line[0], line[-1]
    trace_id, label = ids.to_text(top.id), own.scope.labels.get(TRACE_ID)
    if isinstance(store, SqlStore):
        store.sink.write(Batch(line))
        written = store.get_event(ids.to_text(own.id))
        trace_id = trace_id if written is None or written.root_id is None else written.root_id
    digits = label if label is not None else ids.from_text(trace_id).hex()
    return f"00-{digits}-{own.id[-_SPAN_BYTES:].hex()}-01"


class continue_trace(InRun):  # noqa: N801  # used like a function
    """A block in which all that is recorded hangs under what another process has given a `traceparent` of.

    It is an event of its own, a step with the program's name, or with `name`. Where the store knows nothing of that
    trace, since it began elsewhere, the step is a root with the label `trace_id`. Raises ValueError for a text that is
    no `traceparent`.

    >>> with tc_core.continue_trace(os.environ["TRACEPARENT"]):
    ...     work()
    """

    def __init__(
        self,
        traceparent: str,
        *,
        name: str | None = None,
        storage: StorageBackend | str | Path | None = None,
        **labels: object,
    ) -> None:
        super().__init__()
        self.trace = parse(traceparent)
        self.name = name or Path(sys.argv[0] or "process").name
        self.workflow_id: str | None = None
        self.event_id: str | None = None
        self._storage = where_meant(storage)
        self._labels = labels
        self._key: object = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: it opens a step of its own."""
        return {**self.__dict__, "_key": None, "run": None}

    def _open(self) -> None:
        store = open_storage(self._storage)
        parent = _parent(store, self.trace)
        inherited: Mapping[str, object] = {TRACE_ID: self.trace.trace_id} if parent is None else _scope(parent)
        self.workflow_id = None if parent is None else parent.workflow_id
        self._key, recorder = object(), recorder_for(store)
        self.event_id = recorder.start(
            "task",
            key=self._key,
            parent=None if parent is None else ids.from_text(parent.event_id),
            name=attempt(bounded_text, self.name),
            labels={**inherited, **self._labels},
        )
        self.run = RunKey(self._key, self.event_id)

    def _changed(self, before: Here) -> Here:
        return Here({**before.values, **self._labels}, self._key)

    def _close(self, error: BaseException | None) -> None:
        recorder = recorder_for(open_storage(self._storage))
        if error is None:
            recorder.finish(self._key)
        else:
            recorder.fail(self._key, status=status_of(error), error_type=type(error).__name__)


def _parent(store: StorageBackend, trace: TraceParent) -> TrackingEvent | None:
    """Return the event that is meant, else the root of its trace, or None where the store knows nothing of it."""
    if not isinstance(store, SqlStore):
        return None
    root = ids.to_text(bytes.fromhex(trace.trace_id))
    events, _ = store.tree(root)
    events = events or store.query_events({f"labels.{TRACE_ID}": trace.trace_id})
    of_root = next((event for event in events if event.event_id == root), None)
    return next((event for event in events if _span_id(event) == trace.parent_id), of_root)


def _span_id(event: TrackingEvent) -> str:
    return ids.from_text(event.event_id)[-_SPAN_BYTES:].hex()


def _scope(event: TrackingEvent) -> dict[str, object]:
    """Return what the event would have given to those below it."""
    return {**event.labels, **{name: getattr(event, name) for name in DIMENSIONS}}
