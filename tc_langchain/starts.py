"""What LangChain tells of a call of a model that is about to begin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from tc_core.adapter import Content
from tc_langchain import reading

_EMPTY: Mapping[str, Any] = {}


@dataclass(slots=True, eq=False)
class Start:
    """A call that begins, and what the parts have decided of it where they were asked before."""

    run_id: UUID
    key: bytes
    """What the recorder knows it by."""
    above: bytes | None
    """The key of the run that it is part of."""
    content: Content
    is_completion: bool
    serialized: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    provider: str | None
    """Who is asked."""
    parameters: Mapping[str, Any]
    tags: Sequence[str] | None
    batch_size: int
    """Of how many that are sent at once it is one."""
    is_decided: bool = False
    refusal: Exception | None = None

    @classmethod
    def of(
        cls,
        content_of: Callable[[Any, Mapping[str, Any]], Content],
        asked: Any,
        serialized: Mapping[str, Any] | None,
        run_id: UUID,
        said: Mapping[str, Any],
    ) -> Self:
        """Return it, from what a hook is told."""
        parameters, parent = said.get("invocation_params") or _EMPTY, said.get("parent_run_id")
        metadata = said.get("metadata") or _EMPTY
        provider = reading.provider(metadata, serialized)
        return cls(
            run_id,
            run_id.bytes,
            None if parent is None else parent.bytes,
            content_of(asked, parameters),
            content_of is reading.completion,
            serialized,
            metadata,
            provider,
            parameters,
            said.get("tags"),
            said.get("batch_size", 1),
        )
