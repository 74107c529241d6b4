"""Expensive: a call or a run that costs far more than its like did before."""

from collections.abc import Hashable, Iterable

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.robust import History
from tc_core.lineage.patterns.runs import Runs, workflow_of
from tc_core.lineage.patterns.seen import Seen
from tc_core.model import money

LEAST_NANOS = 1_000_000
"""A tenth of a cent more than usual is worth a word."""

_ADVICE_CALL = "See what fills its prompt: token-calc waterfall CALL; a long history or a large tool result can be cut."
_ADVICE_RUN = (
    "See where it went: token-calc tree RUN, and compare it with a usual one: token-calc waterfall RUN --compare OTHER."
)


class Expensive:
    """Judges calls by those of the same agent and model in the workflow, and runs by those of the workflow."""

    def __init__(self, limits: PatternLimits) -> None:
        self._runs = Runs()
        self._of_calls = History(limits.history, limits.least_calls, limits.deviations, limits.least_factor)
        self._of_runs = History(limits.history, limits.least_runs, limits.deviations, limits.least_factor)

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        event = seen.event
        if event.is_call and event.cost_nanos:
            group = (event.workflow_id, event.agent_id, event.model)
            yield from _judge(self._of_calls, group, seen, event.cost_nanos, "call", _ADVICE_CALL)
        run, workflow = self._runs.add(seen), workflow_of(seen)
        if run is None or workflow is None or event.is_call:
            return
        cost = sum(each.event.cost_nanos or 0 for each in run.members.values())
        if cost:
            yield from _judge(self._of_runs, workflow, seen, cost, "run", _ADVICE_RUN)


def _judge(history: History, group: Hashable, seen: Seen, nanos: int, what: str, advice: str) -> Iterable[Finding]:
    usual = history.exceeded(group, nanos)
    history.add(group, nanos)
    if usual is None or nanos - usual.median < LEAST_NANOS:
        return
    finding = Finding("expensive", advice)
    finding.name(seen)
    finding.waste_nothing()  # nothing says that it was not needed
    finding.evidence |= {
        "what": what,
        "cost": money.to_dollars(nanos),
        "usual": money.to_dollars(round(usual.median)),
        "times": round(nanos / usual.median, 1) if usual.median else None,
        "compared_with": usual.known,
    }
    yield finding
