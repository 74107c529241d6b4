"""How a recommendation of a model is shown, in the terminal and on the web alike."""

from collections.abc import Sequence
from typing import NamedTuple

from tc_core.selection.candidate import MAY_THINK, ModelCandidate, ModelRecommendation
from tc_core.selection.quality import STATED

_WORDS = {
    "min_context": "the context asked for",
    "context": "the longest prompt",
    "output": "the longest answer",
    "modalities": "what prompts have in them",
    "tools": "tools",
    "region": "the region",
    "min_quality": "the quality",
    "max_cost": "the cost",
    "max_latency_ms": "the time",
    "thinking": "thinking",
    "price": "no price",
    "unknown": "a name that nobody knows",
    "leaving": "given up by its maker",
}
"""By what a candidate is dropped, in words."""


class Row(NamedTuple):
    """A candidate as it is shown; `share` is what it would have cost of what was paid."""

    model: str
    cost_nanos: int | None
    share: float | None
    quality: str
    p95_ms: float | None
    context: int | None
    mark: str
    reason: str
    is_kept: bool


def rows(found: ModelRecommendation) -> list[Row]:
    """Return the current model, then the suggested one, then those that fit, cheapest first."""
    kept = [each for each in found.candidates if each.is_current or each.is_kept]
    kept.sort(key=lambda each: (not each.is_current, each.model != found.suggested_model))
    return _rows(kept, found)


def dropped_rows(found: ModelRecommendation) -> list[Row]:
    """Return those that were dropped."""
    return _rows([each for each in found.candidates if not each.is_current and not each.is_kept], found)


def _rows(shown: Sequence[ModelCandidate], found: ModelRecommendation) -> list[Row]:
    paid = next((each.cost_nanos for each in found.candidates if each.is_current), None)
    return [_row(each, found, paid) for each in shown]


def dropped_by(found: ModelRecommendation) -> str:
    """Say how many were dropped by what: `14 models are dropped: tools 12, the region 3`; empty where none is."""
    others = [each for each in found.candidates if not each.is_current and not each.is_kept]
    if not others:
        return ""
    counts: dict[str, int] = {}
    for each in others:
        for by in dict.fromkeys(one.by for one in each.dropped):
            counts[by] = counts.get(by, 0) + 1
    named = ", ".join(f"{_WORDS.get(by, by)} {number:,}" for by, number in sorted(counts.items(), key=lambda i: -i[1]))
    return f"{len(others):,} {'model is' if len(others) == 1 else 'models are'} dropped: {named}"


def quality_text(each: ModelCandidate) -> str:
    """Write a quality and what it rests on: `0.92 of 140`, `0.86 stated`; `unknown` where nothing is known."""
    if each.quality is None:
        return "unknown"
    if each.quality.source == STATED or each.quality.outcomes is None:
        return f"{each.quality.value:.2f} stated"
    return f"{each.quality.value:.2f} of {each.quality.outcomes.count:,}"


def _row(each: ModelCandidate, found: ModelRecommendation, paid: int | None) -> Row:
    marks = {
        "now": each.is_current,
        "suggested": each.model == found.suggested_model,
        "front": bool(each.is_on_front),
        "may think": MAY_THINK in each.doubts,
    }
    return Row(
        model=each.model,
        cost_nanos=each.cost_nanos,
        share=each.cost_nanos / paid if paid and each.cost_nanos is not None else None,
        quality=quality_text(each),
        p95_ms=None if each.latency is None else each.latency.p95_ms,
        context=each.facts.longest_input,
        mark=", ".join(mark for mark, is_set in marks.items() if is_set),
        reason=each.reason,
        is_kept=each.is_kept,
    )
