"""All detectors at work on one stream of events."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from tc_core.lineage.patterns.agent_loops import AgentLoops
from tc_core.lineage.patterns.alternation import Alternation
from tc_core.lineage.patterns.cache_breaks import CacheBreaks
from tc_core.lineage.patterns.cycles import Cycles
from tc_core.lineage.patterns.deep_chains import DeepChains
from tc_core.lineage.patterns.duplicates import Duplicates
from tc_core.lineage.patterns.expensive import Expensive
from tc_core.lineage.patterns.fan_out import FanOut
from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.near_duplicates import NearDuplicates
from tc_core.lineage.patterns.pattern import PATTERN_KINDS, Pattern, PatternKind, exclusive
from tc_core.lineage.patterns.retry_storms import RetryStorms
from tc_core.lineage.patterns.seen import Seen


class Detector(Protocol):
    """Sees events one by one, in bounded memory."""

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event; return the findings that are new or have changed by it."""


_DETECTORS: dict[PatternKind, tuple[Callable[[PatternLimits], Detector], ...]] = {
    "retry_storm": (RetryStorms,),
    "duplicate": (Duplicates,),
    "agent_loop": (AgentLoops, Alternation),
    "near_duplicate": (NearDuplicates,),
    "cache_break": (CacheBreaks,),
    "cycle": (Cycles,),
    "deep_chain": (DeepChains,),
    "expensive": (Expensive,),
    "fan_out": (FanOut,),
}

MOST_FINDINGS = 10_000
"""So many findings are kept; the oldest give way."""


class Detectors:
    """Detectors of some kinds, and what they have found."""

    def __init__(self, kinds: Collection[str] | None = None, limits: PatternLimits | None = None) -> None:
        limits = limits or PatternLimits()
        kinds = [kinds] if isinstance(kinds, str) else kinds
        unknown = sorted(set(kinds or ()) - set(PATTERN_KINDS))
        if unknown:
            raise ValueError(f"there is no pattern {unknown[0]!r}: there are {', '.join(sorted(PATTERN_KINDS))}")
        wanted = [kind for kind in PATTERN_KINDS if kinds is None or kind in kinds]
        self._detectors = [make(limits) for kind in wanted for make in _DETECTORS[kind]]
        self._found: OrderedDict[int, Finding] = OrderedDict()

    def see(self, seen: Seen) -> Iterator[Finding]:
        """Take in one event, and yield each finding that it has changed."""
        for detector in self._detectors:
            for finding in detector.see(seen):
                if finding.is_withdrawn:
                    self._found.pop(id(finding), None)
                else:
                    self._found[id(finding)] = finding
                    while len(self._found) > MOST_FINDINGS:
                        self._found.popitem(last=False)
                yield finding

    def patterns(self) -> list[Pattern]:
        """Return what was found so far, the dearest first; no event's cost is in two of them."""
        return exclusive([finding.pattern() for finding in list(self._found.values())])
