"""A middleware for agents, which can do what a callback cannot: send a request to another model, or answer it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage

from tc_core import CostTracker
from tc_core.adapter import Decision, Recorder, Request, Segment, attempt, never_raises, recorder_for, register
from tc_langchain import reading, requests
from tc_langchain.admission import asked
from tc_langchain.compression import Compression
from tc_langchain.runs import current

Asked = ModelRequest[Any]
Answer = ModelResponse[Any]


class TokenCalculatorMiddleware(AgentMiddleware[Any, Any, Any]):
    """Has each request of an agent sent, sent to another model, answered or refused, as the parts of a store decide.

    >>> agent = create_agent(model, tools, middleware=[TokenCalculatorMiddleware()])

    `tracker` says of which store; without one it is the default store. With `compress_at`, a share of the model's
    window or a number of tokens, the messages of a request that reaches it are made shorter, by `ConversationMonitor`'s
    strategy "hybrid"; the agent's own state keeps them all. `default_labels` are laid over what is recorded of a
    request that goes to no model. Calls of models are recorded by `instrument()` or a `TokenCalculatorCallback`.
    """

    def __init__(
        self, tracker: CostTracker | None = None, *, compress_at: float | None = None, **default_labels: object
    ) -> None:
        super().__init__()
        self.tools = []
        self.tracker = tracker
        self.default_labels = default_labels
        self._compression = None if compress_at is None else Compression(compress_at)
        self._recorder: Recorder = recorder_for(None if tracker is None else tracker.storage)
        register("langchain", current)

    def wrap_model_call(self, request: Asked, handler: Callable[[Asked], Answer]) -> Answer | AIMessage:
        """Ask the parts, and do what they decide; raises what one refuses with."""
        request = self._shortened(request) or request
        if not self._recorder.wants_to_admit:
            return handler(request)
        chosen = self._chosen(request)
        if isinstance(chosen, AIMessage):
            return chosen
        with asked(self._recorder):
            return handler(chosen)

    async def awrap_model_call(
        self, request: Asked, handler: Callable[[Asked], Awaitable[Answer]]
    ) -> Answer | AIMessage:
        """Ask the parts, and do what they decide; raises what one refuses with."""
        request = self._shortened(request) or request
        if not self._recorder.wants_to_admit:
            return await handler(request)
        chosen = self._chosen(request)
        if isinstance(chosen, AIMessage):
            return chosen
        with asked(self._recorder):
            return await handler(chosen)

    def _chosen(self, request: Asked) -> Asked | AIMessage:
        """Return the request to make, or the answer that is given instead."""
        about = self._about(request)
        decision = None if about is None else self._recorder.admit(about)
        if about is None or decision is None:
            return request
        if decision.refusal is not None:
            self._note(about, decision)
            raise decision.refusal
        if decision.answer is not None:
            self._note(about, decision)
            return AIMessage(decision.answer)
        if decision.model is None:
            return request
        model = decision.model
        if isinstance(model, str):
            model = attempt(requests.renamed, request.model, model) or request.model
        return request.override(model=model)

    @never_raises
    def _shortened(self, request: Asked) -> Asked:
        if self._compression is None:
            return request
        said: Mapping[str, Any] = attempt(requests.parameters, request.model, request.model_settings) or {}
        return self._compression.applied(request, attempt(reading.model_name, said, {}))

    @never_raises
    def _about(self, request: Asked) -> Request:
        said: Mapping[str, Any] = attempt(requests.parameters, request.model, request.model_settings) or {}
        messages = [] if request.system_message is None else [request.system_message]
        return Request(
            attempt(reading.model_name, said, {}),
            said.get("ls_provider"),
            scope=self._recorder.scope_here(current(), self.default_labels),
            content=partial(requests.prompt, [*messages, *request.messages], list(request.tools)),
            most_output_tokens=reading.most_output_tokens(said, request.model_settings),
            can_swap=True,
            can_answer=True,
        )

    @never_raises
    def _note(self, about: Request, decision: Decision) -> None:
        """Note a request that goes to no model: as a failed call, or as one that an answer was at hand for."""
        key, recorder = object(), self._recorder
        recorder.start(
            about.event_type,
            key=key,
            parent=current(),
            model=about.model,
            provider=about.provider,
            content=about.content,
            labels=self.default_labels,
        )
        if decision.refusal is not None:
            recorder.fail(key, error_type=type(decision.refusal).__name__)
        else:
            said = [Segment("ai", "text", decision.answer)]
            recorder.finish(key, is_cached=True, output=said if recorder.keeps_texts else None)
