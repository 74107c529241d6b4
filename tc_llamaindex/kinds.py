"""Which of LlamaIndex's spans are events. Pure functions, by the names of classes and methods: nothing is imported.

A span is named `Class.method`, and there are many more than anybody wants to see: splitters, parsers, methods behind
methods. What is not listed here is known while it is open, so that what lies below it finds the event above.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple, cast

_MOST_TEXT = 200

_KINDS = {
    "BaseLLM": "llm",
    "BaseEmbedding": "embedding",
    "BaseSparseEmbedding": "embedding",
    "BaseTool": "tool",
    "BaseRetriever": "retriever",
    "BaseNodePostprocessor": "postprocessor",
    "BaseSynthesizer": "synthesizer",
    "BaseQueryEngine": "query_engine",
    "BaseChatEngine": "chat_engine",
    "BaseWorkflowAgent": "agent",
    "AgentWorkflow": "agents",
    "Workflow": "workflow",
    "IngestionPipeline": "pipeline",
    "Event": "event",
}
"""The bases by which LlamaIndex's classes are told apart, whoever wrote them."""

MODELS = frozenset({"llm", "embedding"})

_PACKAGES = frozenset({"llama_index", "workflows"})

_METHODS = {
    "tool": ("tool", frozenset({"call", "acall", "__call__"})),
    "retriever": ("retrieval", frozenset({"retrieve", "aretrieve"})),
    "reranker": ("retrieval", frozenset({"_postprocess_nodes", "_apostprocess_nodes"})),
    "synthesizer": ("task", frozenset({"synthesize", "asynthesize"})),
    "query_engine": ("workflow", frozenset({"query", "aquery"})),
    "chat_engine": ("workflow", frozenset({"chat", "achat", "stream_chat", "astream_chat"})),
    "agent": ("agent", frozenset({"run"})),
    "agents": ("workflow", frozenset({"run"})),
    "workflow": ("workflow", frozenset({"run"})),
    "pipeline": ("workflow", frozenset({"run", "arun"})),
}
"""The event type of each kind, and the methods that are its runs."""

_PREDICTIONS = frozenset({"structured_predict", "astructured_predict"})
_STREAMED = frozenset({"stream_structured_predict", "astream_structured_predict"})
_ASKS_ITSELF = {
    "GoogleGenAI": _PREDICTIONS | _STREAMED | {"structured_predict_without_function_calling"},
    "Anthropic": _PREDICTIONS | _STREAMED,
    "OpenAIResponses": _PREDICTIONS,
}
"""The models whose structured predictions fire no event of a chat; a test looks for others among those installed."""

RUNS = frozenset({"agent", "agents", "workflow"})
"""The kinds whose spans have steps below them."""


class Kind(NamedTuple):
    """What a class is to us."""

    name: str | None
    """Of what sort its instances are, or None where they are no business of ours."""
    class_name: str = ""
    is_refining: bool = False
    """Whether it asks a model to better the answer that it gave before."""
    provider: str | None = None
    is_built_on_completions: bool = False
    """Whether it is a model that answers asynchronous calls and chats by calling its own other methods."""

    asks_itself: frozenset[str] = frozenset()
    """Its methods that send a request of their own, of which no event of a chat or a completion tells."""


NO_KIND = Kind(None)


def kind_of(type_: type) -> Kind:
    """Return what a class is, by the names of its bases."""
    return _kind_of(cast(Hashable, type_))


@lru_cache(maxsize=1024)
def _kind_of(type_: Any) -> Kind:
    bases = type_.__mro__
    own = [base for base in bases if base.__module__.partition(".")[0] in _PACKAGES]
    name = next((_KINDS[base.__name__] for base in own if base.__name__ in _KINDS), None)
    if name == "postprocessor":
        name = "reranker" if any("rerank" in base.__name__.lower() for base in bases) else None
    if name is None:
        return NO_KIND
    names = {base.__name__ for base in own}
    asks_itself = next((_ASKS_ITSELF[base.__name__] for base in own if base.__name__ in _ASKS_ITSELF), frozenset())
    is_built = "CustomLLM" in names
    return Kind(name, type_.__name__[:_MOST_TEXT], "Refine" in names, _provider(own) or None, is_built, asks_itself)


def event_type(kind: str | None, method: str) -> str | None:
    """Return the type of the event that a method's span is, or None for a span that is none."""
    found = _METHODS.get(kind or "")
    return found[0] if found is not None and method in found[1] else None


def method_of(span_id: str) -> str:
    """Return the method's name: a span's id is `Class.method-<uuid>`, or a function's qualified name and a uuid."""
    return span_id[:-37].rpartition(".")[2][:_MOST_TEXT]


def _provider(bases: list[type]) -> str | None:
    """Return the provider's name, by the package of a class: `llama_index.llms.openai.base` is `openai`."""
    for base in bases:
        parts = base.__module__.split(".")
        if parts[1:2] in (["llms"], ["embeddings"]) and len(parts) > 2:
            return None if parts[2].endswith("_like") else parts[2].removesuffix("_openai")
    return None
