"""Choosing one of the candidates, and how sure the choice is.

Where a quality is known of both the current model and others, the cheapest that is as good is chosen. Else nothing is
known of how good a cheaper one would be, and the choice is which to try: what the agent asks already without more
errors before a smaller one of the same family, that before another of the same provider, and that before any other; one
that is in use in the store before one that is not.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tc_core.costs.savings.cheaper_models import LEAST_SHARE
from tc_core.selection.candidate import ModelCandidate
from tc_core.selection.fitting import SURE_ENOUGH
from tc_core.selection.pool import is_smaller_sibling
from tc_core.selection.pricing import is_of_another_maker
from tc_core.selection.quality import MARGIN, STATED, how_sure, how_sure_above

LIKELY = 0.5
"""So probable must it be that a model is as good, for it to be worth a try."""

AS_STATED = 0.6
"""How sure a quality is that the user states."""


class Choice(NamedTuple):
    """A candidate, how sure it is that it will do (0 to 1), and why."""

    candidate: ModelCandidate
    confidence: float
    why: str
    quality: Literal["shown", "open", "unknown"] = "unknown"
    """Whether it has shown to be as good as it has to be; `open` is measured, and likely but not sure."""


def choose(candidates: Sequence[ModelCandidate], cost_nanos: int, min_quality: float | None) -> Choice | None:
    """Return the model to change to, or None where none is worth it."""
    current = next((each for each in candidates if each.is_current), None)
    if current is None:
        return None
    fitting = [each for each in candidates if each.is_kept and not each.is_current and each.saved_nanos is not None]
    worth = [each for each in fitting if (each.saved_nanos or 0) >= cost_nanos * LEAST_SHARE and cost_nanos]
    if not current.is_kept:  # what is asked for, it is not: then even one that costs more is an answer
        worth = worth or sorted(fitting, key=lambda each: each.cost_nanos or 0)[:1]
    known = [choice for each in worth if (choice := _by_quality(each, current, min_quality)) is not None]
    if known:
        return min(known, key=lambda choice: choice.candidate.cost_nanos or 0)
    tries = [choice for each in worth if (choice := _to_try(each, current)) is not None]
    if min_quality is None and tries:
        return max(tries, key=lambda choice: (max(choice.candidate.saved_nanos or 0, 1)) * choice.confidence)
    return None


def _by_quality(each: ModelCandidate, current: ModelCandidate, min_quality: float | None) -> Choice | None:
    """Return a choice where the quality shows that a candidate is as good as it has to be."""
    quality, now = each.quality, current.quality
    if quality is None:
        return None
    if min_quality is not None:  # what is not so good has been dropped
        if quality.outcomes is None:
            return Choice(each, AS_STATED, f"Its quality of {quality.value:.2f} is as you state it.", quality="shown")
        why = f"{quality.outcomes.count:,} outcomes have it at {quality.value:.2f}."
        return Choice(each, round(how_sure_above(quality.outcomes, min_quality), 2), why, quality="shown")
    if now is None or now.source != quality.source:
        return None
    between = f"{quality.value:.2f} against {now.value:.2f}"
    if quality.outcomes is None or now.outcomes is None:
        if quality.source != STATED or quality.value < now.value - MARGIN:
            return None
        return Choice(each, AS_STATED, f"Its quality is {between}, as you state it.", quality="shown")
    sure = how_sure(quality.outcomes, now.outcomes)
    if sure < SURE_ENOUGH:
        return None
    counted = f"{quality.outcomes.count:,} and {now.outcomes.count:,} outcomes"
    return Choice(each, round(sure, 2), f"Its quality is {between}, by {counted} of your own.", quality="shown")


def _to_try(each: ModelCandidate, current: ModelCandidate) -> Choice | None:
    """Return what speaks for trying a model that has not shown to be as good; None where it is probably worse."""
    quality, now = each.quality, current.quality
    if quality is None or now is None or quality.source != now.source:
        return _by_evidence(each, current)
    if quality.outcomes is None or now.outcomes is None:
        return None
    sure = how_sure(quality.outcomes, now.outcomes)
    if sure < LIKELY:
        return None
    why = (
        f"Its quality is {quality.value:.2f} against {now.value:.2f}, by {quality.outcomes.count:,} and "
        f"{now.outcomes.count:,} outcomes of your own: too few to be sure that it is no worse by more than {MARGIN:g}."
    )
    return Choice(each, round(sure, 2), why, quality="open")


def _by_evidence(each: ModelCandidate, current: ModelCandidate) -> Choice:
    """Return how sure it is that a model will do of which no quality is known."""
    shares = (each.error_share, current.error_share)
    if shares[0] is not None and shares[1] is not None and shares[0] <= shares[1]:
        return Choice(each, 0.7, "The agent asks it already, without more errors.")
    if is_smaller_sibling(each.model, current.model):
        sure, why = 0.3, "It is a smaller model of the same family"
    elif not is_of_another_maker(each.model, current.model):
        sure, why = 0.2, "It is another model of the same provider"
    else:
        sure, why = 0.1, "It is a model of another provider"
    if each.used_by is not None:
        sure, why = sure + 0.1, f"{why}, and in use in this store"
    if each.facts.thinks and not current.facts.thinks:
        sure -= 0.05
    return Choice(each, round(sure, 2), f"{why}.")
