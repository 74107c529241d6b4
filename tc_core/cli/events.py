"""How single events are written: their ids, how they ended, and how they stand to others."""

SHORT_ID = 8
"""Digits at the end of an id that tell it from others: its beginning is the time."""

MARKS = {"error": "✗", "cancelled": "✗", "closed": "◌", "abandoned": "?", "open": "…"}
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
