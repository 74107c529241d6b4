"""How single events are written: their ids, how they ended, and how they stand to others."""

from tc_core.model.written import MARKS, SHORT_ID

__all__ = ("MARKS", "RELATIONS", "SHORT_ID")

RELATIONS = {
    "retry_of": "↻ retry of",
    "fallback_for": "⇢ fallback for",
    "continuation_of": "… continues",
    "derived_from": "← derived from",
    "triggered_by": "← triggered by",
    "enhancement_of": "↑ enhances",
    "validation_of": "✓ validates",
    "part_of": "∈ part of",
}
