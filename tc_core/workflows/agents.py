"""The blocks of a workflow: a run, an agent in it, and the run of agents that stand in no block."""

import atexit
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple

from tc_core.costs.tracker import CostTracker
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.event import Status
from tc_core.model.scope import bounded_text
from tc_core.record import context
from tc_core.record.context import Block, Here
from tc_core.record.guard import attempt
from tc_core.record.inside import inside
from tc_core.record.pending import status_of
from tc_core.record.recorder import Recorder
from tc_core.runtime.by_hand import CostRecord
from tc_core.runtime.recorders import recorder_for
from tc_core.runtime.workflow import workflow
from tc_core.store.base import StorageBackend


class RunKey(NamedTuple):
    """A run that is going on: its key in the recorder, its event's id, and whether agents alone make it."""

    key: Hashable
    event_id: str
    loose: "LooseRun | None" = None


class InRun(Block):
    """A block inside a run of a workflow."""

    workflow_id: str | None
    run: RunKey | None = None


class TrackedRun(workflow):
    """A block that is one run of a tracker's workflow."""

    def __init__(
        self,
        note: "Callable[[TrackedRun, bool], object]",
        storage: StorageBackend,
        workflow_id: str,
        labels: Mapping[str, object],
    ) -> None:
        super().__init__(workflow_id)
        self._note, self._storage, self._labels = note, storage, labels

    def _changed(self, before: Here) -> Here:
        changed = super()._changed(before)
        return Here({**before.values, **self._labels, "workflow_id": self.workflow_id}, changed.innermost)

    def _open(self) -> None:
        with context.labels(**self._labels):
            super()._open()
        self._note(self, True)  # noqa: FBT003  # it is open

    def _close(self, error: BaseException | None) -> None:
        super()._close(error)
        self._note(self, False)  # noqa: FBT003  # it is not


class TrackedAgent(InRun):
    """A block in which an agent works.

    `event_id` is the agent's, once it has begun.
    """

    def __init__(
        self,
        run: Callable[[], RunKey],
        storage: StorageBackend,
        workflow_id: str,
        agent_id: str,
        labels: Mapping[str, object],
    ) -> None:
        super().__init__()
        self.workflow_id, self.agent_id = workflow_id, agent_id
        self.event_id: str | None = None
        self._find_run, self._storage, self._labels = run, storage, labels
        self._key: object = None

    def track_call(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        *,
        provider: str | None = None,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
        event_id: str | None = None,
        timestamp: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        latency_ms: float | None = None,
        status: str = "ok",
        **labels: object,
    ) -> CostRecord:
        """Record a call of this agent, from whatever thread; see `CostTracker.track_call`."""
        is_open = recorder_for(self._storage).is_open(self._key)
        labels = labels if is_open else {**self._values, **labels}
        with _Of(self):
            return CostTracker(self._storage).track_call(
                model,
                input_tokens,
                output_tokens,
                provider=provider,
                cached_tokens=cached_tokens,
                reasoning_tokens=reasoning_tokens,
                event_id=event_id,
                parent_id=None if is_open else self.event_id,
                timestamp=timestamp,
                metadata=metadata,
                latency_ms=latency_ms,
                status=status,
                **labels,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: it begins anew."""
        return {**self.__dict__, "_key": None, "run": None}

    def _open(self) -> None:
        recorder, self._key = recorder_for(self._storage), object()
        self.run = self._find_run()
        if self.run.loose is not None:
            self.run.loose.begins()
        self.event_id = recorder.start(
            "agent",
            key=self._key,
            parent=_parent(recorder, self.run),
            name=attempt(bounded_text, self.agent_id),
            labels=self._values,
        )

    def _close(self, error: BaseException | None) -> None:
        recorder = recorder_for(self._storage)
        status: Status = "ok" if error is None else status_of(error)
        if error is None:
            recorder.finish(self._key)
        else:
            recorder.fail(self._key, status=status, error_type=type(error).__name__)
        if self.run is not None and self.run.loose is not None:
            self.run.loose.ended(status)

    def _changed(self, before: Here) -> Here:
        values = {name: value for name, value in before.values.items() if name not in self._values}
        return Here(values, self._key)  # what is inside inherits the agent's, unless an agent of a framework is deeper

    @property
    def _values(self) -> dict[str, object]:
        return {**self._labels, "workflow_id": self.workflow_id, "agent_id": self.agent_id}


class _Of(Block):
    """Has what is recorded inside be an agent's, in whatever thread."""

    def __init__(self, agent: TrackedAgent) -> None:
        self._agent = agent

    def _changed(self, before: Here) -> Here:
        return self._agent._changed(before)


class LooseRun:
    """The run of agents that stand in no block of a run: from the first one's begin to the last one's end.

    It is ended when its tracker is let go of, or the program ends.
    """

    def __init__(self, owner: object, recorder: Recorder, workflow_id: str, labels: Mapping[str, object]) -> None:
        self.workflow_id = workflow_id
        self.key = object()
        self._recorder = recorder
        self._lock = Lock()
        self._agents = 0
        self._ended_us: int | None = None
        self._status: Status = "ok"
        self._around = _open_here(recorder)
        self.event_id = recorder.start(
            "workflow",
            key=self.key,
            name=attempt(bounded_text, workflow_id),
            labels={**labels, "workflow_id": workflow_id},
        )
        _loose_runs.add(self)
        weakref.finalize(owner, self.finish).atexit = False  # at the end of the program it is too late

    def begins(self) -> None:
        """Note that an agent begins."""
        with self._lock:
            self._agents += 1

    def ended(self, status: Status) -> None:
        """Note when the last agent ended, and how."""
        with self._lock:
            self._agents -= 1
            self._ended_us, self._status = clock.wall_ns() // 1000, status

    def is_over(self, recorder: Recorder) -> bool:
        """Tell whether another run is to be begun: the store is another one, or what it hung under has ended."""
        is_gone = bool(self._around) and not any(map(recorder.is_open, self._around))
        if self._recorder is recorder and (self._agents or not is_gone):
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """End it, at the moment at which its last agent has ended."""
        if self._recorder.is_open(self.key):
            self._recorder.finish(self.key, status=self._status, at_us=self._ended_us)


_loose_runs: "weakref.WeakSet[LooseRun]" = weakref.WeakSet()


@atexit.register  # before the recorders' own, which is registered when their module is imported
def _end_loose_runs() -> None:
    for run in list(_loose_runs):
        run.finish()


def run_here(workflow_id: str) -> RunKey | None:
    """Return the run of a workflow that is going on where this is called."""
    for block in blocks_here():
        if isinstance(block, InRun) and block.workflow_id == workflow_id:
            return block.run
        if isinstance(block, workflow) and block.workflow_id == workflow_id and block.event_id is not None:
            return RunKey(block.key, block.event_id)
    return None


def blocks_here() -> Iterator[object]:
    """Yield the blocks that are open where this is called, the innermost first."""
    found: Here | None = context.here()
    while found is not None:
        yield found.block
        found = found.above


def _parent(recorder: Recorder, run: RunKey) -> Hashable:
    """Return by what an agent finds its run: the key, or in a forked process, which has nothing open, the id."""
    return run.key if recorder.is_open(run.key) else ids.from_text(run.event_id)


def _open_here(recorder: Recorder) -> list[Hashable]:
    hosts = () if inside.is_busy else context.host_runs()
    return [key for key in (*hosts, context.here().innermost) if key is not None and recorder.is_open(key)]
