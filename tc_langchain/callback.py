"""LangChain's callbacks, translated into calls of the recorder."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tc_core import CostTracker
from tc_core.adapter import (
    Destination,
    Report,
    Request,
    Segment,
    Status,
    Usage,
    admitted_in_time,
    attempt,
    deferred,
    label_texts,
    never_raises,
    register,
    requesting,
    status_of,
)
from tc_langchain import admission, reading, reports
from tc_langchain.batches import Batch
from tc_langchain.either_way import EitherWay
from tc_langchain.runs import Runs, Watched, current
from tc_langchain.starts import Start
from tc_langchain.step_hooks import StepHooks, key_of
from tc_langchain.tasks import ERRORS, OpenCall, Tasks

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult

_EMPTY: Mapping[str, Any] = {}
_NOTHING = Usage(0, 0)
_OWN_TO_A_PROCESS = ("_recorder", "_runs", "_tasks", "_batches")
"""What a copy makes anew."""


class TokenCalculatorCallback(StepHooks):
    """Records the runs of the models, chains and agents that it is given to.

    >>> model = ChatOpenAI(callbacks=[TokenCalculatorCallback(agent_id="rag", environment="production")])

    `tracker` says where to; without one the default store is used. `default_labels` are laid over every event; names of
    dimensions (`agent_id`, `environment`, ...) fill these. Together with `instrument()` each run counts once. It may be
    copied and pickled with the models that hold it: a copy records into the same store, in another process by its path
    or URL.
    """

    raise_error = True  # all that our hooks let through is a refusal, or the host's own: a time limit by a signal
    run_inline = True  # in the event loop's own thread: in the executor's, start and end could change places

    def __init__(self, tracker: CostTracker | None = None, **default_labels: object) -> None:
        self.tracker = tracker
        self.default_labels = label_texts(default_labels)
        self._record_to(Destination(None if tracker is None else tracker.storage))

    def _record_to(self, destination: Destination) -> None:
        self._destination, self._recorder = destination, destination.recorder
        self._runs = Runs.of(self._recorder)
        self._tasks = Tasks(self._give_up)
        self._batches = admission.Batches()
        register("langchain", current, catch_up=Tasks.catch_up)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in _OWN_TO_A_PROCESS}
        return {**kept, "tracker": self.tracker is not None, "default_labels": label_texts(dict(self.default_labels))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        destination = state["_destination"]
        self.__dict__.update(state, tracker=CostTracker(destination.storage) if state["tracker"] else None)
        self._record_to(destination)

    # Models

    def _chat_model_starts(
        self, serialized: dict[str, Any], messages: "list[list[BaseMessage]]", *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note that a chat model is asked; raises what a part refuses it with."""
        self._raise_refusal(Start.of(reading.chat, messages, serialized, run_id, kwargs))

    async def _chat_model_starts_in_time(
        self, serialized: dict[str, Any], messages: "list[list[BaseMessage]]", *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Do the same once calls under way have made room, if only these leave none."""
        start = Start.of(reading.chat, messages, serialized, run_id, kwargs)
        await self._wait_for_room(start)
        self._raise_refusal(start)

    def _llm_starts(self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a completion model is asked; raises what a part refuses it with."""
        self._raise_refusal(Start.of(reading.completion, prompts, serialized, run_id, kwargs))

    async def _llm_starts_in_time(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Do the same once calls under way have made room, if only these leave none."""
        start = Start.of(reading.completion, prompts, serialized, run_id, kwargs)
        await self._wait_for_room(start)
        self._raise_refusal(start)

    if not TYPE_CHECKING:
        on_chat_model_start = EitherWay(_chat_model_starts, _chat_model_starts_in_time)
        on_llm_start = EitherWay(_llm_starts, _llm_starts_in_time)

    @property
    def may_refuse(self) -> bool:
        """Whether a part may refuse calls."""
        return self._recorder.wants_to_admit

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **kwargs: Any) -> None:
        """Note a chunk of a stream; raises what a part cuts that with."""
        cut = self._came(token, chunk, run_id)
        if cut is not None:
            raise cut

    @never_raises
    def _came(self, token: Any, chunk: Any, run_id: UUID) -> Exception | None:
        """Note a chunk, and what it says of tokens: some providers tell the sum so far in each."""
        self._tasks.piece(run_id.bytes, token)
        reported = reports.of_chunk(chunk)
        if reported:
            key, streamed = run_id.bytes, self._runs.streamed
            before = streamed.get(key)
            streamed[key] = reported if before is None or reports.is_sum_so_far(before, reported) else {}
        watched = self._runs.watched.get(run_id.bytes)
        return None if watched is None else self._weighed(watched, run_id.bytes, token, chunk)

    def _weighed(self, watched: Watched, key: bytes, token: Any, chunk: Any) -> Exception | None:
        """Show a piece to what watches its stream; return what that is cut with."""
        said = attempt(reading.piece, token, chunk) or ()
        watched.pieces += said
        cut = attempt(watched.meter.piece, sum(map(len, said)))
        if cut is not None:
            del self._runs.watched[key]
            self._runs.cut[key] = [Segment("ai", "text", "".join(watched.pieces))]
        return cut

    @never_raises
    def on_llm_end(self, response: "LLMResult", *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a model has answered."""
        key = run_id.bytes
        report = self._report(key, response)
        is_counted = bool(self._runs.batched) and self._runs.is_counted(key, is_told=report is not None)
        said = attempt(reading.said, response) or reading.NOTHING_SAID
        if said.cached_run:
            self._recorder.link(key, "derived_from", UUID(said.cached_run).bytes)
        self._recorder.finish(
            key,
            usage=_NOTHING if is_counted else None,
            report=report,
            model=said.model,
            output=deferred(reading.answer, response),
            service_tier=said.service_tier,
            is_cached=said.cached_run is not None,
        )
        self._tasks.ended(key)
        self._runs.watched.pop(key, None)
        if said.tool_calls:
            self._runs.asked_for(said.tool_calls, key)

    @never_raises
    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Note that a model call has failed, or that its stream was closed early."""
        response, came = kwargs.get("response"), self._runs.cut.pop(run_id.bytes, None)
        status: Status = "closed" if came is not None else status_of(error)
        self._tasks.ended(run_id.bytes)
        self._runs.watched.pop(run_id.bytes, None)
        self._runs.batched.discard(run_id.bytes)
        if status == "error":
            self._runs.failed(run_id.bytes, key_of(parent_run_id))
        report = self._report(run_id.bytes, response) or attempt(reports.of_error, error, response)
        if came is not None and not attempt(reports.is_so_far, response, getattr(error, "received_tokens", None) or 0):
            report = None
        self._recorder.fail(
            run_id.bytes,
            status=status,
            error_type=type(error).__name__,
            report=report,
            model=(attempt(reading.said, response) or reading.NOTHING_SAID).model,
            output=attempt(reading.answer, response) if came is None else came,
        )

    # All of them

    def _requests(self, key: bytes, batch_size: int) -> None:
        """Note that what is sent from now on here belongs to this call, or to one of several that are asked at once."""
        if batch_size == 1:
            requesting.set((self._recorder, key))
            return
        batch = (requesting.get() or (None, None))[0]
        if not isinstance(batch, Batch) or not batch.takes(self._recorder):
            batch = Batch(self._recorder, batch_size)
        batch.keys.append(key)
        requesting.set((batch, key))

    def _raise_refusal(self, start: "Start") -> None:
        refusal = self._asked(start)
        if refusal is not None:
            raise refusal

    async def _wait_for_room(self, start: "Start") -> None:
        """Ask the parts about a call before it begins, so that it may wait; one of several at once does not."""
        request = self._request_to_wait_for(start)
        if request is not None:
            decision = await admitted_in_time(self._recorder, request)
            start.is_decided, start.refusal = True, decision.refusal

    @never_raises
    def _request_to_wait_for(self, start: "Start") -> Request | None:
        is_known = self._recorder.is_open(start.key) or admission.is_asked(self._recorder, start.metadata)
        return None if start.batch_size > 1 or is_known else self._request(start)

    @never_raises
    def _asked(self, start: "Start") -> Exception | None:
        """Note that a model is asked; return what a part refuses that with, which then is noted too."""
        key, recorder = start.key, self._recorder
        asked = attempt(reports.as_asked, start.parameters, start.serialized)
        if asked:
            self._runs.asked[key] = asked
        if start.batch_size > 1 and start.is_completion:
            self._runs.begin_batched(key)
        if recorder.wants_to_admit and not recorder.is_open(key):
            refusal = self._batches.refused(start.parameters) if start.batch_size > 1 else None
            refusal = refusal or self._refusal(start)
            not_sent = self._batches.admitted(start.run_id, start.batch_size, is_refused=refusal is not None)
            if refusal is not None:
                self._batches.note_refusal(start.parameters, refusal)
                for each in not_sent:
                    self._forget(each.bytes)
                return refusal
        self._start_model(start)
        self._requests(key, start.batch_size)
        return None

    def _refusal(self, start: "Start") -> Exception | None:
        """Ask the parts about a call before it is an event, unless a middleware has; return what refuses it."""
        key, recorder = start.key, self._recorder
        asked_as = None if start.is_decided else admission.asked_as(recorder, start.metadata)
        if asked_as is not None:
            recorder.rename(asked_as.event_id, key)
            self._watch(key, may_cut=asked_as.may_cut)
            return None
        refusal = start.refusal if start.is_decided else recorder.admit(self._request(start)).refusal
        if refusal is None:
            self._watch(key)
        return refusal

    def _request(self, start: "Start") -> Request:
        parent = None if start.above is None else self._runs.parent(start.above)
        scope, root = self._recorder.place_here(parent, self._labels(start.key, start.metadata, parent))
        return Request(
            attempt(reading.model_name, start.metadata, start.parameters),
            start.provider,
            scope=scope,
            content=start.content,
            most_output_tokens=reading.most_output_tokens(start.metadata, start.parameters),
            event_id=start.key,
            root_id=root,
        )

    def _watch(self, key: bytes, *, may_cut: bool = True) -> None:
        """Have the stream of a call that was let through be watched, where a part wants that."""
        meter = self._recorder.meter(key) if may_cut and self._recorder.cuts_streams else None
        if meter is not None:
            self._runs.watched[key] = Watched(meter)

    def _forget(self, key: bytes) -> None:
        """Take back a call that is not made, because it or another one of its batch is refused."""
        self._runs.asked.pop(key, None)
        self._runs.watched.pop(key, None)
        self._runs.batched.discard(key)
        self._tasks.ended(key)
        self._recorder.forget(key)

    def _report(self, key: bytes, response: "LLMResult | None") -> Report | None:
        """Return what an answer says of usage, and forget what was kept for that."""
        asked = self._runs.asked.pop(key, _EMPTY)
        return attempt(reports.report, response, self._runs.streamed.pop(key, None), asked)

    def _start_model(self, start: "Start") -> None:
        key, above = start.key, start.above
        parent = None if above is None else self._runs.parent(above)
        self._recorder.start(
            "llm_call",
            key=key,
            event_id=key,
            parent=parent,
            model=attempt(reading.model_name, start.metadata, start.parameters),
            provider=start.provider,
            content=start.content,
            labels=self._labels(key, start.metadata, parent),
        )
        self._tasks.began(key, start.run_id)
        if above is not None:
            self._link(key, above, repeats=reading.is_later_attempt(start.tags))
            if "lc_source" not in start.metadata:
                self._link_to_followed(key, above)

    def _link(self, key: bytes, above: bytes, *, repeats: bool) -> None:
        """Relate a model call to the failed one that it repeats or stands in for."""
        repeated = self._runs.repeated(above, repeats=repeats)
        if repeated is not None:
            self._recorder.link(key, "retry_of", repeated)
            return  # inside a fallback it is the same model once more, and stands in for nothing
        replaced = self._runs.replaced(above)
        if replaced is not None:
            self._recorder.link(key, "fallback_for", replaced)

    def _link_to_followed(self, key: bytes, above: bytes) -> None:
        """Relate a model call of an agent to the failed one after which a middleware makes it."""
        followed = self._runs.followed(above)
        if followed is not None:
            models = {record.model for record in map(self._recorder.record, (key, followed)) if record is not None}
            self._recorder.link(key, "retry_of" if len(models) == 1 else "fallback_for", followed)

    def _give_up(self, key: bytes, call: OpenCall) -> None:
        """Note that a call will have no end that is told."""
        report = self._report(key, None)
        self._runs.watched.pop(key, None)
        self._runs.batched.discard(key)
        if self._recorder.is_open(key):
            self._recorder.fail(
                key,
                status=call.status,
                error_type=ERRORS[call.status],
                report=report,
                output=call.pieces,
            )
