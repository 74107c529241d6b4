"""What would make a run cheaper or faster, as far as what was recorded proves it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tc_core.lineage.tree import Node
from tc_core.meter.prices import calculate_cost
from tc_core.model import money
from tc_core.model.event import TrackingEvent
from tc_core.model.recommendation import Recommendation
from tc_core.store.sql import SqlStore
from tc_core.workflows.independence import Independent, independent_steps
from tc_core.workflows.sql import Part, prompts_of
from tc_core.workflows.timing import name_of
from tc_core.workflows.waste import duplicates, retried

LEAST_CACHED_TOKENS = 1024
"""Shorter beginnings of prompts are not cached by the large providers."""

LEAST_SAVED_US = 1000
"""Less time than that is not worth a thread."""


Optimization = Recommendation
"""What is recommended for one run; `savings` and `time_saved_ms` are those of one such run."""


def suggest(store: SqlStore, workflow_id: str, root: Node) -> list[Optimization]:
    """Return what is proven, what saves most money first, then what saves most time."""
    again = retried(root)
    found = [
        *_retries(list(again.values())),
        *_duplicates([call for call in duplicates(store, root) if call.event_id not in again]),
        *_shared_contexts(store, root),
        *(_parallel(each) for each in independent_steps(store, workflow_id, root) if each.saved_us >= LEAST_SAVED_US),
    ]
    return sorted(found, key=lambda each: (-(each.savings or 0), -(each.time_saved_ms or 0), each.title))


def _retries(calls: Sequence[TrackingEvent]) -> Iterator[Optimization]:
    cost = sum(call.cost_nanos or 0 for call in calls)
    if not cost:
        return
    errors = sorted({call.error_type for call in calls if call.error_type})
    because = f" ({', '.join(errors)})" if errors else ""
    yield Optimization(
        kind="retries",
        title=f"Avoid the {_calls(calls)} that had to be made again",
        reasoning=f"They were paid and failed{because}, or what they were part of did; the attempt after them has the "
        "answer.",
        **_saved(cost),
        evidence={"event_ids": [call.event_id for call in calls], "errors": errors},
    )


def _duplicates(calls: Sequence[TrackingEvent]) -> Iterator[Optimization]:
    cost = sum(call.cost_nanos or 0 for call in calls)
    if not cost:
        return
    yield Optimization(
        kind="duplicates",
        title=f"Keep answers: {_calls(calls)} had been answered before",
        reasoning="The very same prompt went to the same model again in the run, after it had been answered. "
        "Parameters such as the temperature are not compared.",
        **_saved(cost),
        confidence=0.95,
        evidence={"event_ids": [call.event_id for call in calls]},
    )


def _shared_contexts(store: SqlStore, root: Node) -> Iterator[Optimization]:
    """Yield the context that an agent sends after another one, in another place, so that no cache can serve it."""
    calls = sorted(
        (node.event for node in root.walk() if node.event.event_type == "llm_call" and node.event.agent_id is not None),
        key=lambda event: event.timestamp,
    )
    parts = prompts_of(store, [call.event_id for call in calls]).parts
    first_calls: dict[str | None, TrackingEvent] = {}
    for call in calls:
        if call.event_id in parts:
            first_calls.setdefault(call.agent_id, call)
    before: list[TrackingEvent] = []
    for call in first_calls.values():
        same_model = [each for each in before if each.model == call.model]
        best = max(same_model, key=lambda each: _shared(parts, each, call), default=None)
        before.append(call)
        tokens = (
            0 if best is None else min(_shared(parts, best, call), (call.input_tokens or 0) - (call.cached_tokens or 0))
        )
        saved = _cache_saves(call, tokens) if tokens >= LEAST_CACHED_TOKENS else None
        if saved is None or best is None or saved <= 0:
            continue
        yield Optimization(
            kind="shared_context",
            title=f"Put what {best.agent_id} and {call.agent_id} both send first, in the same order",
            reasoning=f"{tokens:,} tokens of {call.agent_id}'s first prompt are the same that {best.agent_id} had sent "
            f"to {call.model}, but not at its beginning, so that the provider's cache cannot serve them.",
            savings=saved,
            savings_low=0.0,
            savings_high=saved,
            confidence=0.8,
            evidence={"event_ids": [best.event_id, call.event_id], "tokens": tokens},
            current_model=call.model,
        )


def _parallel(found: Independent) -> Optimization:
    names = [name_of(step) for step in found.steps]
    runs = min(proof.runs for proof in found.proofs)
    how = {proof.by for proof in found.proofs}
    said = []
    if "content" in how:
        said.append("all that the later ones were asked was there before, or was the same in earlier runs")
    if "overlap" in how:
        said.append("they have run at the same time in earlier runs")
    return Optimization(
        kind="parallel",
        title=f"Run {_listed(names)} at the same time",
        reasoning=f"They ran one after the other, and none needed what the others brought: {', and '.join(said)} "
        f"(seen in {runs} of them). What your program does beside its models, such as writing files, is not known.",
        time_saved_ms=found.saved_us / 1000,
        confidence=(runs + 1) / (runs + 2),  # the rule of succession
        evidence={
            "event_ids": [step.event.event_id for step in found.steps],
            "proofs": [proof._asdict() for proof in found.proofs],
        },
    )


def _shared(parts: Mapping[str, list[Part]], earlier: TrackingEvent, call: TrackingEvent) -> int:
    """Return the tokens of a prompt that an earlier one has too, behind the beginning that is the same in both."""
    sent, mine = parts[earlier.event_id], parts[call.event_id]
    same = next((n for n, (a, b) in enumerate(zip(sent, mine, strict=False)) if a.segment != b.segment), None)
    if same is None:
        return 0
    known = {part.segment for part in sent}
    return sum(part.tokens for part in mine[same:] if part.segment in known)


def _cache_saves(call: TrackingEvent, tokens: int) -> float | None:
    model = call.served_model or call.model or ""
    whole, cached = (
        calculate_cost(model, tokens, 0, cached_tokens=cached, at=call.timestamp, provider=call.provider)
        for cached in (0, tokens)
    )
    return None if whole is None or cached is None else whole - cached


def _saved(nanos: int) -> dict[str, Any]:
    return dict.fromkeys(("savings", "savings_low", "savings_high"), money.to_dollars(nanos))


def _calls(calls: Sequence[TrackingEvent]) -> str:
    return "1 call" if len(calls) == 1 else f"{len(calls):,} calls"


def _listed(names: Iterable[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}"
