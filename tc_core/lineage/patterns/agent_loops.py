"""Agent loops: an agent asks a tool the same again, and is told the same again.

Pagination asks something else each time. Polling waits between its questions, or hears something else in the end. What
an agent looks up again much later is no loop either.
"""

import re
from collections import deque
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from tc_core.ledger.prompts import PromptNode
from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen

MOST_TURNS_BETWEEN = 4
"""So many turns lie at most between two rounds of one loop."""
MOST_WAITS = 16
UNKNOWN_TOOL = 30
"""Times the pause, where no event says how long a tool took: so long nobody takes for the tool's own work."""

_WAITS = re.compile(r"(^|[^a-z])(wait|sleep|pause|delay|poll)", re.IGNORECASE)
_ADVICE = (
    "End the loop: tell the agent that it has this result already, cap its turns, or have the tool say what to do "
    "differently."
)


class _Round(NamedTuple):
    """One time that tools were asked, and what they said."""

    asked: tuple[int, ...]
    said: tuple[int, ...]
    asked_at: int
    """The node at which the model's answer that asks for them ends."""


class _Asker(NamedTuple):
    """A call that has asked for tools, and how long its conversation had been at work when it ended."""

    seen: Seen
    busy_us: int


class AgentLoops:
    """Holds what each agent of a conversation has asked its tools lately."""

    def __init__(self, limits: PatternLimits) -> None:
        self._count, self._pause_us = max(2, limits.loop_count), limits.loop_pause_s * 1_000_000
        self._askers: Recent[int, _Asker] = Recent()
        self._series: Recent[Hashable, _Series] = Recent()
        self._turns: Recent[Hashable, int] = Recent()
        self._tools: Recent[int, str] = Recent()
        self._busy_us: Recent[str, int] = Recent()
        self._waits_us: Recent[str, deque[int]] = Recent()
        """By conversation, when tools that wait have ended."""

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        event = seen.event
        if not (event.is_call or event.event_type in ("tool", "retrieval")):
            return
        busy_us = self._busy_us.set(seen.scope, (self._busy_us.get(seen.scope) or 0) + seen.end_us - seen.start_us)
        if event.event_type == "tool" and event.name is not None:
            for segment in seen.results:
                self._tools.set(segment, event.name)
            if is_waiting(event.name):
                waits = self._waits_us.get(seen.scope) or deque(maxlen=MOST_WAITS)
                self._waits_us.set(seen.scope, waits).append(seen.end_us)
        if seen.prompt is None or not seen.is_ok:
            return
        who = (seen.scope, event.agent_id)
        turn = self._turns.set(who, (self._turns.get(who) or 0) + 1)
        if seen.prompt.answer:
            self._askers.set(seen.prompt.answer[-1].id, _Asker(seen, busy_us))
        done = _last_round(seen.prompt.end)
        asker = None if done is None else self._askers.get(done.asked_at)
        if done is not None and asker is not None and asker.seen.scope == seen.scope:
            yield from self._see_round((*who, done.asked), turn, done, asker)

    def _see_round(self, key: Hashable, turn: int, done: _Round, asker: _Asker) -> Iterable[Finding]:
        series = self._series.get(key)
        if series is not None and turn - series.turn > MOST_TURNS_BETWEEN:
            series = None
        if series is None or done.said != series.said or self._has_waited(series.last, asker, done.said):
            if series is not None and series.finding is not None and done.said != series.said:
                yield series.withdrawn()
            series = self._series.set(key, _Series(done.said, asker))
        elif asker.seen is not series.last.seen:
            series.add(asker)
        series.turn = turn
        if len(series.askers) >= self._count:
            names = {name for each in done.said if (name := self._tools.get(each)) is not None}
            yield series.found(sorted(names))

    def _has_waited(self, before: _Asker, asker: _Asker, said: tuple[int, ...]) -> bool:
        """Tell whether somebody waited between two rounds: by a tool that waits, or while nothing was at work."""
        waits_us = self._waits_us.get(asker.seen.scope) or ()
        if any(before.seen.end_us <= waited_us <= asker.seen.end_us for waited_us in waits_us):
            return True
        own_us = asker.seen.end_us - asker.seen.start_us
        idle_us = asker.seen.start_us - before.seen.end_us - (asker.busy_us - own_us - before.busy_us)
        is_known = any(self._tools.get(each) is not None for each in said)  # else the tools may have taken that long
        return idle_us >= self._pause_us * (1 if is_known else UNKNOWN_TOOL)


class _Series:
    def __init__(self, said: tuple[int, ...], first: _Asker) -> None:
        self.said, self.askers = said, [first.seen]
        self.last, self.turn = first, 0
        self.finding: Finding | None = None

    def add(self, asker: _Asker) -> None:
        self.last = asker
        if self.finding is None:
            self.askers.append(asker.seen)
        else:
            self.finding.waste(asker.seen, asker.seen.event.cost_nanos)

    def found(self, tools: list[str]) -> Finding:
        """Return the loop; the first round was no waste."""
        first = self.askers[0]
        if self.finding is None:
            self.finding = Finding("agent_loop", _ADVICE, least="medium")
            self.finding.name(first)
            for each in self.askers[1:]:
                self.finding.waste(each, each.event.cost_nanos)
        self.finding.evidence |= {
            "loop": "same tool, same arguments, same result",
            "agent": first.event.agent_id,
            "tools": tools,
            "rounds": self.finding.count,
            "input_tokens": [first.event.input_tokens, self.last.seen.event.input_tokens],
        }
        return self.finding

    def withdrawn(self) -> Finding:
        """Return a loop that was none: what was asked again has brought something else in the end."""
        if self.finding is None:
            raise LookupError("nothing was found")
        self.finding.is_withdrawn = True
        return self.finding


def is_waiting(tool: str) -> bool:
    """Tell by its name whether a tool waits: what is asked around it is polling."""
    return _WAITS.search(tool) is not None


def _last_round(end: PromptNode) -> _Round | None:
    """Return the tool calls and results that a prompt ends with; None where it ends with something else."""
    asked: list[int] = []
    said: list[int] = []
    asked_at = None
    for node in end.way():
        if node.is_tool_call:
            asked.append(node.segment)
            asked_at = node.id if asked_at is None else asked_at
        elif node.is_tool_result and not asked:
            said.append(node.segment)
        else:
            break
    if not said or asked_at is None:
        return None
    return _Round(tuple(reversed(asked)), tuple(reversed(said)), asked_at)
