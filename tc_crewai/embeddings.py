"""Embeddings of memory and knowledge, of which CrewAI's events tell neither model nor tokens.

They are estimated from the texts that events carry. An embedder from `tracked_embedder` tells the provider's own
figures, and is not estimated.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tc_core.adapter import Segment
from tc_crewai import reading
from tc_crewai.scopes import Scope, Sinks

_HOLDERS = frozenset({"memory_query_started", "memory_save_started"})


def on_source(scope: Scope, source: Any) -> None:
    """Remember what embeds for a scope."""
    if scope.type in _HOLDERS:
        scope.embedder = getattr(source, "embedder", None)
    elif scope.type == "knowledge_search_query_started":
        scope.embedder = _of_agent(source)


def on_start(scope: Scope, event: Any, sinks: Sinks) -> None:
    """Estimate the embeddings of memories that are saved in the background."""
    if scope.type == "flow_started" and event.flow_name == "EncodingFlow":
        _estimate(scope, event, scope.within("memory_save_started"), sinks)


def on_end(scope: Scope, event: Any, sinks: Sinks) -> None:
    """Estimate the embedding of a question to memory or knowledge."""
    if event.type in ("memory_query_completed", "knowledge_search_query_completed"):
        _estimate(scope, event, scope, sinks)


def _estimate(scope: Scope, event: Any, holder: Scope | None, sinks: Sinks) -> None:
    """Record what was embedded; not before it is known by what, which tells the model and so the price."""
    if holder is not None and not holder.is_source_known:
        holder.waiting.append(partial(_estimate, scope, event, holder, sinks))
        return
    embedder = None if holder is None else holder.embedder
    if _is_tracked(embedder):
        return
    texts = reading.texts_to_embed(event)
    if not texts:
        return
    model, provider = reading.embedding_model(embedder)
    key, at_us, above = ("embedding", event.event_id), reading.at_us(event), scope.recorded
    for recorder, labels in sinks.items():
        if recorder.record(key) is not None:
            continue
        recorder.start(
            "embedding",
            key=key,
            parent=None if above is None else above.key,
            model=model,
            provider=provider,
            content=[Segment("user", "text", text) for text in texts],
            labels=labels,
            at_us=at_us,
        )
        recorder.finish(key, at_us=at_us)


def _is_tracked(embedder: Any) -> bool:
    if isinstance(embedder, Mapping):
        embedder = (embedder.get("config") or {}).get("embedding_callable")
    return getattr(embedder, "is_tracked", None) is True


def _of_agent(agent: Any) -> Any:
    """Return what embeds the knowledge of an agent: its own embedder, that of its knowledge, or the crew's."""
    crew = getattr(agent, "crew", None)
    holders = (agent, getattr(agent, "knowledge", None), crew, getattr(crew, "knowledge", None))
    return next((found for each in holders if (found := getattr(each, "embedder", None)) is not None), None)
