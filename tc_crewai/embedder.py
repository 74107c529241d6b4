"""An embedder whose requests are recorded, with the tokens that the provider reports."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from chromadb.api.types import EmbeddingFunction
from crewai.rag.embeddings.factory import build_embedder
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

from tc_core.http import Storage, tracking_client


class TrackedEmbedder(CustomEmbeddingFunction, EmbeddingFunction[Any]):
    """Embeds by another embedder, whose requests are recorded."""

    is_tracked = True
    spec: ClassVar[Mapping[str, Any]]
    storage: ClassVar[Storage]

    def __init__(self, **_options: Any) -> None:
        self._inner = cast("Any", build_embedder(dict(self.spec)))
        client: Any = getattr(self._inner, "client", None)
        if not hasattr(client, "with_options"):
            raise ValueError(f"cannot track the embeddings of {self.spec.get('provider')!r}: it has no OpenAI client")
        self._inner.client = client.with_options(http_client=tracking_client(self.storage))

    def __call__(self, input: Any) -> Any:  # noqa: A002  # the name that CrewAI wants
        """Embed texts."""
        return self._inner(input)


def tracked_embedder(spec: Mapping[str, Any], storage: Storage = None) -> dict[str, Any]:
    """Return what CrewAI takes as `embedder`, so that its tokens are recorded as the provider reports them.

    >>> embedder = tc_crewai.tracked_embedder(
    ...     {"provider": "openai", "config": {"model_name": "text-embedding-3-small"}}
    ... )
    >>> Crew(agents=agents, tasks=tasks, memory=True, embedder=embedder)

    `spec` is what CrewAI takes, too. Only providers with OpenAI's client can be tracked; of others, CrewAI gets a
    ValueError when it makes the embedder.
    """
    kind = type("TrackedEmbedder", (TrackedEmbedder,), {"spec": spec, "storage": storage})
    return {"provider": "custom", "config": {"embedding_callable": kind}}
