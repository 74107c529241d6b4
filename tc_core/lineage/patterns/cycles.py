"""Cycles: an agent that, by way of another one, has called itself; and relations that lead back to where they began."""

from collections.abc import Iterable, Mapping, Sequence

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.patterns.runs import Run, Runs
from tc_core.lineage.patterns.seen import Seen
from tc_core.model.provenance import FACT, ProvenanceRelationship

_ADVICE = "Take the way back out of the agents' hand-overs, or cap how deep one may call the other."
_ADVICE_RELATIONS = (
    "One of these relations is wrong: an event cannot come from itself. Look where they were imported from."
)


class Cycles:
    """Looks at each run that ends for agents that are nested in themselves, with another one in between."""

    def __init__(self, _limits: PatternLimits) -> None:
        self._runs = Runs()

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        run = self._runs.add(seen)
        if run is None:
            return
        found: dict[tuple[str, ...], Finding] = {}
        for each in run.members.values():
            cycle = _cycle(run, each)
            if not cycle:
                continue
            names = tuple(_agent(event) or "" for event in cycle)
            finding = found.get(names)
            if finding is None:
                finding = found[names] = Finding("cycle", _ADVICE, least="medium")
                finding.waste_nothing()
                finding.evidence |= {"agents": list(names), "times": 0}
            finding.evidence["times"] += 1
            for event in cycle:
                finding.name(event)
        yield from found.values()


def _cycle(run: Run, inner: Seen) -> list[Seen]:
    """Return the agents from the nearest one of the same name down to this one, where others are in between."""
    name = _agent(inner)
    if name is None:
        return []
    way = [inner]
    for each in list(run.above(inner))[1:]:
        agent = _agent(each)
        if agent is None or agent == _agent(way[-1]):
            if agent == name and len(way) == 1:
                return []  # it goes on under itself
            continue
        way.append(each)
        if agent == name:
            return way[::-1]
    return []


def _agent(seen: Seen) -> str | None:
    return (seen.event.name or seen.event.agent_id) if seen.event.event_type == "agent" else None


def of_relations(relations: Iterable[ProvenanceRelationship]) -> list[Pattern]:
    """Return the cycles that relations close: refused where they are written, so that they come from elsewhere."""
    targets: dict[str, list[str]] = {}
    for each in relations:
        if each.confidence >= FACT:
            targets.setdefault(each.source_id, []).append(each.target_id)
    return [
        Pattern(
            "cycle",
            "high",
            tuple(sorted(component)),
            0.0,
            {"events": len(component), "relations": True},
            _ADVICE_RELATIONS,
        )
        for component in _components(targets)
    ]


def _components(targets: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the strongly connected components that are cycles, by Tarjan's algorithm without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for start in targets:
        if start in index:
            continue
        work = [(start, iter(targets.get(start, ())))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            here, following = work[-1]
            for target in following:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(targets.get(target, ()))))
                    break
                if target in on_stack:
                    low[here] = min(low[here], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[here])
                if low[here] == index[here]:
                    component = []
                    while True:
                        event = stack.pop()
                        on_stack.discard(event)
                        component.append(event)
                        if event == here:
                            break
                    if len(component) > 1 or here in targets.get(here, ()):
                        found.append(component)
    return found
