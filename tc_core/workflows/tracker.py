"""WorkflowTracker: what the agents of one workflow do, run by run, and what can be learnt from it."""

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from tc_core.errors import StorageError
from tc_core.lineage.tree import Node
from tc_core.model.event import TrackingEvent, check_text
from tc_core.model.run import Run
from tc_core.runtime.recorders import open_storage, recorder_for, wait_for_parts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore
from tc_core.workflows import compare, history, optimisations, outcomes, present, traces
from tc_core.workflows.agents import LooseRun, RunKey, TrackedAgent, TrackedRun, blocks_here, run_here
from tc_core.workflows.analysis import WorkflowAnalysis, analysis
from tc_core.workflows.compare import Distribution, RunComparison
from tc_core.workflows.optimisations import Optimization
from tc_core.workflows.outcomes import Outcome
from tc_core.workflows.present import Format


class WorkflowTracker:
    """Tracks a workflow of several agents; what models and tools do inside is recorded under the agent.

    `workflow_id` is the user's, and may be used again: a run is a block `with tracker:`, or without one all that the
    agents of this object do. `labels` are given to everything inside. `storage` is a store, a path or a URL; without it
    the default store is used. Questions are answered from the store, so that a tracker made later, elsewhere, answers
    as well.

    >>> tracker = WorkflowTracker("customer-support")
    >>> with tracker:
    ...     with tracker.track_agent("planner"):
    ...         plan = planner.invoke(question)
    ...     with tracker.track_agent("executor"):
    ...         answer = executor.invoke(plan)
    >>> tracker.analyze().bottleneck_agent
    """

    def __init__(self, workflow_id: str, storage: StorageBackend | str | Path | None = None, **labels: object) -> None:
        check_text("workflow_id", workflow_id)
        self.workflow_id = workflow_id
        self.storage = open_storage(storage)
        self.labels: Mapping[str, object] = labels
        self._lock = Lock()
        self._open: dict[str, RunKey] = {}
        self._loose: LooseRun | None = None
        self._last: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.workflow_id!r}, {self.storage!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: its agents begin a run of their own."""
        return {"workflow_id": self.workflow_id, "storage": self.storage, "labels": self.labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["workflow_id"], state["storage"], **state["labels"])  # type: ignore[misc]  # made anew

    # Recording

    def track_agent(self, agent_id: str, **labels: object) -> TrackedAgent:
        """Return a block in which an agent works: `with`, `async with`, or the decorator of a function.

        It has an `event_id`, and `track_call` for calls that nobody else tells of. Agents may be nested, may work at
        the same time, and may come again. An exception goes on to the program, and the agent has failed.
        """
        check_text("agent_id", agent_id)
        return TrackedAgent(self._run_of_agent, self.storage, self.workflow_id, agent_id, {**self.labels, **labels})

    def run(self, **labels: object) -> TrackedRun:
        """Return a block that is one run, as `with tracker:` is; its `event_id` names it in questions."""
        return TrackedRun(self._note, self.storage, self.workflow_id, {**self.labels, **labels})

    def __enter__(self) -> Self:
        self.run().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for block in blocks_here():
            if isinstance(block, TrackedRun) and block.workflow_id == self.workflow_id:
                block.__exit__(kind, error, traceback)
                return

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def outcome(
        self,
        success: bool = True,  # noqa: FBT001, FBT002  # as the seed's users call it
        value: float | None = None,
        *,
        run: str | Run | None = None,
    ) -> None:
        """Say how a run came out, and what that was worth; what is said last holds.

        Without `run` it is the one that is going on here, or the last one. Raises LineageError where there is none,
        ValueError for a success that is neither True nor False, such as a word.
        """
        if success not in (True, False):
            raise ValueError(f"success must be True or False, not {success!r}")
        here = run_here(self.workflow_id) if run is None else None
        event_id = self._run(run).event.event_id if here is None else here.event_id
        outcomes.save(self.storage, self.workflow_id, event_id, Outcome(bool(success), value))

    def traceparent(self) -> str:
        """Return the W3C `traceparent` of what is going on here, for a program that goes on with it elsewhere.

        >>> subprocess.run(command, env={**os.environ, "TRACEPARENT": tracker.traceparent()})

        There, `with tc_core.continue_trace(os.environ["TRACEPARENT"]):` has all that is recorded hang under it. Outside
        of any agent it is the run, which is begun where there is none.
        """
        run = run_here(self.workflow_id) or self._run_of_agent()
        return traces.traceparent(self.storage, or_else=run.key)

    # Asking

    def runs(self, *, limit: int = 20) -> list[Run]:
        """Return the runs of the workflow, the latest first; a graph or a crew of that name counts too."""
        return history.runs(self._store(), self.workflow_id, limit=limit)

    def analyze(self, run: str | Run | None = None) -> WorkflowAnalysis:
        """Say what a run cost, who needed the time, and what was wasted.

        `run` is its id, the end of one, or what `runs` returns; without it, the one that this object has begun last, or
        the last one in the store. Raises LineageError where there is none.
        """
        store = self._store()
        wait_for_parts(store)
        return analysis(store, self.workflow_id, self._run(run))

    def events(self, run: str | Run | None = None) -> list[TrackingEvent]:
        """Return what happened in a run, in order of time, between a `workflow_start` and a `workflow_end`."""
        return history.with_marks(self._run(run))

    def compare(self, run_a: str | Run, run_b: str | Run | None = None) -> RunComparison:
        """Say what changed from a run to another one, by default the last: by agent, and by origin of the tokens."""
        store = self._store()
        wait_for_parts(store)
        return compare.compare(store, self.workflow_id, self._run(run_a), self._run(run_b))

    def distribution(
        self, *, limit: int = 1000, since: datetime | None = None, until: datetime | None = None
    ) -> Distribution:
        """Say how cost, tokens, calls and time of the runs are distributed, and what a success costs."""
        return compare.distribution(self._store(), self.workflow_id, limit=limit, since=since, until=until)

    def suggest_optimizations(self, run: str | Run | None = None) -> list[Optimization]:
        """Return what would make a run cheaper or faster, as far as what was recorded proves it; the largest first."""
        store = self._store()
        wait_for_parts(store)
        return optimisations.suggest(store, self.workflow_id, self._run(run))

    def visualize(self, format: Format = "ascii", run: str | Run | None = None, *, width: int = 100) -> str:  # noqa: A002  # as the seed's users call it
        """Draw a run: `ascii` (a tree with a time line), `mermaid`, `dot` or `html`."""
        return present.draw(self._run(run), format, width=width)

    # Inside

    def _note(self, run: TrackedRun, is_open: bool) -> None:  # noqa: FBT001  # called by runs alone
        if run.event_id is None:
            return
        self._remember(run.event_id)
        with self._lock:
            if is_open:
                self._open[run.event_id] = RunKey(run.key, run.event_id)
            else:
                self._open.pop(run.event_id, None)

    def _remember(self, event_id: str) -> None:
        self._last = event_id
        _last_here.set((self._lock, event_id))

    def _last_run(self) -> str | None:
        """Return the run that was begun last here, in this thread or task, or else anywhere by this object."""
        here = _last_here.get()
        return here[1] if here is not None and here[0] is self._lock else self._last

    def _run_of_agent(self) -> RunKey:
        """Return the run that an agent belongs to: the one around it here, the only open one, or one of its own."""
        around = run_here(self.workflow_id)
        if around is not None:
            return around
        recorder = recorder_for(self.storage)
        with self._lock:
            if len(self._open) == 1:  # a thread that was not given its context; which of several is meant nobody knows
                return next(iter(self._open.values()))
            if self._loose is None or self._loose.is_over(recorder):
                self._loose = LooseRun(self, recorder, self.workflow_id, self.labels)
                self._remember(self._loose.event_id)
            return RunKey(self._loose.key, self._loose.event_id, self._loose)

    def _store(self) -> SqlStore:
        if not isinstance(self.storage, SqlStore):
            raise StorageError(
                f"workflows are asked for in SQLite and PostgreSQL, not in a {type(self.storage).__name__}"
            )
        return self.storage

    def _run(self, run: str | Run | None) -> Node:
        return history.run_of(self._store(), self.workflow_id, self._entry_id(run))

    def _entry_id(self, run: str | Run | None) -> str | None:
        """Return what a question or an outcome is about; None is the last run in the store."""
        if run is not None:
            return run.event.event_id if isinstance(run, Run) else run
        around = run_here(self.workflow_id)
        return self._last_run() if around is None else around.event_id


_last_here: ContextVar[tuple[object, str] | None] = ContextVar("token_calculator_last_run", default=None)
"""Of this thread or task: the lock of the tracker that ran here last, which stands for it, and the run."""
