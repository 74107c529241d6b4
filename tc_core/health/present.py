"""Recorded health as people look at it: one line for each conversation, and how its signals went."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from tc_core.health.sql import Recorded
from tc_core.health.status import SMALL, HealthThresholds
from tc_core.model import written

STYLES: Mapping[str, str] = {"healthy": "", "context_rot": "yellow", "hallucination_risk": "red"}
"""By state, in the words of `rich`."""

_BARS = "▁▂▃▄▅▆▇█"
_STATES = {"healthy": 0, "context_rot": 1, "hallucination_risk": 2}


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is recorded of one conversation: a session of an agent, or without a session a run."""

    name: str
    agent_id: str | None
    calls: Sequence[Recorded]

    @property
    def short_name(self) -> str:
        """What it is called in a line."""
        return self.name if self.last.session_id else f"run {self.name[-8:]}"

    @property
    def last(self) -> Recorded:
        """Its health at the latest call."""
        return self.calls[-1]

    @property
    def is_at_risk(self) -> bool:
        """Whether it is not healthy now."""
        return self.last.state != "healthy"

    @property
    def reason(self) -> str:
        """Why it is as it is, in one sentence."""
        return reason(self.last)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "agent_id": self.agent_id,
            "state": self.last.state,
            "reason": self.reason,
            "calls": [call.to_dict() for call in self.calls],
        }


def conversations(recorded: Iterable[Recorded]) -> list[Conversation]:
    """Return the conversations, those at risk first, then the latest first."""
    found: dict[tuple[str, str | None], list[Recorded]] = {}
    for each in recorded:
        found.setdefault((each.session_id or each.run_id, each.agent_id), []).append(each)
    made = [Conversation(name, agent, calls) for (name, agent), calls in found.items()]
    return sorted(made, key=lambda each: (_STATES[each.last.state], each.last.at), reverse=True)


def title(found: Sequence[Conversation]) -> Text:
    """Return the sentence that says how some conversations fare in all."""
    risky = [each for each in found if each.is_at_risk]
    line = Text(f"{written.plural(len(found), 'conversation')}, {len(risky)} at risk.", style="bold")
    if risky:
        line.append(f"  {risky[0].short_name}: {risky[0].reason}.", style=STYLES[risky[0].last.state])
    return line


def reason(health: Recorded, limits: HealthThresholds | None = None) -> str:
    """Say what stands out at a call, in one sentence."""
    limits = limits or HealthThresholds()
    usage, signals = health.context_usage, health.signals
    if usage is not None and usage >= limits.usage_warning:
        return f"its context is {usage:.0f} % full: {health.tokens:,} tokens"
    if signals["repetition"] >= limits.repetition_warning:
        return f"it goes round in circles (repetition {signals['repetition']:.2f})"
    if health.rot_percentage >= limits.rot_warning:
        return f"about {health.rot_percentage:.0f} % of its context has nothing to do with the newest steps"
    if signals["injection_risk"] >= limits.injection_warning:
        return f"a tool brought what reads like an instruction (risk {signals['injection_risk']:.2f})"
    if signals["staleness"] >= limits.staleness_hint and health.tokens > SMALL:
        return f"{signals['staleness']:.0%} of what tools have brought is replaced by newer results or off the subject"
    if signals["overhead_share"] >= limits.overhead_hint and health.tokens > SMALL:
        return f"{signals['overhead_share']:.0%} of each prompt is the system prompt and the schemas of tools"
    return "nothing stands out"


def sparkline(values: Sequence[float | None], most: float, width: int = 24) -> str:
    """Draw how a figure went, in at most `width` characters; what is not known is a blank."""
    step = max(1, -(-len(values) // width))
    chosen = list(values[::-1][::step])[::-1]
    return "".join(
        " " if value is None else _BARS[max(0, min(len(_BARS) - 1, int(value / most * len(_BARS))))] for value in chosen
    )
