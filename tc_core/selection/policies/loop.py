"""Loop: an agent that asks its tools the same again and again, and is told the same, is stopped before the next call.

The rule is that of the pattern `agent_loop` (`tc_core.lineage.patterns`), of the prompts that are about to be sent.
Tools that wait, and long pauses between two rounds, make it polling, which is left alone.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from tc_core.errors import AgentLoopError
from tc_core.ledger.canonical import CALL, RESULT, Item, Schemas, items
from tc_core.lineage.patterns.agent_loops import MOST_TURNS_BETWEEN, UNKNOWN_TOOL, is_waiting
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.model.clock import clock
from tc_core.model.part import Decision, Request
from tc_core.model.segment import Segment, segments
from tc_core.selection.policies.acting import Acting, Verdict
from tc_core.selection.policies.sql import Applied

MOST_SERIES = 10_000
PAUSE_NS = round(PatternLimits().loop_pause_s * UNKNOWN_TOOL * 1e9)
_TOOLS = frozenset({"tool_call", "tool_result"})


@dataclass(slots=True)
class _Series:
    """Rounds in which the same was asked, and the same said."""

    said: tuple[int, ...]
    prompt: int
    at_ns: int
    turn: int
    rounds: int = 1


class Loop(Acting):
    """Counts rounds of each agent of a conversation."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied)
        self._lock = Lock()
        self._schemas = Schemas()
        self._series: OrderedDict[Hashable, _Series] = OrderedDict()
        self._turns: OrderedDict[Hashable, int] = OrderedDict()

    def decide(self, request: Request) -> Verdict | None:
        """Refuse the call that follows on the last round that is allowed."""
        run = request.scope.session_id or request.root_id
        if run is None:  # a call by itself: nothing tells which others it follows on
            return None
        found = segments(request.content)
        with self._lock:
            who = (run, request.scope.agent_id)
            turn = self._turns[who] = self._turns.pop(who, 0) + 1
            _shrink(self._turns)
            asked, said = _last_round(items(_of_tools(found), self._schemas))
            names = sorted({each.partition("(")[0] for each in asked})
            if not said or not asked or any(map(is_waiting, names)):
                return Verdict(0)
            rounds = self._counted((*who, tuple(map(hash, asked))), tuple(map(hash, said)), _digest(found), turn)
        if rounds < (self.policy.rounds or 0):
            return Verdict(0)
        tools = ", ".join(names)
        refusal = AgentLoopError(
            f"the agent has asked {tools} the same {rounds} times, and was told the same each time: policy "
            f"{self.policy.name!r} stops it",
            policy=self.policy.name,
            tools=names,
            rounds=rounds,
        )
        return Verdict(1, Decision(refusal=refusal))

    def _counted(self, key: Hashable, said: tuple[int, ...], prompt: int, turn: int) -> int:
        now_ns, series = clock.steady_ns(), self._series.get(key)
        if (
            series is None
            or series.said != said
            or turn - series.turn > MOST_TURNS_BETWEEN
            or now_ns - series.at_ns > PAUSE_NS
        ):
            series = self._series[key] = _Series(said, prompt, now_ns, turn)
            _shrink(self._series)
        elif series.prompt != prompt:  # else the same request again, after an error
            series.rounds += 1
        series.prompt, series.at_ns, series.turn = prompt, now_ns, turn
        return series.rounds


def _of_tools(prompt: Sequence[Segment]) -> Sequence[Segment]:
    """Return the parts at the end of a prompt that tools were asked with, and have said."""
    first = len(prompt)
    while first and prompt[first - 1].kind in _TOOLS:
        first -= 1
    return prompt[first:]


def _last_round(prompt: Sequence[Item]) -> tuple[list[str], list[str]]:
    """Return the calls of tools and their results that a prompt ends with."""
    asked: list[str] = []
    said: list[str] = []
    for what, body in reversed(prompt):
        if what & 7 == CALL:
            asked.append(body)
        elif what & 7 == RESULT and not asked:
            said.append(body)
        else:
            break
    return asked[::-1], said[::-1]


def _digest(prompt: Sequence[Segment]) -> int:
    """Return what tells one prompt of a conversation from the next: it grows, or is made shorter."""
    return hash((len(prompt), sum(len(part.body) for part in prompt if type(part.body) is str)))


def _shrink(table: OrderedDict[Hashable, Any]) -> None:
    if len(table) > MOST_SERIES:
        table.popitem(last=False)
