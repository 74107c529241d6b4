"""Alternating agents: two agents hand the same words to each other, and nothing new comes of it."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen

MOST_CALLS = 64

_ADVICE = "Give the hand-over an end: cap the rounds, or have one of the two decide when nothing new is said."


class _Turn(NamedTuple):
    """What one agent has said before the other came."""

    agent: str
    said: tuple[int, ...]
    calls: list[Seen]


class Alternation:
    """Holds the last turns of each run. Two agents that say something new each time work together, and are no loop."""

    def __init__(self, limits: PatternLimits) -> None:
        self._rounds = max(2, limits.alternation_rounds)
        self._turns: Recent[str, deque[_Turn]] = Recent(2_000)
        self._found: Recent[str, Finding] = Recent(2_000)

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        agent = seen.event.agent_id
        if seen.prompt is None or agent is None or not seen.is_ok or not seen.prompt.answer:
            return
        said = tuple(node.segment for node in seen.prompt.answer)
        turns = self._turns.get(seen.root) or self._turns.set(seen.root, deque(maxlen=2 * self._rounds))
        if turns and turns[-1].agent == agent:
            last = turns.pop()
            turns.append(_Turn(agent, said, [*last.calls, seen][-MOST_CALLS:]))
        else:
            turns.append(_Turn(agent, said, [seen]))
        if self._is_loop(turns):
            yield self._add(seen.root, turns)
        else:
            self._found.pop(seen.root)  # what comes later is another loop

    def _is_loop(self, turns: Sequence[_Turn]) -> bool:
        """Tell whether two agents have taken turns, each with the same words every time."""
        if len(turns) < 2 * self._rounds or turns[0].agent == turns[1].agent:
            return False
        return all(turn[:2] == turns[place % 2][:2] for place, turn in enumerate(turns))

    def _add(self, root: str, turns: Sequence[_Turn]) -> Finding:
        finding = self._found.get(root)
        if finding is None:
            finding = self._found.set(root, Finding("agent_loop", _ADVICE, least="medium"))
            first = [call for turn in list(turns)[:2] for call in turn.calls]
            for call in first:
                finding.name(call)
            finding.evidence |= {
                "loop": "two agents alternate with the same words",
                "agents": [turns[0].agent, turns[1].agent],
                "input_tokens": [first[0].event.input_tokens, None],
            }
            later = [call for turn in list(turns)[2:] for call in turn.calls]
        else:
            later = turns[-1].calls
        for call in later:
            finding.waste(call, call.event.cost_nanos)
        finding.evidence["calls"] = finding.count
        finding.evidence["input_tokens"][1] = later[-1].event.input_tokens
        return finding
