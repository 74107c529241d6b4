"""Typed relations between events, always from the newer one to the older."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Relation = Literal[
    "triggered_by",
    "part_of",
    "derived_from",
    "retry_of",
    "fallback_for",
    "enhancement_of",
    "validation_of",
    "continuation_of",
]
RelationSource = Literal["framework", "content", "user"]

RELATIONS: tuple[str, ...] = get_args(Relation)
RELATION_SOURCES: tuple[str, ...] = get_args(RelationSource)

FACT = 0.9
"""From this confidence on a relation is a fact; below it is a hint that stays out of the graph."""


@dataclass(frozen=True, slots=True)
class ProvenanceRelationship:
    """`source_id`, the newer event, stands in `relation` to `target_id`, the older.

    `source` tells where the relation comes from: the framework's own signals, equal content, or the
    user. `confidence` runs from 0 to 1. Raises ValueError for a value outside these.
    """

    source_id: str
    target_id: str
    relation: Relation
    source: RelationSource = "user"
    confidence: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, not {self.relation!r}")
        if self.source not in RELATION_SOURCES:
            raise ValueError(f"source must be one of {', '.join(RELATION_SOURCES)}, not {self.source!r}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must lie between 0 and 1, not {self.confidence!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "source_id": self.source_id,
            "target_id": self.target_id,
            "relation": self.relation,
            "source": self.source,
            "confidence": self.confidence,
            "metadata": dict(self.metadata),
        }
