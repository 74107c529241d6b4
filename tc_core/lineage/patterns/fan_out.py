"""Fan-out: more at the same time under one event than its like had before."""

from collections.abc import Hashable, Iterable, Sequence

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.robust import History
from tc_core.lineage.patterns.runs import Runs, workflow_of
from tc_core.lineage.patterns.seen import Seen

_ADVICE = (
    "Bound how many branches are started at once, and check what made so many: an empty filter, or a split too fine."
)


class FanOut:
    """Judges each event under which others ran at the same time by its like in earlier runs of the workflow."""

    def __init__(self, limits: PatternLimits) -> None:
        self._limits = limits
        self._runs = Runs()
        self._history = History(limits.history, limits.least_runs, limits.deviations, limits.least_factor)

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        run, workflow = self._runs.add(seen), workflow_of(seen)
        if run is None or workflow is None:
            return
        widest: dict[Hashable, list[Seen]] = {}
        for parent_id, children in run.children().items():
            parent = run.members.get(parent_id or "")
            if parent is not None:
                group: Hashable = (workflow, parent.event.event_type, parent.event.name)
                widest[group] = max(widest.get(group, []), _at_once(children), key=len)
        for group, branches in widest.items():
            width = len(branches)
            usual = self._history.exceeded(group, width)
            if usual is not None and width >= self._limits.least_fan_out:
                finding = Finding("fan_out", _ADVICE)
                for each in branches:
                    finding.name(each)
                finding.waste_nothing()
                finding.evidence |= {
                    "workflow": workflow,
                    "parent": branches[0].event.parent_id,
                    "branches": width,
                    "usual": usual.median,
                    "bound": usual.bound,
                    "earlier_runs": usual.known,
                }
                yield finding
            self._history.add(group, width)


def _at_once(children: Sequence[Seen]) -> list[Seen]:
    """Return the largest number of events that ran at the same moment."""
    running: list[Seen] = []
    most: list[Seen] = []
    for each in sorted(children, key=lambda child: child.start_us):
        running = [other for other in running if other.end_us > each.start_us]
        running.append(each)
        if len(running) > len(most):
            most = list(running)
    return most
