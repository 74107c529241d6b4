"""Deep chains: runs that are nested deeper, or in which an agent takes more turns, than its workflow's runs do."""

from collections.abc import Iterable, Sequence

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.robust import History
from tc_core.lineage.patterns.runs import Run, Runs, workflow_of
from tc_core.lineage.patterns.seen import Seen

_ADVICE = "Look where it stopped coming nearer to its goal, and cap depth or turns just above what is usual."


class DeepChains:
    """Judges each run that ends by the runs of its workflow that ended before."""

    def __init__(self, limits: PatternLimits) -> None:
        self._limits = limits
        self._runs = Runs()
        self._history = History(limits.history, limits.least_runs, limits.deviations, limits.least_factor)

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        run, workflow = self._runs.add(seen), workflow_of(seen)
        if run is None or workflow is None:
            return
        for measure, chain, least in (
            ("nested", _deepest(run), self._limits.least_depth),
            ("turns of one agent", _longest(run), 2 * self._limits.least_depth),
        ):
            usual = self._history.exceeded((workflow, measure), len(chain))
            if usual is not None and len(chain) >= least:
                finding = Finding("deep_chain", _ADVICE, least="medium")
                for each in chain:
                    finding.name(each)
                finding.waste_nothing()
                finding.evidence |= {
                    "workflow": workflow,
                    "run": seen.event.event_id,
                    "measure": measure,
                    "length": len(chain),
                    "usual": usual.median,
                    "bound": usual.bound,
                    "earlier_runs": usual.known,
                }
                yield finding
            self._history.add((workflow, measure), len(chain))


def _deepest(run: Run) -> Sequence[Seen]:
    deepest = max(run.members.values(), key=lambda each: each.event.depth)
    return list(run.above(deepest))[::-1]


def _longest(run: Run) -> Sequence[Seen]:
    """Return the calls of the agent that has made the most."""
    turns: dict[str | None, list[Seen]] = {}
    for each in run.members.values():
        if each.event.event_type == "llm_call":
            turns.setdefault(each.event.agent_id, []).append(each)
    return max(turns.values(), key=len, default=[])
