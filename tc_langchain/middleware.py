"""A middleware for agents, which can do what a callback cannot: send a request to another model, or answer it."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, NamedTuple

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from tc_core import ABTest, AgentLoopError, BudgetExceededError, CostTracker, labels
from tc_core.adapter import (
    LOOK_SECONDS,
    WAIT_SECONDS,
    Decision,
    Followed,
    Recorder,
    Request,
    Segment,
    attempt,
    label_texts,
    may_pass,
    never_raises,
    new_id,
    provider_at,
    recorder_for,
    register,
)
from tc_langchain import exceeded, reading, requests
from tc_langchain.ab_test import Arms, Models
from tc_langchain.admission import asked
from tc_langchain.compression import Compression
from tc_langchain.exceeded import Reaction, Retry
from tc_langchain.runs import current

Asked = ModelRequest[Any]
Answer = ModelResponse[Any]


class _Tries(NamedTuple):
    """What is to be asked about instead, one after the other."""

    requests: Iterable[Asked]


class _Chosen(NamedTuple):
    """The request to make, and the id that the parts were asked about it under."""

    request: Asked
    event_id: bytes


class TokenCalculatorMiddleware(AgentMiddleware[Any, Any, Any]):
    """Has each request of an agent sent, sent to another model, answered or refused, as the parts of a store decide.

    >>> agent = create_agent(model, tools, middleware=[TokenCalculatorMiddleware(on_exceeded="stop")])

    `tracker` says of which store; without one it is the default store. `default_labels` are laid over what is recorded
    of a request that goes to no model. Calls of models are recorded by `instrument()` or a `TokenCalculatorCallback`.
    It stands first in the list: a middleware before it that repeats what fails would repeat a refusal.

    `on_exceeded` says what becomes of a call that a hard budget has no room for: `stop` ends the agent with a message
    that says why, `downgrade` asks the model `downgrade_to` (a name, or a model) and stops where there is no room for
    that either, `trim` makes the messages ever shorter, as `compress_at` does, until there is room, `ask` interrupts
    the graph, so that a person resumes it with an amount to grant, True to let this call through, or False; `warn` logs
    it and sends it all the same, `raise` raises the BudgetExceededError. A callable is given the error and the request,
    and returns the request to make instead, or an answer, or None to stop; in an async agent it may be a coroutine
    function. The same becomes of a call whose streamed answer is cut (`instrument(cut_streams=True)`), but for `warn`,
    by which none is.

    With `compress_at`, a share of the model's window or a number of tokens, the messages of a request that reaches it
    are made shorter, by `ConversationMonitor`'s strategy "hybrid"; the agent's own state keeps them all.

    With `ab_test`, a test or its name, each session (or what its `unit` says) asks one of the test's two models, and
    its calls carry the label `ab_test.NAME`. `models` gives for a name in the test another one for `init_chat_model`,
    or a model; that is needed where the agent's own model cannot be copied with another name.
    """

    def __init__(
        self,
        tracker: CostTracker | None = None,
        *,
        on_exceeded: str | Reaction = "stop",
        downgrade_to: str | BaseChatModel | None = None,
        compress_at: float | None = None,
        ab_test: ABTest | str | None = None,
        models: Models | None = None,
        **default_labels: object,
    ) -> None:
        super().__init__()
        exceeded.check(on_exceeded, downgrade_to)
        self.tools = []
        self.tracker = tracker
        self.on_exceeded, self.downgrade_to = on_exceeded, downgrade_to
        self.default_labels = label_texts(default_labels)
        is_made_shorter = compress_at is not None or on_exceeded == "trim"
        self._compression = Compression(compress_at) if is_made_shorter else None
        self._trimming: Compression | None = None
        if ab_test is None and models is not None:
            raise ValueError("models are those of an A/B test: name it with ab_test")
        self._arms = None if ab_test is None else Arms(ab_test, models, tracker)
        self._recorder: Recorder = recorder_for(None if tracker is None else tracker.storage)
        register("langchain", current)

    def wrap_model_call(self, request: Asked, handler: Callable[[Asked], Answer]) -> Answer | AIMessage:
        """Ask the parts, and do what they decide; raises what one refuses with."""
        if self._arms is None:
            return self._answered(request, handler)
        with self._in_test(request) as request_of_arm:
            return self._answered(request_of_arm, handler)

    async def awrap_model_call(
        self, request: Asked, handler: Callable[[Asked], Awaitable[Answer]]
    ) -> Answer | AIMessage:
        """Ask the parts, and do what they decide; raises what one refuses with."""
        if self._arms is None:
            return await self._answered_async(request, handler)
        with self._in_test(request) as request_of_arm:
            return await self._answered_async(request_of_arm, handler)

    def _answered(self, request: Asked, handler: Callable[[Asked], Answer]) -> Answer | AIMessage:
        request = self._shortened(request) or request
        if not self._recorder.wants_to_admit:
            return handler(request)
        chosen = self._chosen(request)
        if isinstance(chosen, BudgetExceededError):
            chosen = self._settled(request, chosen)
        if isinstance(chosen, AIMessage):
            return chosen
        try:
            return self._sent(chosen, handler)
        except BudgetExceededError as error:
            if error.received_tokens is None:
                raise
            made = self._settled(chosen.request, error)
        return made if isinstance(made, AIMessage) else self._sent(made, handler)

    def _sent(self, chosen: _Chosen, handler: Callable[[Asked], Answer]) -> Answer:
        with self._asked(chosen):
            answer = handler(chosen.request)
        self._tell(chosen, answer)
        return answer

    async def _answered_async(
        self, request: Asked, handler: Callable[[Asked], Awaitable[Answer]]
    ) -> Answer | AIMessage:
        request = self._shortened(request) or request
        if not self._recorder.wants_to_admit:
            return await handler(request)
        chosen = await self._chosen_in_time(request)
        if isinstance(chosen, BudgetExceededError):
            chosen = await self._settled_in_time(request, chosen)
        if isinstance(chosen, AIMessage):
            return chosen
        try:
            return await self._sent_async(chosen, handler)
        except BudgetExceededError as error:
            if error.received_tokens is None:
                raise
            made = await self._settled_in_time(chosen.request, error)
        return made if isinstance(made, AIMessage) else await self._sent_async(made, handler)

    async def _sent_async(self, chosen: _Chosen, handler: Callable[[Asked], Awaitable[Answer]]) -> Answer:
        with self._asked(chosen):
            answer = await handler(chosen.request)
        self._tell(chosen, answer)
        return answer

    @contextmanager
    def _in_test(self, request: Asked) -> Iterator[Asked]:
        """Give the request to the model of its arm, and have its call recorded as that arm's."""
        found = (
            None if self._arms is None else attempt(self._arms.applied, request, self._recorder, self.default_labels)
        )
        chosen, names = found or (request, {})
        with labels(**names):
            yield chosen

    # Where a budget has no room

    def _reaction(self, error: BudgetExceededError) -> Reaction:
        if callable(self.on_exceeded):
            return self.on_exceeded
        return exceeded.reaction(self.on_exceeded, self.downgrade_to, self.tracker, self._ever_shorter)

    def _asked(self, chosen: _Chosen) -> AbstractContextManager[None]:
        """Have a request that was let through not asked about again; one that is made whatever it takes is not cut."""
        return asked(self._recorder, chosen.event_id, may_cut=self.on_exceeded != "warn")

    def _settled(self, request: Asked, error: BudgetExceededError) -> "_Chosen | AIMessage":
        """Return what is done in place of a request that was refused: another one that has room, or an answer."""
        said = self._reaction(error)(error, request)
        if inspect.isawaitable(said):
            if inspect.iscoroutine(said):
                said.close()
            raise TypeError("on_exceeded is a coroutine function: such an agent is run by ainvoke or astream")
        meant = _meant(request, said)
        if not isinstance(meant, _Tries):
            return meant
        for each in meant.requests:
            chosen = self._chosen(each)
            if not isinstance(chosen, BudgetExceededError):
                return chosen
            error = chosen
        return AIMessage(exceeded.message(error))

    async def _settled_in_time(self, request: Asked, error: BudgetExceededError) -> "_Chosen | AIMessage":
        """Return the same in an event loop, where what is done may be awaited."""
        said = self._reaction(error)(error, request)
        meant = _meant(request, await said if inspect.isawaitable(said) else said)
        if not isinstance(meant, _Tries):
            return meant
        for each in meant.requests:
            chosen = await self._chosen_in_time(each)
            if not isinstance(chosen, BudgetExceededError):
                return chosen
            error = chosen
        return AIMessage(exceeded.message(error))

    async def _chosen_in_time(self, request: Asked) -> "_Chosen | AIMessage | BudgetExceededError":
        """Return what the parts decide, after a while where only calls under way leave no room."""
        chosen, deadline = self._chosen(request), time.monotonic() + WAIT_SECONDS
        while isinstance(chosen, BudgetExceededError) and may_pass(chosen) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            chosen = self._chosen(request)
        return chosen

    @never_raises
    def _shortened(self, request: Asked) -> Asked:
        return request if self._compression is None else self._compression.applied(request, _model(request))

    def _ever_shorter(self, request: Asked) -> Iterable[Asked]:
        return () if self._compression is None else self._compression.shorter(request, _model(request))

    # What the parts decide

    def _chosen(self, request: Asked) -> "_Chosen | AIMessage | BudgetExceededError":
        """Return the request to make and its id, the answer that is given instead, or why a budget has no room."""
        event_id = new_id()
        about = self._about(request, event_id)
        decision = None if about is None else self._recorder.admit(about)
        if about is None or decision is None:
            return _Chosen(request, event_id)
        if isinstance(decision.refusal, BudgetExceededError):
            return decision.refusal
        if isinstance(decision.refusal, AgentLoopError) and self.on_exceeded != "raise":
            return AIMessage(exceeded.message(decision.refusal))
        if decision.refusal is not None:
            raise decision.refusal
        if decision.answer is not None:
            self._note(about, decision)
            return AIMessage(decision.answer)
        made = request
        if decision.compress_at is not None:
            made = self._trimmed(made, decision.compress_at, about.model) or made
        if made is not request:
            self._recorder.followed(event_id, Followed(is_shortened=True))
        if decision.model is not None:
            made = made.override(model=requests.swapped(made.model, decision.model))
        return _Chosen(made, event_id)

    @never_raises
    def _trimmed(self, request: Asked, at: float, model: str | None) -> Asked:
        if self._trimming is None or self._trimming.at != at:
            self._trimming = Compression(at)
        return self._trimming.applied(request, model)

    @never_raises
    def _tell(self, chosen: "_Chosen", answer: Answer) -> None:
        """Tell the parts what was made of a request."""
        self._recorder.followed(chosen.event_id, Followed(requests.plain_text(answer)))

    @never_raises
    def _about(self, request: Asked, event_id: bytes) -> Request:
        said: Mapping[str, Any] = attempt(requests.parameters, request.model, request.model_settings) or {}
        messages = [] if request.system_message is None else [request.system_message]
        scope, root = self._recorder.place_here(current(), self.default_labels)
        return Request(
            attempt(reading.model_name, said, {}),
            provider_at(said.get("ls_provider"), reading.address(request.model)),
            scope=scope,
            content=partial(requests.prompt, [*messages, *request.messages], list(request.tools)),
            most_output_tokens=reading.most_output_tokens(said, request.model_settings),
            can_swap=True,
            can_answer=request.response_format is None,
            can_shorten=True,
            event_id=event_id,
            root_id=root,
            temperature=said.get("ls_temperature"),
            setup=partial(requests.setup, request),
        )

    @never_raises
    def _note(self, about: Request, decision: Decision) -> None:
        """Note a request that goes to no model, since an answer was at hand."""
        key, recorder = object(), self._recorder
        recorder.start(
            about.event_type,
            key=key,
            parent=current(),
            model=decision.model if isinstance(decision.model, str) else about.model,
            provider=about.provider,
            content=about.content,
            labels=self.default_labels,
        )
        said = [Segment("ai", "text", decision.answer)]
        recorder.finish(key, is_cached=True, output=said if recorder.keeps_texts else None)


def _meant(request: Asked, said: Any) -> "_Chosen | AIMessage | _Tries":
    """Return what a reaction has said: an answer, the request all the same, or what to ask about instead."""
    if isinstance(said, str):
        return AIMessage(said)
    if isinstance(said, AIMessage):
        return said
    if not isinstance(said, Retry):
        return _Tries(() if said is None else (said,))
    return _Chosen(request, new_id()) if said.is_granted else _Tries(said.requests)


def _model(request: Asked) -> str | None:
    said: Mapping[str, Any] = attempt(requests.parameters, request.model, request.model_settings) or {}
    return attempt(reading.model_name, said, {})
