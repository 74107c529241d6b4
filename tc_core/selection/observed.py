"""What the store has seen of models: who asks them, how long they take, how often they fail."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from tc_core.costs.reading import reader_of
from tc_core.model.gaps import Gaps
from tc_core.model.period import Period
from tc_core.selection.candidate import Latency
from tc_core.selection.facts import Stated, place_of
from tc_core.store.base import StorageBackend

FEWEST_CALLS = 5
"""Of fewer calls it is not said how long they take."""


@dataclass(slots=True)
class Observed:
    """Of one model: its calls by the agent and by all, failures of the agent's, and how long they took."""

    model: str
    own_calls: int = 0
    own_errors: int = 0
    all_calls: int = 0
    own_us: list[int] = field(default_factory=list)
    all_us: list[int] = field(default_factory=list)

    @property
    def error_share(self) -> float | None:
        """The share of the agent's calls that failed, None where there are too few."""
        return self.own_errors / self.own_calls if self.own_calls >= FEWEST_CALLS else None

    def latency(self, stated: Stated) -> Latency | None:
        """Return how long calls take: the agent's, else all, else as the user states it."""
        us = next((each for each in (self.own_us, self.all_us) if len(each) >= FEWEST_CALLS), None)
        if us is None:
            ms = stated.latency_ms
            return None if ms is None else Latency(ms, ms, None)
        ordered = sorted(us)
        p50, p95 = (ordered[ceil(len(us) * share) - 1] / 1000 for share in (0.50, 0.95))
        return Latency(p50, p95, len(us))


def observed(storage: StorageBackend, agent_id: str | None, period: Period) -> dict[str, Observed]:
    """Return what was seen of each model, by its name in the records."""
    found: dict[str, Observed] = {}
    filters = {"event_type": "llm_call"}
    for key, call in reader_of(storage).each(("model", "agent_id"), filters, period, gaps=Gaps()):
        model, agent = key
        if model is None:
            continue
        seen = found.setdefault(model, Observed(model))
        is_own = agent_id is not None and agent == agent_id
        seen.all_calls += 1
        seen.own_calls += is_own
        seen.own_errors += is_own and call.is_error
        if call.latency_us is not None and not call.is_error:
            seen.all_us.append(call.latency_us)
            if is_own:
                seen.own_us.append(call.latency_us)
    return found


def of_model(model: str, seen: Iterable[Observed]) -> Observed:
    """Return what was seen of a model under all names that the price table knows it by."""
    place = place_of(model)
    whole = Observed(model)
    for each in seen:
        if each.model == model or (place is not None and place_of(each.model) == place):
            whole.own_calls += each.own_calls
            whole.own_errors += each.own_errors
            whole.all_calls += each.all_calls
            whole.own_us += each.own_us
            whole.all_us += each.all_us
    return whole
