"""Looking at models one by one: what each would have cost, and what speaks against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tc_core.model import money
from tc_core.selection import pool
from tc_core.selection.calls import Calls
from tc_core.selection.candidate import MAY_THINK, Dropped, Latency, ModelCandidate
from tc_core.selection.facts import ModelFacts, Stated, facts_of, place_of
from tc_core.selection.fitting import against
from tc_core.selection.observed import Observed, of_model
from tc_core.selection.pareto import front
from tc_core.selection.pricing import Cost, Pricing
from tc_core.selection.quality import FEWEST_OUTCOMES, OWN_OUTCOMES, STATED, Outcomes, Quality
from tc_core.selection.requirements import KEYS, Requirements

UNKNOWN = "no price is known for it, nor anything else: see that it is written right"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What candidates are judged by."""

    calls: Calls
    pricing: Pricing
    asked: Requirements
    stated: Mapping[str, Stated]
    seen: Mapping[str, Observed]
    outcomes: Mapping[str, Outcomes]

    @property
    def may_think(self) -> bool:
        """Whether the calls are of a model that can think: where it did not, another one need not either."""
        current = self.calls.current_model
        return current is not None and bool(facts_of(current, None, self.stated).thinks)


def looked_at(evidence: Evidence, named: Sequence[str] | None) -> list[ModelCandidate]:
    """Return all candidates: the current one first, then those that fit, then the others; the cheapest first."""
    current = evidence.calls.current_model
    names = pool.pool(current, named, evidence.seen, evidence.stated)
    found = [_candidate(name, evidence, is_current=name == current) for name in names]
    return sorted(_with_front(found), key=_order)


def _order(each: ModelCandidate) -> tuple[bool, bool, bool, int]:
    return not each.is_current, not each.is_kept, each.cost_nanos is None, each.cost_nanos or 0


def _candidate(name: str, evidence: Evidence, *, is_current: bool) -> ModelCandidate:
    calls, asked, now = evidence.calls, evidence.asked, evidence.pricing.now
    facts = facts_of(name, None, evidence.stated)
    seen = of_model(name, evidence.seen.values())
    quality, too_few = _quality(name, evidence)
    latency = seen.latency(facts.stated)
    cost = Cost(evidence.pricing.now) if is_current else evidence.pricing.cost_with(name)
    average = None if cost.nanos is None or not calls.calls else money.to_dollars(cost.nanos) / len(calls.calls)
    needs = replace(calls.needs, tools=False) if seen.own_calls else calls.needs  # it has answered the agent's calls
    dropped = against(facts, needs, asked, average_cost=average, latency=latency, quality=quality)
    if is_current:
        dropped = [each for each in dropped if each.by in KEYS]
    elif cost.nanos is None:
        price = Dropped("price", cost.missing or "no price is known for it")
        is_known = facts.provider is not None or seen.all_calls or facts.stated != Stated()
        dropped = [*dropped, price] if is_known else [Dropped("unknown", UNKNOWN)]
    if facts.is_leaving and not seen.all_calls and not is_current:
        dropped.append(Dropped("leaving", "its maker gives it up"))
    return ModelCandidate(
        model=name,
        facts=facts,
        cost_nanos=cost.nanos,
        saved_nanos=None if cost.nanos is None or now is None else now - cost.nanos,
        is_current=is_current,
        used_by="agent" if seen.own_calls else "store" if seen.all_calls else None,
        error_share=seen.error_share,
        quality=quality,
        latency=latency,
        dropped=tuple(dropped),
        doubts=tuple(_doubts(evidence, facts, latency, too_few)),
    )


def _quality(name: str, evidence: Evidence) -> tuple[Quality | None, int]:
    """Return a model's quality, and of how many outcomes nothing can be said."""
    place = place_of(name)
    own = [
        outcomes
        for model, outcomes in evidence.outcomes.items()
        if model == name or (place is not None and place_of(model) == place)
    ]
    together = Outcomes.together(own)
    if together.count >= FEWEST_OUTCOMES:
        return Quality(together.mean, OWN_OUTCOMES, together), 0
    said = facts_of(name, None, evidence.stated).stated.quality
    return None if said is None else Quality(said, STATED), together.count


def _doubts(evidence: Evidence, facts: ModelFacts, latency: Latency | None, too_few: int) -> list[str]:
    found = []
    if too_few:
        are = "outcome is" if too_few == 1 else "outcomes are"
        found.append(f"{too_few} {are} too few to say how good it is")
    if evidence.asked.max_latency_ms is not None and latency is None:
        found.append("how long it takes is unknown")
    if facts.thinks and not evidence.may_think:
        found.append(MAY_THINK)
    return found


def _with_front(found: Sequence[ModelCandidate]) -> list[ModelCandidate]:
    """Mark those on the front of cost and quality; qualities of different sources are not compared."""
    best: set[str] = set()
    for source in (OWN_OUTCOMES, STATED):
        points = {
            each.model: (float(each.cost_nanos), each.quality.value)
            for each in found
            if each.quality is not None
            and each.quality.source == source
            and each.cost_nanos is not None
            and (each.is_kept or each.is_current)
        }
        best |= front(points)
    return [
        each if each.quality is None or each.cost_nanos is None else replace(each, is_on_front=each.model in best)
        for each in found
    ]
