"""What is recommended, in words and numbers: the choice, or why there is none."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tc_core.costs.savings.cheaper_models import LEAST_SHARE
from tc_core.costs.savings.idea import FEWEST_CALLS
from tc_core.model import money
from tc_core.model.event import from_us
from tc_core.selection.calls import Calls
from tc_core.selection.candidate import ModelCandidate, ModelRecommendation
from tc_core.selection.candidates import Evidence
from tc_core.selection.choosing import Choice, choose
from tc_core.selection.pricing import dollars, in_words, is_of_another_maker

KIND = "model"

OTHER_TOKENS = 0.1
"""Another maker's model counts the same text by so much more or less tokens (a standard deviation)."""

_QUANTILE = 1.2816  # of an interval of 80 %
_MORE_OUTPUT = 1.25  # another model may be wordier,
_GOES_BACK = 0.1  # and so many calls may have to go to the current one again
_MOST_NAMED = 6

_NEEDS = {
    "context": "the longest prompt",
    "output": "the longest answer",
    "thinking": "the thinking of the calls",
    "price": "having no price",
    "unknown": "a name that nobody knows",
    "leaving": "being given up by the maker",
}
"""What excludes a model, in words, where that is no requirement."""


def recommendation(evidence: Evidence, candidates: Sequence[ModelCandidate]) -> ModelRecommendation:
    """Return what comes of the candidates."""
    calls, asked = evidence.calls, evidence.asked
    cost = evidence.pricing.now
    choice = None if cost is None else choose(candidates, cost, asked.min_quality)
    facts: dict[str, Any] = {
        "evidence": _figures(calls, cost, asked.agent_id, choice, candidates),
        "current_model": calls.current_model,
        "candidates": tuple(candidates),
        "requirements": asked.to_dict(),
    }
    if choice is None or cost is None:
        why = _why_none(evidence, candidates, cost)
        return ModelRecommendation(kind=KIND, title=_title(calls, candidates), confidence=0.0, reasoning=why, **facts)
    saved = choice.candidate.saved_nanos or 0
    low, high = _interval(evidence, choice, cost)
    current = next(each for each in candidates if each.is_current)
    sure, verb = choice.confidence, "Use" if choice.quality == "shown" else "Try"
    is_guess = asked.max_latency_ms is not None and choice.candidate.latency is None
    if is_guess or len(calls.calls) < FEWEST_CALLS:
        sure = round(sure / 2, 2)
    return ModelRecommendation(
        kind=KIND,
        title=f"{verb} {choice.candidate.model} in place of {calls.current_model}",
        savings=dollars(saved),
        savings_low=dollars(low),
        savings_high=dollars(high),
        confidence=sure,
        reasoning=_why(evidence, choice, cost, current),
        suggested_model=choice.candidate.model,
        monthly_savings=monthly(saved, calls),
        quality_delta=_delta(choice.candidate, current),
        **facts,
    )


def _title(calls: Calls, candidates: Sequence[ModelCandidate]) -> str:
    if not calls.calls:
        return "Nothing to recommend"
    is_fit = any(each.is_current and each.is_kept for each in candidates)
    return f"Stay with {calls.current_model}" if is_fit else "No model is what is asked for"


def monthly(nanos: int, calls: Calls) -> float | None:
    """Return US dollars in 30 days, None where it is not known how many calls a month has."""
    if calls.monthly_calls is None or not calls.calls:
        return None
    return money.to_dollars(round(nanos * calls.monthly_calls / len(calls.calls)))


def _figures(
    calls: Calls, cost: int | None, agent_id: str | None, choice: Choice | None, candidates: Sequence[ModelCandidate]
) -> dict[str, object]:
    return {
        "agent_id": agent_id,
        "model": calls.current_model,
        "calls": len(calls.calls),
        "days": None if calls.days is None else round(calls.days, 2),
        "unpriced_calls": calls.unpriced,
        "cost": dollars(cost),
        "cost_nanos": cost,
        "repriced_nanos": None if choice is None else choice.candidate.cost_nanos,
        "longest_input": calls.needs.longest_input,
        "longest_output": calls.needs.longest_output,
        "uses_tools": calls.needs.tools,
        "looked_at": len(candidates),
        "fitting": sum(each.is_kept and not each.is_current for each in candidates),
        "dropped_by": excluded(candidates),
    }


def excluded(candidates: Sequence[ModelCandidate]) -> dict[str, int]:
    """Return how many candidates each requirement or need excludes, most first; one may be excluded by several."""
    found = Counter(by for each in candidates for by in dict.fromkeys(dropped.by for dropped in each.dropped))
    return dict(found.most_common())


def _interval(evidence: Evidence, choice: Choice, cost: int) -> tuple[int, int]:
    """Return savings that are careful, and hopeful: wordier answers, tokens counted otherwise, calls that go back."""
    calls = evidence.calls
    model, nanos = choice.candidate.model, choice.candidate.cost_nanos or 0
    wordier = evidence.pricing.cost_with(model, output=_MORE_OUTPUT).nanos
    is_doubtful = calls.is_recorded and is_of_another_maker(model, calls.current_model or "")  # else they were counted
    doubt = _QUANTILE * OTHER_TOKENS if is_doubtful else 0.0
    low = cost - (nanos if wordier is None else wordier) * (1 + doubt) - _GOES_BACK * cost
    saved = cost - nanos
    return min(saved, max(0, round(low)) if saved > 0 else round(low)), round(cost - nanos * (1 - doubt))


def _delta(candidate: ModelCandidate, current: ModelCandidate) -> float | None:
    first, second = candidate.quality, current.quality
    if first is None or second is None or first.source != second.source:
        return None
    return round(first.value - second.value, 6)


def _why(evidence: Evidence, choice: Choice, cost: int, current: ModelCandidate) -> str:
    calls, candidate = evidence.calls, choice.candidate
    nanos = candidate.cost_nanos or 0
    would = f"and would have cost {_usd(nanos)} with {candidate.model}{_share(nanos, cost)}."
    said = [f"{_these(calls, evidence.asked.agent_id)} cost {_usd(cost)} with {calls.current_model}, {would}"]
    if not current.is_kept:
        said.append(f"{calls.current_model} is not what is asked for: {current.reason}.")
    said.append(choice.why)
    said += [f"It {doubt}." for doubt in candidate.doubts if doubt.startswith("may")]
    said += [f"{doubt[0].upper()}{doubt[1:]}." for doubt in candidate.doubts if not doubt.startswith("may")]
    if calls.is_recorded and is_of_another_maker(candidate.model, calls.current_model or ""):
        said.append(f"Its maker may count the same text by {OTHER_TOKENS:.0%} more or fewer tokens.".replace("%", " %"))
    if len(calls.calls) < FEWEST_CALLS:
        said.append(f"Fewer than {FEWEST_CALLS} calls are little evidence.")
    if choice.quality == "unknown":
        said.append("How good its answers are nobody has measured: try it on some first.")
    return " ".join([*said, *_left_out(calls)])


def _why_none(evidence: Evidence, candidates: Sequence[ModelCandidate], cost: int | None) -> str:
    calls, agent_id = evidence.calls, evidence.asked.agent_id
    if not calls.calls and calls.current_model is None and not calls.is_recorded:
        return "It is not known which model the conversation is with: name it as current_model in the requirements."
    if not calls.calls:
        return _why_no_calls(evidence)
    if cost is None:
        return (
            f"No price is known for {calls.current_model}, so that nothing can be compared: give it one "
            "(`prices:` in token_calculator.yaml, docs/prices.md), then run `token-calc reprice`."
        )
    others = [each for each in candidates if not each.is_current]
    fitting = [each for each in others if each.is_kept]
    these = f"{_these(calls, agent_id)} cost {_usd(cost)} with {calls.current_model}."
    current = next(each for each in candidates if each.is_current)
    if not current.is_kept:
        these = f"{these} It is not what is asked for itself: {current.reason}."
    if not others:
        return f"{these} There is no other model to look at: name some as candidates."
    if not fitting:
        none = f"None of {len(others):,} models fits" if len(others) > 1 else "The one model looked at does not fit"
        return " ".join([these, f"{none}: {_by_what(others)}.", *_left_out(calls)])
    cheaper = [each for each in fitting if (each.saved_nanos or 0) >= cost * LEAST_SHARE]
    if not cheaper:
        best = min(fitting, key=lambda each: each.cost_nanos or 0)
        none = (
            f"None of the {len(fitting):,} other models that fit would have saved {LEAST_SHARE:.0%} of it; the "
            f"cheapest, {best.model}, would have cost {_usd(best.cost_nanos)}."
        ).replace("%", " %")
        return " ".join([these, none, *_left_out(calls)])
    worse = (
        f"{len(cheaper):,} that fit cost less, but their quality is lower than that of {calls.current_model}, or not "
        f"proved to be as good: {', '.join(_with_quality(each) for each in cheaper[:_MOST_NAMED])}."
    )
    return " ".join([these, worse, *_left_out(calls)])


def _why_no_calls(evidence: Evidence) -> str:
    calls, asked = evidence.calls, evidence.asked
    if calls.unpriced:
        return (
            f"None of the {calls.unpriced:,} calls of {calls.current_model} has a price, so that nothing can be "
            "compared: give it one (`prices:` in token_calculator.yaml, docs/prices.md), then run `token-calc reprice`."
        )
    of = " ".join(
        filter(
            None,
            (
                f"of {asked.current_model}" if asked.current_model else "",
                f"of agent {asked.agent_id!r}" if asked.agent_id else "",
            ),
        )
    )
    said = f"No call {of} is recorded there: there is nothing to price.".replace("  ", " ")
    if calls.others:
        named = ", ".join(calls.others[:_MOST_NAMED])
        more = f" and {len(calls.others) - _MOST_NAMED:,} more" if len(calls.others) > _MOST_NAMED else ""
        return f"{said} There are calls of {named}{more}."
    return said


def _by_what(others: Sequence[ModelCandidate]) -> str:
    """Say what excludes how many: requirements by their names, other needs in words."""
    return ", ".join(f"{_NEEDS.get(by, by)} excludes {number:,}" for by, number in excluded(others).items())


def _these(calls: Calls, agent_id: str | None) -> str:
    number = len(calls.calls)
    noun = f"{number:,} call" if number == 1 else f"{number:,} calls"
    if not calls.is_recorded:
        return f"The {noun} of the conversation"
    whose = f" of {agent_id}" if agent_id else f" by {calls.agents:,} agents" if calls.agents > 1 else ""
    return f"The {noun}{whose} {_when(calls)}"


def _when(calls: Calls) -> str:
    days = [from_us(call.at_us).date() for call in calls.calls]
    first, last = min(days), max(days)
    return f"on {first}" if first == last else f"from {first} to {last}"


def _left_out(calls: Calls) -> list[str]:
    said = []
    if calls.unpriced:
        said.append(f"{calls.unpriced:,} calls without a price are left out.")
    if not calls.has_answers:
        said.append("The conversation has no answer yet, so that only its prompt is counted.")
    return said


def _with_quality(each: ModelCandidate) -> str:
    return f"{each.model} ({each.quality.value:.2f})" if each.quality is not None else each.model


def _share(nanos: int, cost: int) -> str:
    return f", {nanos / cost:.0%}".replace("%", " %") + " of it" if cost else ""


def _usd(nanos: int | None) -> str:
    if nanos is None:
        return "an unknown sum"
    return in_words(nanos / 1e9)
