"""What LangChain's callbacks tell of all that is no model: chains, graphs, agents, tools and retrievers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from tc_core.adapter import Content, Recorder, Segment, deferred, never_raises, status_of
from tc_langchain import reading
from tc_langchain.runs import Runs

_EMPTY: Mapping[str, Any] = {}
_CONTROL_FLOW = "GraphBubbleUp"
"""The base of the errors by which LangGraph leaves a node that waits for a human, or hands over to another agent."""


class StepHooks(BaseCallbackHandler):
    """The hooks of what a model is asked in, and of what works for it."""

    _recorder: Recorder
    _runs: Runs
    default_labels: Mapping[str, object]

    @never_raises
    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that a chain begins; graphs, nodes, agents and roots are recorded."""
        metadata, name = metadata or {}, kwargs.get("name")
        above = key_of(parent_run_id)
        chain = self._runs.open(run_id.bytes, above, name=name, repeats=reading.is_later_attempt(tags))
        chain.is_agent_model = reading.is_agent_model(metadata, name)
        kind = reading.chain_kind(metadata, tags, name, is_root=above is None)
        if kind is not None:
            chain.recorded, chain.is_recorded = run_id.bytes, True
            self._start(*kind, run_id, parent_run_id, metadata)
            task = reading.task(metadata, tags, name)
            failed = None if task is None else self._runs.tried_again(chain, task)
            if failed is not None:
                self._recorder.link(run_id.bytes, "retry_of", failed)

    @never_raises
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a chain has ended."""
        if self._runs.close(run_id.bytes):
            self._recorder.finish(run_id.bytes)

    @never_raises
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a chain has failed; one that waits for a human, or hands over, has not."""
        if not _is_control_flow(error):
            self._runs.has_failed(run_id.bytes)
        if self._runs.close(run_id.bytes):
            self._end_with(error, run_id)

    # Tools and retrievers

    @never_raises
    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that a tool is called."""
        name = (serialized or _EMPTY).get("name") or kwargs.get("name")
        self._start("tool", name, run_id, parent_run_id, metadata or _EMPTY)
        call = self._runs.tool_calls.get(kwargs.get("tool_call_id") or "")
        if call is not None:
            self._recorder.link(run_id.bytes, "triggered_by", call.asked_by)
            if call.failed is not None:
                self._recorder.link(run_id.bytes, "retry_of", call.failed)

    @never_raises
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a tool has answered."""
        self._recorder.finish(run_id.bytes, output=self._texts(reading.tool_result, copied(output)))
        self._runs.tool_calls.pop(getattr(output, "tool_call_id", None) or "", None)

    @never_raises
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a tool has failed."""
        call = self._runs.tool_calls.get(kwargs.get("tool_call_id") or "")
        if call is not None and not _is_control_flow(error):
            call.failed = run_id.bytes
        self._end_with(error, run_id)

    @never_raises
    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that passages are looked for."""
        metadata = metadata or {}
        self._start("retrieval", metadata.get("ls_retriever_name"), run_id, parent_run_id, metadata)

    @never_raises
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that passages are found."""
        self._recorder.finish(run_id.bytes, output=self._texts(reading.passages, copied(documents)))

    @never_raises
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that the search has failed."""
        self._end_with(error, run_id)

    def _texts(self, read: Callable[[Any], Sequence[Segment]], said: Any) -> Content | None:
        """Return texts by reference, where a part reads them."""
        return deferred(read, said) if self._recorder.keeps_texts else None

    def _start(
        self,
        event_type: str,
        name: object,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any],
    ) -> None:
        key, parent = run_id.bytes, self._runs.parent(key_of(parent_run_id))
        is_chain = event_type in ("agent", "task", "workflow")
        self._recorder.start(
            event_type,
            key=key,
            event_id=key,
            parent=parent,
            name=name if isinstance(name, str) else None,
            labels=self._labels(key, metadata, None if is_chain else parent),
        )

    def _labels(self, key: bytes, metadata: Mapping[str, Any], parent: bytes | None) -> Mapping[str, object]:
        """Return what the host says and the user's labels.

        Of a run that another handler has begun only the user's; and session and agent not where they come from a
        recorded parent.
        """
        if self._recorder.is_open(key):
            return self.default_labels
        inherits = parent is not None and self._recorder.record(parent) is not None
        return reading.labels(metadata, self.default_labels, inherits=inherits)

    def _end_with(self, error: BaseException, run_id: UUID) -> None:
        if _is_control_flow(error):
            self._recorder.finish(run_id.bytes)
        else:
            self._recorder.fail(run_id.bytes, status=status_of(error), error_type=type(error).__name__)


def copied(said: Any) -> Any:
    """Return a list or a mapping as it is now: the program gets the same one, and may change it."""
    return said.copy() if type(said) in (list, dict) else said


def _is_control_flow(error: BaseException) -> bool:
    return any(base.__name__ == _CONTROL_FLOW for base in type(error).__mro__)


def key_of(run_id: UUID | None) -> bytes | None:
    """Return what the recorder knows a run by: its bytes, whose hash is worked out once."""
    return None if run_id is None else run_id.bytes
