"""Embeddings of LangChain, which have no callbacks: recorded by a wrapper."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.embeddings import Embeddings

from tc_core import CostTracker
from tc_core.adapter import (
    Destination,
    Request,
    Segment,
    admitted_in_time,
    attempt,
    label_texts,
    never_raises,
    new_id,
    provider_at,
    register,
    requesting,
    status_of,
)
from tc_langchain import reading
from tc_langchain.runs import current


class TrackedEmbeddings(Embeddings):
    """Records each call of an embedding model, and passes it on.

    >>> embeddings = TrackedEmbeddings(OpenAIEmbeddings(model="text-embedding-3-small"), feature="search")

    Tokens are counted with the model's own tokenizer, where it has a public one; with
    `http_client=tc_core.tracking_client()` in the wrapped model they are what the provider reports. `model` and
    `provider` are read from the wrapped object, unless given here. Anything else that is asked of it is passed on.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        model: str | None = None,
        provider: str | None = None,
        tracker: CostTracker | None = None,
        **labels: object,
    ) -> None:
        self.embeddings = embeddings
        self._model = model or attempt(_model, embeddings)
        self._provider = provider or _provider(embeddings)
        self._labels = labels
        self._record_to(Destination(None if tracker is None else tracker.storage))

    def _record_to(self, destination: Destination) -> None:
        self._destination, self._recorder = destination, destination.recorder
        register("langchain", current)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name != "_recorder"}
        return {**kept, "_labels": dict(label_texts(self._labels))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._record_to(state["_destination"])

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts."""
        with self._recorded(texts):
            return self.embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        with self._recorded([text]):
            return self.embeddings.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts."""
        with self._recorded(texts, await self._asked_in_time(texts)):
            return await self.embeddings.aembed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a question."""
        with self._recorded([text], await self._asked_in_time([text])):
            return await self.embeddings.aembed_query(text)

    def __getattr__(self, name: str) -> Any:
        # What Python asks of any object (`__deepcopy__`, ...) would be answered with the model alone, unrecorded.
        if "embeddings" not in self.__dict__ or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(self.__dict__["embeddings"], name)

    @contextmanager
    def _recorded(self, texts: Sequence[str], asked_as: bytes | None = None) -> Iterator[None]:
        """Record a block; `asked_as` is under which id the parts were asked about it, where they were."""
        key, event_id = object(), asked_as or new_id()
        request = None if asked_as is not None else self._request(event_id, texts)
        refusal = None if request is None else self._recorder.admit(request).refusal
        if refusal is not None:
            raise refusal
        self._start(key, event_id, texts)
        before = requesting.set((self._recorder, key))
        try:
            yield
        except BaseException as error:
            self._finish(key, error)
            raise
        else:
            self._finish(key, None)
        finally:
            requesting.reset(before)

    async def _asked_in_time(self, texts: Sequence[str]) -> bytes | None:
        """Ask the parts about a request once there may be room for it; raises what one refuses it with."""
        event_id = new_id()
        request = self._request(event_id, texts)
        if request is None:
            return None
        decision = await admitted_in_time(self._recorder, request)
        if decision.refusal is not None:
            raise decision.refusal
        return event_id

    @never_raises
    def _request(self, event_id: bytes, texts: Sequence[str]) -> Request | None:
        """Return what the parts are asked about before it is an event, None where none wants to be."""
        if not self._recorder.wants_to_admit:
            return None
        scope, root = self._recorder.place_here(None, self._labels)
        content = [Segment("human", "text", text) for text in texts]
        return Request(self._model, self._provider, "embedding", scope, content, event_id=event_id, root_id=root)

    @never_raises
    def _start(self, key: object, event_id: bytes, texts: Sequence[str]) -> None:
        self._recorder.start(
            "embedding",
            key=key,
            event_id=event_id,
            model=self._model,
            provider=self._provider,
            content=[Segment("human", "text", text) for text in texts],
            labels=self._labels,
        )

    @never_raises
    def _finish(self, key: object, error: BaseException | None) -> None:
        if error is None:
            self._recorder.finish(key)
        else:
            self._recorder.fail(key, status=status_of(error), error_type=type(error).__name__)


def _model(embeddings: Embeddings) -> str | None:
    found = (getattr(embeddings, name, None) for name in ("model", "model_name", "model_id"))
    return next((name for name in found if isinstance(name, str)), None)


def _provider(embeddings: Embeddings) -> str:
    """Return the provider's name, by the package of the class: `langchain_openai.embeddings` is `openai`."""
    kind = type(embeddings)
    if kind.__name__.startswith("Azure"):
        return "azure"
    name = kind.__module__.partition(".")[0].removeprefix("langchain_")
    return provider_at(name, reading.address(embeddings)) or name
