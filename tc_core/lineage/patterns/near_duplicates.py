"""Near duplicates: an agent asks the same again, and only its instructions or the order of the parts differ.

Texts are not kept, so likeness is that of segments: what users, tools and models have said is equal, part by part, and
the instructions and tools that differ weigh nearly the same, as they do with a clock in them.
"""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from tc_core.ledger.prompts import PromptNode
from tc_core.lineage.patterns.duplicates import OF_A_CACHE
from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen

LEAST_ALIKE_TOKENS = 16
"""What is said beside the instructions weighs at least so much: a short "yes" is said in many conversations."""
MOST_DIFFERENT_TOKENS = 12
MOST_DIFFERENT_SHARE = 0.02
MOST_NODES = 20_000
MOST_WAYS = 64

_ADVICE = (
    "Take what changes (a clock, an id, the order of the tools) out of the instructions, and keep the answer: "
    "the question was the same."
)


class _Sum(NamedTuple):
    """What a way holds, whatever its order: one number for what was said, and what both parts weigh."""

    said: int
    said_weight: int
    has_tools: bool
    instructions_weight: int


_NOTHING = _Sum(0, 0, has_tools=False, instructions_weight=0)


class NearDuplicates:
    """Holds what was said to each agent, beside its instructions."""

    def __init__(self, limits: PatternLimits) -> None:
        self._window_us = limits.near_duplicate_window_s * 1_000_000
        self._series: Recent[Hashable, _Series] = Recent()
        self._sums: Recent[int, _Sum] = Recent(MOST_NODES)

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        event = seen.event
        if seen.prompt is None or not seen.is_ok or event.price_source == OF_A_CACHE:
            return
        end = seen.prompt.end
        total = self._sum(end)
        if total.said_weight < LEAST_ALIKE_TOKENS:
            return
        key = (event.agent_id, event.name, event.model, event.service_tier, seen.parameters, total[:3])
        series = self._series.get(key)
        if series is None or seen.start_us - series.last_us > self._window_us or not series.is_like(total):
            self._series.set(key, _Series(seen, total))
        elif seen.is_after(series.first) and end.id not in series.ways:
            yield series.add(seen)

    def _sum(self, end: PromptNode) -> _Sum:
        missing = []
        total = _NOTHING
        for node in end.way():
            known = self._sums.get(node.id)
            if known is not None:
                total = known
                break
            missing.append(node)
        for node in reversed(missing):
            said, weight, has_tools, instructions = total
            if node.is_system:
                total = _Sum(said, weight, has_tools or node.is_schema, instructions + node.weight)
            else:
                said = (said + hash((node.segment, node.what))) % 2**64
                total = _Sum(said, weight + node.weight, has_tools, instructions)
            self._sums.set(node.id, total)
        return total


class _Series:
    def __init__(self, first: Seen, total: _Sum) -> None:
        self.first, self.last_us, self._total = first, first.end_us, total
        self.ways = set() if first.prompt is None else {first.prompt.end.id}
        self._finding: Finding | None = None

    def is_like(self, total: _Sum) -> bool:
        """Tell whether the instructions weigh nearly the same."""
        usual = self._total.instructions_weight
        return abs(total.instructions_weight - usual) <= max(MOST_DIFFERENT_TOKENS, usual * MOST_DIFFERENT_SHARE)

    def add(self, seen: Seen) -> Finding:
        if self._finding is None:
            self._finding = Finding("near_duplicate", _ADVICE)
            self._finding.name(self.first)
            self._finding.evidence |= {"model": seen.event.model, "times": 1, "same_answers": 0}
        self.last_us = max(self.last_us, seen.end_us)
        if seen.prompt is not None and len(self.ways) < MOST_WAYS:
            self.ways.add(seen.prompt.end.id)
        finding = self._finding
        finding.waste(seen, seen.event.cost_nanos)
        finding.evidence["times"] += 1
        finding.evidence["same_answers"] += _answer(seen) == _answer(self.first)
        return finding


def _answer(seen: Seen) -> tuple[int, ...]:
    return () if seen.prompt is None else tuple(node.segment for node in seen.prompt.answer)
